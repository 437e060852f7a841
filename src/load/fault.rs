//! What can go wrong with a connection or a reply, counted by kind, and what each kind means.

use std::collections::BTreeMap;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// How many wrong replies are shown; all are counted.
const SHOWN: usize = 5;

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A reply has a wrong byte.
    Wrong,
    /// A chat line came twice, or out of order.
    Disorder,
    /// A chat line did not come.
    Missed,
    /// Bytes came that nobody had asked for.
    Unasked,
    /// The connection was refused.
    Refused,
    /// The connection was not made in time.
    ConnectTimeout,
    /// There is no way to the server.
    Unreachable,
    /// The server reset the connection.
    Reset,
    /// The server closed in the middle of a reply, or before one.
    Short,
    /// No byte of a reply came in time.
    Stalled,
    /// A datagram or its reply was lost.
    Lost,
    /// A datagram came late, or twice.
    Stray,
    /// The server closed a connection that was held idle.
    IdleClosed,
    /// An idle connection was open, but nothing came through it at the end.
    IdleDead,
    /// This program has no descriptor left.
    NoDescriptors,
    /// There is no port left to connect from.
    NoPorts,
    /// The kernel has no memory for another socket.
    NoMemory,
    /// Anything else.
    Other,
}

impl Fault {
    /// What the error of a connection that is being made, or was made, means.
    pub fn of(errno: Errno) -> Self {
        match errno {
            Errno::CONNREFUSED => Self::Refused,
            Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Self::Reset,
            Errno::TIMEDOUT => Self::ConnectTimeout,
            Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => Self::Unreachable,
            Errno::MFILE | Errno::NFILE => Self::NoDescriptors,
            Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => Self::NoPorts,
            Errno::NOBUFS | Errno::NOMEM => Self::NoMemory,
            _ => Self::Other,
        }
    }

    /// Its name, in a few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wrong => "wrong bytes",
            Self::Disorder => "twice or out of order",
            Self::Missed => "missed",
            Self::Unasked => "unasked bytes",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect timed out",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Short => "cut short",
            Self::Stalled => "stalled",
            Self::Lost => "lost",
            Self::Stray => "late or twice",
            Self::IdleClosed => "idle closed",
            Self::IdleDead => "idle dead",
            Self::NoDescriptors => "no descriptors",
            Self::NoPorts => "no ports",
            Self::NoMemory => "no memory",
            Self::Other => "other",
        }
    }

    /// What it means, and what to look at.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Wrong => {
                "the reply is not what this connection should get: bytes changed, dropped, doubled, or another connection's"
            }
            Self::Disorder => "a receiver got a line again, or after one that was said later",
            Self::Missed => {
                "a receiver never got a line that others did: the server dropped it, or the receiver was too slow"
            }
            Self::Unasked => {
                "the server sent more than was asked for, as if a reply went to the wrong connection"
            }
            Self::Refused => "nothing listens there, or the server stopped listening",
            Self::ConnectTimeout => {
                "the server does not accept as fast as clients come (its backlog is full), or a firewall drops them"
            }
            Self::Unreachable => "no way to that network from here",
            Self::Reset => {
                "the server dropped the connection: it crashed, closed with input unread, or has a limit on connections"
            }
            Self::Short => {
                "the server closed before its reply was whole: it serves one request per connection (try --churn), or gave up"
            }
            Self::Stalled => {
                "no byte came within --timeout: the server is busy with others, waits for more input, or lost the request"
            }
            Self::Lost => {
                "a datagram or its reply never came: the server's or this machine's receive buffer was full"
            }
            Self::Stray => "a reply came after its time was up, or came twice",
            Self::IdleClosed => {
                "the server closed connections that did nothing: it has a time-out or a limit"
            }
            Self::IdleDead => {
                "open, but no byte came through at the end: the server has forgotten them, or serves others first"
            }
            Self::NoDescriptors => {
                "this program may open no more files: raise `ulimit -n` (the hard limit too)"
            }
            Self::NoPorts => {
                "all ports to connect from are taken: widen net.ipv4.ip_local_port_range, or use a loopback target, which has many addresses"
            }
            Self::NoMemory => "the kernel has no memory for more sockets",
            Self::Other => "see the example",
        }
    }

    /// Whether the server broke its protocol, so that the run has failed however the rest went.
    pub fn is_wrong(self) -> bool {
        matches!(self, Self::Wrong | Self::Disorder | Self::Unasked)
    }

    /// Whether it was this side that had too little.
    pub fn is_own(self) -> bool {
        matches!(self, Self::NoDescriptors | Self::NoPorts | Self::NoMemory)
    }
}

/// A reply that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// The number of the connection.
    pub connection: u64,
    /// The port that it came from, to find it in a capture.
    pub local: String,
    /// Which reply of the connection it was, from 1 on.
    pub reply: u64,
    /// The first wrong byte, counted from the reply's first one.
    pub offset: u64,
    /// What should have come from there on, escaped.
    pub expected: String,
    /// What came, escaped.
    pub came: String,
    /// What is known about it beyond that.
    pub note: String,
}

/// Failures by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    counts: BTreeMap<Fault, u64>,
    /// The first wrong replies.
    pub wrong: Vec<Wrong>,
    /// The first error of kind [`Fault::Other`].
    pub other: Option<String>,
}

impl Faults {
    /// Counts one.
    pub fn count(&mut self, fault: Fault) {
        self.count_many(fault, 1);
    }

    /// Counts several.
    pub fn count_many(&mut self, fault: Fault, n: u64) {
        *self.counts.entry(fault).or_default() += n;
    }

    /// Counts an error of the network.
    pub fn count_errno(&mut self, errno: Errno) {
        let fault = Fault::of(errno);
        self.count(fault);
        if fault == Fault::Other {
            self.other.get_or_insert_with(|| errno.to_string());
        }
    }

    /// Counts a wrong reply, and keeps the first ones to show.
    pub fn note_wrong(&mut self, fault: Fault, wrong: Wrong) {
        self.count(fault);
        if self.wrong.len() < SHOWN {
            self.wrong.push(wrong);
        }
    }

    /// How many of a kind.
    pub fn of(&self, fault: Fault) -> u64 {
        self.counts.get(&fault).copied().unwrap_or_default()
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Every kind that happened.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.counts.iter().filter(|(_, n)| **n > 0).map(|(fault, n)| (*fault, *n))
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        other.iter().for_each(|(fault, n)| self.count_many(fault, n));
        let room = SHOWN.saturating_sub(self.wrong.len());
        self.wrong.extend(other.wrong.iter().take(room).cloned());
        self.other = self.other.take().or_else(|| other.other.clone());
    }

    /// What was counted since `earlier`, which is a former state of the same.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        counts.iter_mut().for_each(|(fault, n)| *n = n.saturating_sub(earlier.of(*fault)));
        counts.retain(|_, n| *n > 0);
        let wrong = self.wrong.get(earlier.wrong.len()..).unwrap_or_default().to_vec();
        Self { counts, wrong, other: self.other.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_adds_up_and_subtracts() {
        let (mut one, mut two) = (Faults::default(), Faults::default());
        one.count_errno(Errno::CONNREFUSED);
        two.count_many(Fault::Stalled, 3);
        two.count_errno(Errno::PROTO);
        let before = one.clone();
        one.add(&two);
        assert_eq!((one.total(), one.of(Fault::Stalled), one.of(Fault::Refused)), (5, 3, 1));
        let since = one.since(&before);
        assert_eq!((since.total(), since.of(Fault::Refused)), (4, 0));
        assert!(one.other.is_some());
    }
}
