//! Does a server speak a protocol as this daemon understands it? The cases that answer that.
//!
//! They are run against the daemon's own engines by its tests, and against anybody's server by
//! `switchboard check` ([`command`]). A case knows nothing of the server but its address: it connects,
//! says something, and looks at what comes back. What it does reads like a script, see [`Client`].
//!
//! Not every case is for every server: see [`Level`].

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::escape::Escaped;
use crate::protocol::TABLE;

mod chat;
mod chat_any;
mod client;
mod collect;
pub mod command;
mod common;
mod console;
mod download;
mod echo;
mod hello;
mod http;
mod learned;
mod modify;
mod modify_any;
mod modify_lines;
mod report;
mod reqtime;
mod rfc;
mod udp;
mod upload;

pub use client::Client;

/// As much of a conversation as a failure shows, from its end.
const SHOWN: usize = 64;

/// What a case has in place of a protocol that is for every one.
const ANY: &str = "*";

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

/// Of whom a case may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The lab sheets (or the RFC) ask it of every server of this kind.
    Required,
    /// A careful server does it, though the sheets are silent.
    Advised,
    /// What this program's daemon does in its own way, and another server may do in another.
    Exact,
}

/// What a case needs of the server, besides TCP and one client at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// It serves several clients at once.
    Several,
    /// It receives datagrams.
    Datagrams,
}

/// One thing that a server of a protocol must do.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The protocol, as the table of protocols names it; `*` for every protocol.
    pub protocol: &'static str,
    /// Short name, unique in its protocol.
    pub name: &'static str,
    /// What the server must do.
    pub about: &'static str,
    /// What is wrong with most servers that do not.
    pub usual_cause: &'static str,
    /// What to do about that; empty if the cause says it.
    pub remedy: &'static str,
    /// Of whom it may be asked.
    pub level: Level,
    /// What it needs of the server.
    pub needs: Needs,
    /// Tries it.
    pub run: fn(&Target) -> Outcome,
}

impl Case {
    /// A row of a list of cases: required, of any server.
    const fn new(
        protocol: &'static str,
        name: &'static str,
        about: &'static str,
        usual_cause: &'static str,
        run: fn(&Target) -> Outcome,
    ) -> Self {
        let (level, needs) = (Level::Required, Needs::Nothing);
        Self { protocol, name, about, usual_cause, remedy: "", level, needs, run }
    }

    /// The same by another name, where the usual one is taken.
    const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// What to do about the usual cause.
    const fn remedy(self, remedy: &'static str) -> Self {
        Self { remedy, ..self }
    }

    /// Asked of careful servers only.
    const fn advised(self) -> Self {
        Self { level: Level::Advised, ..self }
    }

    /// Asked only of this program's daemon, or of one that wants to do exactly the same.
    const fn exact(self) -> Self {
        Self { level: Level::Exact, ..self }
    }

    /// Not asked of servers that serve one client at a time.
    const fn several(self) -> Self {
        Self { needs: Needs::Several, ..self }
    }

    /// Not asked where there is no UDP.
    const fn datagrams(self) -> Self {
        Self { needs: Needs::Datagrams, ..self }
    }
}

/// The cases of one protocol; none if there is no such protocol.
pub fn cases(protocol: &str) -> Vec<&'static Case> {
    let all = [
        common::CASES,
        echo::CASES,
        rfc::CASES,
        reqtime::CASES,
        modify_any::CASES,
        modify::CASES,
        modify_lines::CASES,
        collect::CASES,
        hello::CASES,
        upload::CASES,
        download::CASES,
        chat_any::CASES,
        chat::CASES,
        http::CASES,
        console::CASES,
    ];
    let is_known = TABLE.iter().any(|row| row.transport.has_tcp() && row.name == protocol);
    let fits = |case: &&Case| is_known && [protocol, ANY].contains(&case.protocol);
    all.into_iter().flatten().filter(fits).collect()
}

/// What went wrong, with the end of the conversation.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What should have come.
    pub expected: String,
    /// What was sent.
    pub sent: Said,
    /// What came instead.
    pub came: Said,
    /// How it ended: a time-out, a reset, the end of the input; empty if it had not.
    pub ended: String,
}

impl Failure {
    /// A failure before anything was said.
    fn early(expected: &str, error: impl fmt::Display) -> Self {
        Self {
            expected: expected.to_owned(),
            sent: Said::default(),
            came: Said::default(),
            ended: error.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}; sent {}; came {}", self.expected, self.sent, self.came)?;
        if self.ended.is_empty() { Ok(()) } else { write!(f, "; then {}", self.ended) }
    }
}

impl std::error::Error for Failure {}

/// What was said one way: its end, which is where a conversation went wrong, and how much came before that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    end: Vec<u8>,
    before: u64,
}

impl Said {
    /// Notes that these bytes were said after all others.
    fn note(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(SHOWN);
        self.end.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
        let old = self.end.len().saturating_sub(SHOWN);
        self.end.drain(..old);
        self.before += (skipped + old) as u64;
    }
}

impl From<&[u8]> for Said {
    fn from(bytes: &[u8]) -> Self {
        let mut said = Self::default();
        said.note(bytes);
        said
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.before > 0 {
            write!(f, "({} bytes and) ", self.before)?;
        }
        write!(f, "\"{}\"", Escaped::new(&self.end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_protocol_has_cases_with_names_of_their_own() {
        for row in TABLE.iter().filter(|row| row.transport.has_tcp()) {
            let cases = cases(row.name);
            assert!(cases.len() > common::CASES.len(), "{} has no case", row.name);
            let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
            assert_eq!(names.len(), cases.len(), "{} has a name twice", row.name);
        }
    }

    #[test]
    fn a_failure_shows_the_end_of_the_conversation() {
        let failure = Failure {
            expected: "an answer".to_owned(),
            sent: b"Hello\r\n".as_slice().into(),
            came: vec![b'x'; SHOWN + 7].as_slice().into(),
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
