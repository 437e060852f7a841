//! The server of labs B and D: every message comes back modified.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::line::{Line, LineProtocol, Rules};
use super::{Cx, Flow, Protocol};
use crate::config::duration;
use crate::framing::Message;
use crate::limits;

/// How a message is modified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A blank and a name behind it.
    #[default]
    Append,
    /// A text before it.
    Prefix,
    /// Its length instead: Unicode scalar values, or bytes where it is no UTF-8.
    Length,
    /// Its characters in reverse order, or its bytes where it is no UTF-8.
    Reverse,
    /// In capitals.
    Upper,
}

/// What a `modify` service may be told.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// `append`, `prefix`, `length`, `reverse` or `upper`.
    pub mode: Mode,
    /// What `append` appends; the login name unless set.
    pub name: String,
    /// What `prefix` puts in front.
    pub text: String,
    /// A line said on connecting; none if empty.
    pub greeting: String,
    /// Longest message in bytes, at most 65,536.
    pub max_line: usize,
    /// How long an unterminated message stays quiet until it is answered.
    #[serde(with = "duration")]
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Append,
            name: crate::config::login_name(),
            text: "Here's the data: ".to_owned(),
            greeting: String::new(),
            max_line: limits::MAX_LINE,
            pause: Rules::default().pause,
        }
    }
}

/// A conversation of modified messages.
#[derive(Debug)]
pub struct Modify {
    options: Arc<Options>,
}

impl Protocol for Line<Modify> {
    type Options = Options;

    fn new(options: &Arc<Options>) -> Self {
        Self::new(Modify { options: Arc::clone(options) })
    }
}

impl LineProtocol for Modify {
    fn rules(&self) -> Rules {
        let max_line = self.options.max_line.min(limits::MAX_LINE);
        Rules { max_line, pause: self.options.pause, ..Rules::default() }
    }

    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        if !self.options.greeting.is_empty() {
            cx.out.print(format_args!("{}\r\n", self.options.greeting));
        }
        Flow::Continue
    }

    fn message(&mut self, message: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        self.modify(&message.text, cx);
        cx.out.push(message.end.bytes());
        Flow::Continue
    }
}

impl Modify {
    fn modify(&self, text: &[u8], cx: &mut Cx<'_>) {
        match self.options.mode {
            Mode::Append => {
                cx.out.push(text);
                cx.out.push(b" ");
                cx.out.push(self.options.name.as_bytes());
            }
            Mode::Prefix => {
                cx.out.push(self.options.text.as_bytes());
                cx.out.push(text);
            }
            Mode::Length => cx.out.print(format_args!("{}", length(text))),
            Mode::Reverse => cx.out.push(&reversed(text)),
            Mode::Upper => cx.out.push(&upper(text)),
        }
    }
}

/// As Python's `len` of the decoded text.
fn length(text: &[u8]) -> usize {
    std::str::from_utf8(text).map_or(text.len(), |text| text.chars().count())
}

/// As Python's `[::-1]` of the decoded text.
fn reversed(text: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(text) {
        Ok(text) => text.chars().rev().collect::<String>().into_bytes(),
        Err(_) => text.iter().rev().copied().collect(),
    }
}

fn upper(text: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(text) {
        Ok(text) => text.to_uppercase().into_bytes(),
        Err(_) => text.to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_count_and_turn_as_in_python() {
        assert_eq!(length("naïve ✓ 🦀".as_bytes()), 9);
        assert_eq!(reversed("añb🦀".as_bytes()), "🦀bña".as_bytes());
        assert_eq!(upper("straße é".as_bytes()), "STRASSE É".as_bytes());
    }

    #[test]
    fn what_is_no_text_is_counted_in_bytes() {
        assert_eq!(length(b"\xff\xfe\xfd"), 3);
        assert_eq!(reversed(b"\xffab"), b"ba\xff");
        assert_eq!(upper(b"\xffab"), b"\xffAB");
    }
}
