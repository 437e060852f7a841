//! One connection of a worker.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crate::load::clock::Nanos;
use crate::load::exchange::Place;
use crate::load::exchange::chat::Receiver;
use crate::load::table::Cursor;

/// What it is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// To be held.
    Idle,
    /// To send requests through.
    Active,
}

/// Where it is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Connecting,
    Open,
    /// Idle, and a byte must come.
    Proving,
    /// Idle, and a byte came.
    Proven,
    /// Over; its slot is freed at the turn's end.
    Dead,
}

/// Requests that were sent together and wait for their replies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    /// When they were due.
    pub(super) due: Nanos,
    /// When they were sent.
    pub(super) sent: Nanos,
    /// How many are still to be answered.
    pub(super) count: u32,
    /// Over UDP, where the reply's text stands.
    pub(super) at: Cursor,
}

/// A socket, and what is under way on it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    /// Different for every connection of the run.
    pub(super) number: u64,
    pub(super) role: Role,
    pub(super) life: Life,
    pub(super) place: Place,
    pub(super) flights: VecDeque<Flight>,
    pub(super) in_flight: u32,
    /// Bytes of requests that are to be sent.
    pub(super) owed: u64,
    /// When it was opened, then when it last got on.
    pub(super) since: Nanos,
    /// When its request was due, if it is made for one.
    pub(super) due: Nanos,
    /// Whether it is in the list of free ones.
    pub(super) is_listed: bool,
    /// Chat: what it has heard.
    pub(super) receiver: Option<Box<Receiver>>,
    /// Chat: lines that the socket has not taken.
    pub(super) lines: Vec<u8>,
    /// UDP: replies that were given up or have come.
    pub(super) past: VecDeque<Cursor>,
}

impl Connection {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.life, Life::Open | Life::Proving | Life::Proven)
    }

    /// Takes `n` replies off the requests in flight; `each` gets the flight and how many of it.
    #[inline]
    pub(super) fn land(&mut self, n: u32, mut each: impl FnMut(&Flight, u32)) {
        let mut left = n;
        while left > 0 {
            let Some(flight) = self.flights.front_mut() else { break };
            let some = left.min(flight.count);
            each(flight, some);
            flight.count -= some;
            left -= some;
            if flight.count == 0 {
                self.flights.pop_front();
            }
        }
        self.in_flight -= n - left;
    }

    /// Where its socket is bound, as text.
    pub(super) fn local(&self) -> String {
        let name = rustix::net::getsockname(&self.socket).ok();
        let address = name.and_then(|name| std::net::SocketAddr::try_from(name).ok());
        address.map_or_else(String::new, |address| address.to_string())
    }
}
