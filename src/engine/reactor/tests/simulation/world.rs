//! The simulated network between its ends: what is on its way, when it arrives, what the server is told.

use std::collections::{BTreeMap, VecDeque};

use crate::engine::control::Command;
use crate::engine::net::{Ready, Source};
use crate::helper::Job;
use crate::protocol::ConnId;

use super::ladder::{Act, Trace};
use super::wire::{Segment, Wire, move_out};

/// What may go wrong, in thousandths of the times it could.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// An event tells all that is so (as epoll does), not only what is new (as others may).
    pub(super) full_state: bool,
    /// An event is told by a later poll, together with what happens meanwhile.
    pub(super) withheld: u16,
    /// An event without any cause.
    pub(super) spurious: u16,
    /// An event for a connection that is closed.
    pub(super) stale: u16,
    /// A system call is interrupted.
    pub(super) interrupted: u16,
    /// A write takes less than there is room for.
    pub(super) short: u16,
    /// Something arrives while the server is at it, before it is told.
    pub(super) early: u16,
    /// A client is gone before it is accepted.
    pub(super) aborted: u16,
    /// The network knows what a client has received.
    pub(super) knows_received: bool,
}

/// What is due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Arrive(usize),
    Take(usize),
    /// The server's socket has room again after a short write.
    Room(usize),
    /// The helper has done its next job.
    Job,
    /// A client, or whatever else the one who drives the network knows by this number.
    Driver(usize),
}

/// How an advance of time ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advance {
    Driver(usize),
    /// There is something to tell the server.
    Ready,
    /// The limit has come.
    TimedOut,
    /// Nothing will ever happen.
    Asleep,
}

/// See the module.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) rng: fastrand::Rng,
    pub(super) faults: Faults,
    pub(super) wires: Vec<Wire>,
    pub(super) trace: Trace,
    /// Connections that wait to be accepted, by listener.
    pub(super) backlogs: Vec<VecDeque<usize>>,
    pub(super) told_listener: Vec<bool>,
    /// What the helper is to do, and for whom it is done.
    pub(super) jobs: VecDeque<(ConnId, Job)>,
    pub(super) jobs_done: VecDeque<ConnId>,
    told_job: bool,
    pub(super) commands: VecDeque<Command>,
    pub(super) told_command: bool,
    /// Descriptors that there are, and those that are taken.
    pub(super) descriptors: usize,
    pub(super) open: usize,
    /// Connections in the order in which they were accepted.
    pub(super) accepted: Vec<usize>,
    /// Names of connections that are closed.
    pub(super) former: VecDeque<ConnId>,
    /// System calls of the server, and its polls.
    pub(super) calls: u64,
    pub(super) polls: u64,
    /// What the server must not do, and where it did.
    pub(super) violation: Option<(Option<usize>, String)>,
    pub(super) edges: Vec<usize>,
    agenda: BTreeMap<(u64, u64), Due>,
    order: u64,
}

impl World {
    pub(super) fn new(seed: u64, listeners: usize, trace: Trace) -> Self {
        Self {
            now: 0,
            rng: fastrand::Rng::with_seed(seed),
            faults: Faults::default(),
            wires: Vec::new(),
            trace,
            backlogs: vec![VecDeque::new(); listeners],
            told_listener: vec![true; listeners],
            jobs: VecDeque::new(),
            jobs_done: VecDeque::new(),
            told_job: true,
            commands: VecDeque::new(),
            told_command: true,
            descriptors: usize::MAX,
            open: 0,
            accepted: Vec::new(),
            former: VecDeque::new(),
            calls: 0,
            polls: 0,
            violation: None,
            edges: Vec::new(),
            agenda: BTreeMap::new(),
            order: 0,
        }
    }

    pub(super) fn chance(&mut self, thousandths: u16) -> bool {
        thousandths > 0 && self.rng.u16(..1000) < thousandths
    }

    /// Something is due so many milliseconds from now.
    pub(super) fn after(&mut self, wait: u64, due: Due) {
        self.order += 1;
        self.agenda.insert((self.now.saturating_add(wait), self.order), due);
    }

    pub(super) fn violate(&mut self, wire: usize, what: String) {
        self.violation.get_or_insert((Some(wire), what));
    }

    pub(super) fn note(&mut self, wire: usize, act: Act, bytes: &[u8]) {
        self.trace.note(self.now, wire, act, bytes);
    }

