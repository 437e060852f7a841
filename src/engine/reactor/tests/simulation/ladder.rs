//! What happened on the simulated network: a digest of all of it, and the last of it as a ladder.

use std::collections::VecDeque;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::escape::Escaped;

/// Happenings of a connection that its ladder shows.
const RUNGS: usize = 60;
/// Bytes that a rung shows.
const SHOWN: usize = 28;

/// One thing that happened; the client's side is left, the server's right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Act {
    Connects,
    Sends,
    Ends,
    Resets,
    Takes,
    SeesEnd,
    Accepted,
    Arrives,
    EndArrives,
    ResetArrives,
    Told { readable: bool, writable: bool, read_closed: bool },
    Reads,
    ReadsEnd,
    ReadsNothing,
    Writes { wanted: usize },
    Shuts,
    Closes { unread: usize },
}

#[derive(Debug)]
struct Rung {
    now: u64,
    act: Act,
    len: usize,
    bytes: Vec<u8>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Trace {
    digest: DefaultHasher,
    /// How many things happened.
    pub(super) count: u64,
    ladders: Vec<VecDeque<Rung>>,
    is_on: bool,
}

impl Trace {
    pub(super) fn switched_on() -> Self {
        Self { is_on: true, ..Self::default() }
    }

    /// Something happened on a connection.
    pub(super) fn note(&mut self, now: u64, wire: usize, act: Act, bytes: &[u8]) {
        if !self.is_on {
            return;
        }
        self.count += 1;
        self.digest.write_u64(now);
        self.digest.write_usize(wire);
        act.hash(&mut self.digest);
        self.digest.write_usize(bytes.len());
        self.digest.write(&bytes[..bytes.len().min(64)]);
        self.digest.write(&bytes[bytes.len().saturating_sub(8)..]);
        if self.ladders.len() <= wire {
            self.ladders.resize_with(wire + 1, VecDeque::new);
        }
        let ladder = &mut self.ladders[wire];
        if ladder.len() == RUNGS {
            ladder.pop_front();
        }
        let shown = bytes[..bytes.len().min(SHOWN)].to_vec();
        ladder.push_back(Rung { now, act, len: bytes.len(), bytes: shown });
    }

    /// Tells one run from another.
    pub(super) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// The last happenings of a connection, as people draw them.
    pub(super) fn ladder(&self, wire: usize) -> String {
        let mut text = format!("{:>9}  {:<44} {:<7}{:>40}\n", "ms", "client", "", "server");
        for rung in self.ladders.get(wire).into_iter().flatten() {
            let (client, arrow, server) = rung.columns();
            let _ = writeln!(text, "{:>9}  {client:<44} {arrow:<7}{server:>40}", rung.now);
        }
        text
    }
}

impl Rung {
    fn columns(&self) -> (String, &'static str, String) {
        let said = || format!("{} {}", self.len, Quoted(&self.bytes, self.len));
        let (to_server, to_client) = ("----->", "<-----");
        match self.act {
            Act::Connects => ("connects".to_owned(), to_server, String::new()),
            Act::Sends => (format!("sends {}", said()), "", String::new()),
            Act::Ends => ("ends its side".to_owned(), "", String::new()),
            Act::Resets => ("resets".to_owned(), "", String::new()),
            Act::Takes => (format!("takes {}", said()), to_client, String::new()),
            Act::SeesEnd => ("sees the end".to_owned(), to_client, String::new()),
            Act::Accepted => (String::new(), "", "accepted".to_owned()),
            Act::Arrives => {
                (format!("{} {}", self.len, Quoted(&self.bytes, self.len)), to_server, String::new())
            }
            Act::EndArrives => ("(end)".to_owned(), to_server, String::new()),
            Act::ResetArrives => ("(reset)".to_owned(), to_server, String::new()),
            Act::Told { readable, writable, read_closed } => {
                let words = [(readable, " readable"), (writable, " writable"), (read_closed, " read-closed")];
                let words: String = words.iter().filter(|(told, _)| *told).map(|(_, word)| *word).collect();
                (String::new(), "", format!("told:{words}"))
            }
            Act::Reads => (String::new(), "", format!("reads {}", self.len)),
            Act::ReadsEnd => (String::new(), "", "reads the end".to_owned()),
            Act::ReadsNothing => (String::new(), "", "reads: not now".to_owned()),
            Act::Writes { wanted } if wanted == self.len => (String::new(), "", format!("writes {}", said())),
            Act::Writes { wanted } => (String::new(), "", format!("of {wanted} bytes, writes {}", self.len)),
            Act::Shuts => (String::new(), to_client, "ends its side".to_owned()),
            Act::Closes { unread: 0 } => (String::new(), to_client, "closes".to_owned()),
            Act::Closes { unread } => (String::new(), to_client, format!("closes on {unread} unread")),
        }
    }
}

struct Quoted<'a>(&'a [u8], usize);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dots = if self.1 > self.0.len() { ".." } else { "" };
        write!(f, "\"{}\"{dots}", Escaped::bounded(self.0, SHOWN))
    }
}
