//! What a protocol is: a state machine that owns no socket, and the one table of all of them.
//!
//! Bytes in, bytes out, time as an argument. A reactor, a thread or a simulator can run it, and it
//! never knows which. To add a protocol, write its file, its `mod` line and its row in [`table`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::access::Refusal;
use crate::helper::Job;
use crate::input::Input;
use crate::lan::Place;
use crate::limits;
use crate::out::Out;
use crate::peer::Peer;
use crate::room::MemberId;
use crate::shared::Shared;
use crate::time::Time;

#[cfg(test)]
mod bench;
pub mod chargen;
pub mod chat;
pub mod collect;
pub mod console;
pub mod daytime;
pub mod discard;
pub mod download;
pub mod echo;
pub mod hello;
pub mod http;
pub mod line;
pub mod modify;
pub mod reqtime;
pub mod rest;
mod session;
pub mod table;
pub mod time;
pub mod udp_chat;
pub mod upload;
pub mod websocket;

pub use table::{Kind, Options, Row, Session, TABLE, Transport};

/// Why a connection ended; the close log says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The peer finished sending and everything owed was sent.
    PeerDone,
    /// The peer reset the connection.
    PeerReset,
    /// The protocol's exchange is complete.
    Complete,
    /// A deadline passed.
    TimedOut,
    /// The peer broke the protocol; it was told how.
    BadInput,
    /// The service has a limit, and it is reached; or this peer has no access.
    Refused,
    /// The daemon is stopping.
    Shutdown,
    /// The network or a file failed.
    Failed,
    /// Buffers took more memory than they may, and this one's were what could best be spared.
    GaveWay,
    /// The service was told to [cut](crate::faults) it.
    Fault,
}

impl Why {
    /// A few words for the log.
    pub fn words(self) -> &'static str {
        match self {
            Self::PeerDone => "peer done",
            Self::PeerReset => "peer reset",
            Self::Complete => "complete",
            Self::TimedOut => "timed out",
            Self::BadInput => "bad input",
            Self::Refused => "refused",
            Self::Shutdown => "shutdown",
            Self::Failed => "failed",
            Self::GaveWay => "gave way",
            Self::Fault => "fault on demand",
        }
    }
}

/// What a handler wants next.
#[derive(Debug)]
pub enum Flow {
    /// More input, the end of it, or the deadline. If the output was full, whatever input was left is
    /// offered again when there is room.
    Continue,
    /// A call of [`Handler::resume`] as soon as the output has room, after others had their turn.
    Yield,
    /// The same, but not before this moment: until then nothing is read, and what was not taken waits.
    Pause(Time),
    /// A job that could make everybody wait, such as writing to a disk, is to be done where it does not.
    /// [`Handler::resume`] is called when it is done and the output has room; until then nothing but the
    /// deadline is, and nothing more is read.
    Wait(Job),
    /// Send what is owed, then close.
    Finish(Why),
    /// Close now and drop what is owed.
    Abort(Why),
    /// Go on as another protocol: its `open` runs, then it gets the input that was not taken.
    Become(Box<Session>),
}

// It is returned from every call: two registers.
const _: () = assert!(size_of::<Flow>() <= 16);

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What was written to the output is the reply, an empty datagram included.
    Reply,
    /// No reply.
    Silent,
}

/// Names a connection for as long as the daemon runs: a slot is used again, its generation is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// Index of the slot.
    pub key: u32,
    /// How often the slot has been used.
    pub generation: u32,
}

/// Everything a handler may touch during one call.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The present moment; the same throughout a turn.
    pub now: Time,
    /// What the peer sent and the handler has not taken.
    pub input: Input<'a>,
    /// What the peer will get.
    pub out: &'a mut Out,
    /// When [`Handler::expired`] is to be called, [`Time::NEVER`] at first. It stays until changed.
    pub deadline: &'a mut Time,
    /// What all connections share.
    pub shared: &'a Shared,
    /// Who is at the other end.
    pub peer: &'a Peer,
    /// This connection.
    pub id: ConnId,
}