    /// A client connects.
    pub(super) fn connect(&mut self, wire: Wire) -> usize {
        let (number, listener) = (self.wires.len(), wire.listener);
        self.wires.push(wire);
        self.note(number, Act::Connects, b"");
        self.backlogs[listener].push_back(number);
        self.told_listener[listener] = false;
        number
    }

    /// A client sends; it arrives after a while, and never before what was sent earlier.
    pub(super) fn send(&mut self, wire: usize, segment: Segment, delay: u64) {
        let it = &mut self.wires[wire];
        if it.gone || (it.finished && !matches!(segment, Segment::Reset)) {
            return;
        }
        let act = match &segment {
            Segment::Bytes(_) => Act::Sends,
            Segment::Fin => Act::Ends,
            Segment::Reset => Act::Resets,
        };
        it.finished |= !matches!(segment, Segment::Bytes(_));
        it.gone |= matches!(segment, Segment::Reset);
        let before = it.flight.back().map_or(0, |(at, _)| *at);
        let at = before.max(self.now + delay);
        if let Segment::Bytes(bytes) = &segment {
            let bytes = bytes.clone();
            self.note(wire, act, &bytes);
        } else {
            self.note(wire, act, b"");
        }
        self.wires[wire].flight.push_back((at, segment));
        self.after(at - self.now, Due::Arrive(wire));
    }

    /// What is due arrives, as far as the server's socket holds it.
    pub(super) fn arrive(&mut self, wire: usize, is_early: bool) {
        let mut is_early = is_early;
        while let Some((at, segment)) = self.wires[wire].flight.front() {
            let it = &self.wires[wire];
            let waits = matches!(segment, Segment::Bytes(_)) && it.inbox.len() >= it.room && !it.closed;
            if waits || (*at > self.now && !std::mem::take(&mut is_early)) {
                return;
            }
            let Some((_, segment)) = self.wires[wire].flight.pop_front() else { return };
            self.take_in(wire, segment);
        }
    }

    fn take_in(&mut self, wire: usize, segment: Segment) {
        let it = &mut self.wires[wire];
        if it.closed {
            if matches!(segment, Segment::Bytes(_)) {
                it.destroy();
            }
            return;
        }
        let act = match &segment {
            Segment::Bytes(bytes) => {
                it.inbox.extend(bytes);
                Act::Arrives
            }
            Segment::Fin => {
                it.fin = true;
                Act::EndArrives
            }
            Segment::Reset => {
                it.reset = true;
                it.outbox.clear();
                Act::ResetArrives
            }
        };
        let is_reset = it.reset;
        let bytes = if let Segment::Bytes(bytes) = segment { bytes } else { Vec::new() };
        self.note(wire, act, &bytes);
        self.edge(wire, true, is_reset);
    }

    /// The client takes what its way of reading lets it.
    pub(super) fn take(&mut self, wire: usize) {
        let it = &mut self.wires[wire];
        it.is_reading = false;
        if it.gone {
            it.outbox.clear();
            return;
        }
        let n = it.outbox.len().min(it.reader.chunk);
        let start = it.received.len();
        it.received.resize(start + n, 0);
        move_out(&mut it.outbox, &mut it.received[start..]);
        it.taken += n as u64;
        let opens = it.blocked && it.is_writable();
        it.blocked &= !opens;
        if n > 0 {
            let taken = it.received[start..].to_vec();
            self.note(wire, Act::Takes, &taken);
        }
        if opens {
            self.edge(wire, false, true);
        }
        self.read_on(wire);
    }

    /// Has the client read when there is something for it, the end included.
    pub(super) fn read_on(&mut self, wire: usize) {
        let it = &mut self.wires[wire];
        if !it.outbox.is_empty() {
            if !std::mem::replace(&mut it.is_reading, true) {
                let pause = it.reader.pause;
                let wait = 1 + self.rng.u64(0..=pause);
                self.after(wait, Due::Take(wire));
            }
        } else if it.shut && !it.seen_end && !it.gone {
            it.seen_end = true;
            self.note(wire, Act::SeesEnd, b"");
            // A client that has read everything closes.
            if !self.wires[wire].finished {
                let wait = self.rng.u64(0..=20);
                self.send(wire, Segment::Fin, wait);
            }
        }
    }

    /// There is something new to tell the server of a connection.
    pub(super) fn edge(&mut self, wire: usize, readable: bool, writable: bool) {
        let it = &mut self.wires[wire];
        if it.closed || it.id.is_none() {
            return;
        }
        it.edge.readable |= readable;
        it.edge.writable |= writable;
        if !std::mem::replace(&mut it.is_queued, true) {
            self.edges.push(wire);
        }
    }

