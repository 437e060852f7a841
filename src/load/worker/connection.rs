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

/// Flights in their order. Most connections have one at a time: it lies here, not on the heap.
#[derive(Debug, Default)]
pub(super) struct Flights {
    first: Option<Flight>,
    rest: VecDeque<Flight>,
}

impl Flights {
    #[inline]
    pub(super) fn push(&mut self, flight: Flight) {
        if self.first.is_none() {
            self.first = Some(flight);
        } else {
            self.rest.push_back(flight);
        }
    }

    pub(super) fn first(&self) -> Option<&Flight> {
        self.first.as_ref()
    }

    #[inline]
    pub(super) fn first_mut(&mut self) -> Option<&mut Flight> {
        self.first.as_mut()
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Flight> {
        let first = self.first.take();
        if !self.rest.is_empty() {
            self.first = self.rest.pop_front();
        }
        first
    }

    /// Makes the first flight of which `is` is true the very first one. Returns it.
    pub(super) fn bring_forward(&mut self, is: impl Fn(&Flight) -> bool) -> Option<Flight> {
        if let Some(first) = self.first.filter(|flight| is(flight)) {
            return Some(first);
        }
        let at = self.rest.iter().position(is)?;
        let found = self.rest.remove(at)?;
        if let Some(before) = self.first.replace(found) {
            self.rest.push_front(before);
        }
        Some(found)
    }
}

/// A socket, and what is under way on it. What every reply touches comes first, in one piece.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) role: Role,
    pub(super) life: Life,
    /// Whether it is in the list of free ones.
    pub(super) is_listed: bool,
    pub(super) in_flight: u32,
    /// Bytes of requests that are to be sent.
    pub(super) owed: u64,
    /// When it was opened, then when it last got on.
    pub(super) since: Nanos,
    pub(super) flights: Flights,
    pub(super) place: Place,
    /// Different for every connection of the run.
    pub(super) number: u64,
    /// When its request was due, if it is made for one.
    pub(super) due: Nanos,
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
            let Some(flight) = self.flights.first.as_mut() else { break };
            let some = left.min(flight.count);
            each(flight, some);
            flight.count -= some;
            left -= some;
            if flight.count == 0 {
                self.flights.pop();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flights_land_in_their_order_unless_one_overtakes() {
        let mut flights = Flights::default();
        let flight = |at| Flight { due: 0, sent: 0, count: 1, at };
        (1..=4).for_each(|at| flights.push(flight(at)));
        assert_eq!(flights.bring_forward(|f| f.at == 3).map(|f| f.at), Some(3));
        assert!(flights.bring_forward(|f| f.at == 9).is_none());
        let order: Vec<_> = std::iter::from_fn(|| flights.pop()).map(|f| f.at).collect();
        assert_eq!(order, [3, 1, 2, 4]);
        assert!(flights.first().is_none());
    }
}
