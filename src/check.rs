//! Does a server speak a protocol as this daemon understands it? The cases that answer that.
//!
//! They are run against the daemon's own engines by its tests, and against anybody's server by
//! `switchboard check`. A case knows nothing of the server but its address: it connects, says
//! something, and looks at what comes back. What it does reads like a script, see [`Client`].

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::escape::Escaped;

mod chat;
mod client;
mod collect;
mod common;
mod console;
mod echo;
mod hello;
mod http;
mod modify;
mod modify_lines;
mod reqtime;
mod rfc;
mod udp;

pub use client::Client;

/// As much of a conversation as a failure shows, from its end.
const SHOWN: usize = 300;

/// A server to look at.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Where it listens.
    pub tcp: SocketAddr,
    /// Where it receives datagrams, if it does.
    pub udp: Option<SocketAddr>,
    /// How long any one answer may take.
    pub within: Duration,
}

/// What comes of running a case, or a step of it.
pub type Outcome<T = ()> = Result<T, Failure>;

/// One thing that a server of a protocol must do.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The protocol, as the table of protocols names it.
    pub protocol: &'static str,
    /// Short name, unique in its protocol.
    pub name: &'static str,
    /// What the server must do.
    pub about: &'static str,
    /// What is wrong with most servers that do not.
    pub usual_cause: &'static str,
    /// Tries it.
    pub run: fn(&Target) -> Outcome,
}

impl Case {
    /// A row of a list of cases.
    const fn new(
        protocol: &'static str,
        name: &'static str,
        about: &'static str,
        usual_cause: &'static str,
        run: fn(&Target) -> Outcome,
    ) -> Self {
        Self { protocol, name, about, usual_cause, run }
    }
}

/// The cases of one protocol; none if there is no such protocol.
pub fn cases(protocol: &str) -> Vec<&'static Case> {
    let all = [
        echo::CASES,
        rfc::CASES,
        reqtime::CASES,
        modify::CASES,
        modify_lines::CASES,
        collect::CASES,
        hello::CASES,
        chat::CASES,
        http::CASES,
        console::CASES,
    ];
    all.into_iter().flatten().filter(|case| case.protocol == protocol).collect()
}

/// What went wrong, with the end of the conversation.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What should have come.
    pub expected: String,
    /// What was sent.
    pub sent: Vec<u8>,
    /// What came instead.
    pub came: Vec<u8>,
    /// How it ended: a time-out, a reset, the end of the input; empty if it had not.
    pub ended: String,
}

impl Failure {
    /// A failure before anything was said.
    fn early(expected: &str, error: impl fmt::Display) -> Self {
        Self { expected: expected.to_owned(), sent: Vec::new(), came: Vec::new(), ended: error.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}; sent {}; came {}", self.expected, End(&self.sent), End(&self.came))?;
        if self.ended.is_empty() { Ok(()) } else { write!(f, "; then {}", self.ended) }
    }
}

impl std::error::Error for Failure {}

/// Shows the end of some bytes, which is where a conversation went wrong.
struct End<'a>(&'a [u8]);

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.0.len().saturating_sub(SHOWN);
        if skipped > 0 {
            write!(f, "({skipped} bytes and) ")?;
        }
        write!(f, "\"{}\"", Escaped::new(self.0.get(skipped..).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::protocol::TABLE;

    #[test]
    fn every_protocol_has_cases_with_names_of_their_own() {
        for row in TABLE {
            let cases = cases(row.name);
            assert!(!cases.is_empty(), "{} has no case", row.name);
            let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
            assert_eq!(names.len(), cases.len(), "{} has a name twice", row.name);
        }
    }

    #[test]
    fn a_failure_shows_the_end_of_the_conversation() {
        let failure = Failure {
            expected: "an answer".to_owned(),
            sent: b"Hello\r\n".to_vec(),
            came: vec![b'x'; SHOWN + 7],
            ended: "the end".to_owned(),
        };
        let text = failure.to_string();
        assert!(
            text.starts_with("expected an answer; sent \"Hello\\r\\n\"; came (7 bytes and) \"xxx"),
            "{text}"
        );
        assert!(text.ends_with("; then the end"), "{text}");
    }
}