    /// Whether there is something to tell the server.
    pub(super) fn is_ready(&self) -> bool {
        !self.edges.is_empty() || self.told_listener.contains(&false) || !self.told_command || !self.told_job
    }

    /// Lets time pass until there is something to tell, `limit` has come, or the driver has something to do.
    pub(super) fn advance(&mut self, limit: Option<u64>) -> Advance {
        loop {
            let next = self.agenda.first_key_value().map(|(&(at, _), _)| at);
            let is_due = next.is_some_and(|at| at <= self.now);
            if !is_due && self.is_ready() {
                return Advance::Ready;
            }
            match (next, limit) {
                (None, None) => return Advance::Asleep,
                (Some(at), Some(limit)) if at > limit => return self.time_out(limit),
                (None, Some(limit)) => return self.time_out(limit),
                _ => {}
            }
            let Some(((at, _), due)) = self.agenda.pop_first() else { return Advance::Asleep };
            self.now = self.now.max(at);
            match due {
                Due::Arrive(wire) => self.arrive(wire, false),
                Due::Take(wire) => self.take(wire),
                Due::Room(wire) => {
                    let it = &mut self.wires[wire];
                    if it.blocked && it.is_writable() {
                        it.blocked = false;
                        self.edge(wire, false, true);
                    }
                }
                Due::Job => self.work(),
                Due::Driver(number) => return Advance::Driver(number),
            }
        }
    }

    fn work(&mut self) {
        if let Some((id, job)) = self.jobs.pop_front() {
            job.run();
            self.jobs_done.push_back(id);
            self.told_job = false;
        }
    }

    fn time_out(&mut self, limit: u64) -> Advance {
        self.now = self.now.max(limit);
        Advance::TimedOut
    }

    /// What a poll tells: some of what there is, in any order, and what is not so.
    pub(super) fn tell(&mut self, ready: &mut Vec<Ready>, most: usize) {
        self.polls += 1;
        self.tell_of_listeners(ready);
        let mut edges = std::mem::take(&mut self.edges);
        self.rng.shuffle(&mut edges);
        for wire in edges {
            if ready.len() >= most || self.chance(self.faults.withheld) {
                self.edges.push(wire);
                continue;
            }
            let it = &mut self.wires[wire];
            it.is_queued = false;
            let edge = std::mem::take(&mut it.edge);
            let all = self.faults.full_state;
            let readable = it.is_readable() && (edge.readable || all);
            let writable = it.is_writable() && (edge.writable || all);
            if let (false, Some(id), true) = (it.closed, it.id, readable || writable) {
                it.told_readable |= readable;
                it.told_in = if readable { self.polls } else { it.told_in };
                it.denied_write &= !writable;
                let read_closed = (it.fin || it.reset) && readable;
                ready.push(Ready { source: Source::Conn(id), readable, writable, read_closed });
                self.note(wire, Act::Told { readable, writable, read_closed }, b"");
            }
        }
        self.tell_what_is_not_so(ready);
    }

    fn tell_of_listeners(&mut self, ready: &mut Vec<Ready>) {
        let event = |source| Ready { source, readable: true, writable: false, read_closed: false };
        for (listener, told) in self.told_listener.iter_mut().enumerate() {
            if !std::mem::replace(told, true) {
                ready.push(event(Source::Listener(listener)));
            }
        }
        if !std::mem::replace(&mut self.told_command, true) {
            ready.push(event(Source::Control));
        }
        if !std::mem::replace(&mut self.told_job, true) {
            ready.push(event(Source::Jobs));
        }
    }

    fn tell_what_is_not_so(&mut self, ready: &mut Vec<Ready>) {
        if self.chance(self.faults.spurious) && !self.wires.is_empty() {
            let wire = self.rng.usize(..self.wires.len());
            let it = &mut self.wires[wire];
            let is_told = |id| ready.iter().any(|event| event.source == Source::Conn(id));
            if let (false, Some(id)) = (it.closed, it.id)
                && !is_told(id)
            {
                (it.told_readable, it.told_in) = (true, self.polls);
                it.denied_write = false;
                ready.push(Ready {
                    source: Source::Conn(id),
                    readable: true,
                    writable: true,
                    read_closed: false,
                });
                self.note(wire, Act::Told { readable: true, writable: true, read_closed: false }, b"");
            }
        }
        if self.chance(self.faults.stale) && !self.former.is_empty() {
            let id = self.former[self.rng.usize(..self.former.len())];
            ready.push(Ready { source: Source::Conn(id), readable: true, writable: true, read_closed: true });
        }
    }
}