/// One connection's side of a protocol. Every method but `input` has a fitting default.
pub trait Handler {
    /// A peer has connected.
    fn open(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Continue
    }

    /// A peer has connected and is not let in: called instead of [`Handler::open`], and nothing is called
    /// after it. A protocol that has words for it says why.
    fn turn_away(&mut self, _refusal: Refusal, _cx: &mut Cx<'_>) -> Flow {
        Flow::Abort(Why::Refused)
    }

    /// There is input that was not there before, or room in the output that was not.
    fn input(&mut self, cx: &mut Cx<'_>) -> Flow;

    /// The turn that [`Flow::Yield`] asked for, or the job of [`Flow::Wait`] is done.
    fn resume(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Continue
    }

    /// The peer will send no more. Called once, when it cannot be that the handler left input only
    /// because the output was full.
    fn eof(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Finish(Why::PeerDone)
    }

    /// The deadline has passed; it is [`Time::NEVER`] again. It may be one that was set before an early
    /// return, for instance while the output was full: a handler of several deadlines looks which one it is.
    fn expired(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Finish(Why::TimedOut)
    }

    /// How long the peer may take next to nothing of what is owed to it when the session is over: see
    /// [`limits::PROGRESS`].
    fn patience(&self) -> Duration {
        limits::FINISH_PROGRESS
    }

    /// The daemon is stopping: say good-bye.
    fn drain(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Finish(Why::Shutdown)
    }

    /// The connection has ended, whatever the reason; called once, last. Output goes nowhere.
    fn closed(&mut self, _cx: &mut Cx<'_>, _why: Why) {}

    /// Called after [`Handler::closed`]: what is still to be done, if it could make everybody wait.
    fn left_over(&mut self) -> Option<Job> {
        None
    }

    /// A datagram has come, and its reply, if any, goes to the output.
    fn datagram(&mut self, _datagram: &[u8], _cx: &mut Cx<'_>) -> Answer {
        Answer::Silent
    }

    /// Bytes of memory that it has gathered of what its peer sent, and that grow with it. A few hundred need
    /// not be counted.
    fn holds(&self) -> usize {
        0
    }

    /// The room membership whose news this connection is to be fed.
    fn member(&self) -> Option<MemberId> {
        None
    }
}

/// A kind of handler, with the options that its services may set.
pub trait Protocol: Handler + Sized {
    /// The options of a service; every one has a default. Unknown ones are refused by `serde`.
    type Options: DeserializeOwned + Default + std::fmt::Debug + Send + Sync + 'static;

    /// Makes sure, before the service starts, that what its options name is there.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    fn prepare(_options: &Self::Options) -> Result<(), String> {
        Ok(())
    }

    /// A directory of this service, or a file, that no service may show: what strangers send is not handed on,
    /// and neither is what is noted of people.
    fn private(_options: &Self::Options) -> Option<&Path> {
        None
    }

    /// Tells, before [`Protocol::prepare`], what is private to some service.
    fn keep_out(_options: &Self::Options, _private: &[PathBuf]) {}

    /// Whether the daemon is to stop when this service has done its work once.
    fn is_once(_options: &Self::Options) -> bool {
        false
    }

    /// Whether a peer understands a line of text before anything else.
    fn takes_banner() -> bool {
        true
    }

    /// What a service with these options does, in a few words, where that is not what [`Row::does`] says.
    fn does(_options: &Self::Options) -> Option<&'static str> {
        None
    }

    /// Which network a service of [`Transport::Lan`] speaks to; its port and its addresses are the
    /// service's.
    fn network(_options: &Self::Options) -> Place {
        Place::default()
    }

    /// The state machine of a new connection.
    fn new(options: &Arc<Self::Options>) -> Self;
}

/// The options of a protocol that has none.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}
