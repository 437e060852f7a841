//! The hand-made server of lab C: `Hello World` brings `Hello Yourself`, silence brings `Goodbye` and
//! the end, and a browser gets a page of one heading.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::line::{Line, LineProtocol, Rules};
use super::{Cx, Flow, Protocol, Why};
use crate::config::duration;
use crate::framing::Message;

/// The sheet's answer to a browser: HTTP/1.0, no length, the end is the end.
const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nContent-type: text/html\r\n\r\n<h1>Hello World</h1>";
/// As much of a browser's request as is shown: the sheet's `recv(8192)`.
const SHOWN: usize = 8192;

/// What a `hello` service may be told.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How long a client may be silent before it is told `Goodbye`.
    #[serde(with = "duration")]
    pub quiet: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { quiet: Duration::from_secs(5) }
    }
}

/// A conversation, or a browser's request while it arrives.
#[derive(Debug)]
pub struct Hello {
    options: Arc<Options>,
    /// What a browser has sent so far.
    request: Option<Vec<u8>>,
}

impl Protocol for Line<Hello> {
    type Options = Options;

    fn new(options: &Arc<Options>) -> Self {
        Self::new(Hello { options: Arc::clone(options), request: None })
    }
}

impl LineProtocol for Hello {
    fn rules(&self) -> Rules {
        Rules { quiet: Some(self.options.quiet), ..Rules::default() }
    }

    fn is_whole(&self, text: &[u8]) -> bool {
        text == b"Hello World"
    }

    fn message(&mut self, message: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        if self.request.is_some() {
            return self.request_line(message, cx);
        }
        cx.out.push(b"Hello Yourself");
        cx.out.push(message.end.bytes());
        Flow::Continue
    }

    fn http(&mut self, request_line: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        self.request = Some(Vec::new());
        self.request_line(request_line, cx)
    }

    fn quiet(&mut self, cx: &mut Cx<'_>) -> Flow {
        if self.request.is_some() {
            // One of the sheet's samples forgets the blank line; it gets its page all the same.
            return self.page(cx);
        }
        cx.out.push(b"Goodbye");
        Flow::Finish(Why::Complete)
    }

    fn eof(&mut self, cx: &mut Cx<'_>) -> Flow {
        if self.request.is_some() { self.page(cx) } else { Flow::Finish(Why::PeerDone) }
    }
}

impl Hello {
    fn request_line(&mut self, line: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        let Some(request) = &mut self.request else { return Flow::Continue };
        if request.len() + line.text.len() <= SHOWN {
            request.extend_from_slice(&line.text);
            request.extend_from_slice(b"\n");
        }
        if line.text.is_empty() { self.page(cx) } else { Flow::Continue }
    }

    fn page(&mut self, cx: &mut Cx<'_>) -> Flow {
        let request = self.request.take().unwrap_or_default();
        cx.shared.show(&format!("Request from {}:", cx.peer), &request);
        cx.out.push(PAGE);
        Flow::Finish(Why::Complete)
    }
}
