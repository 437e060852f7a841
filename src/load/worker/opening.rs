//! Connections: made, and made again.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Token};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::connection::{Connection, Flights, Life, Role};
use super::{Doing, Worker};
use crate::load::clock::{self, MILLI, Nanos};
use crate::load::exchange::chat::Receiver;
use crate::load::fault::Fault;
use crate::load::source;

/// Connections that are being made at once while there shall be more: a backlog is not overrun.
const AT_ONCE: u64 = 128;
/// Attempts in a turn.
pub(super) const PER_TURN: usize = 64;
/// How long a lost connection waits to be replaced: a server that refuses is not flooded.
const RETRY: Nanos = 50 * MILLI;

impl Worker {
    /// Opens what is wanted and is not there yet, and what was lost.
    pub(super) fn open_more(&mut self, now: Nanos) {
        let mut budget = PER_TURN;
        while self.doing == Some(Doing::Opening) && self.gauges.connecting < AT_ONCE && budget > 0 {
            budget -= 1;
            if self.wanted.idle_tried < self.wanted.idle {
                self.wanted.idle_tried += 1;
                self.connect(Role::Idle, now);
            } else if self.wanted.active_tried < self.wanted.active && !self.job.churn {
                self.wanted.active_tried += 1;
                self.connect(Role::Active, now);
            } else {
                break;
            }
        }
        while self.driving && budget > 0 && self.retries.front().is_some_and(|at| *at <= now) {
            budget -= 1;
            self.retries.pop_front();
            if self.job.churn {
                self.slots += 1;
                self.fill_slots(now);
            } else {
                self.connect(Role::Active, now);
            }
        }
    }

    /// In a closed loop with a connection per request: as many as there may be.
    pub(super) fn fill_slots(&mut self, now: Nanos) {
        if self.job.rate.is_some() {
            return;
        }
        while self.driving && self.slots > 0 && self.left != Some(0) {
            self.slots -= 1;
            self.connect(Role::Active, now);
        }
    }

    pub(super) fn set_slots(&mut self, active: u32) {
        let there = self.connections.iter().filter(|(_, connection)| connection.role == Role::Active).count();
        self.slots = active.saturating_sub(u32::try_from(there).unwrap_or(u32::MAX));
    }

    /// Begins a connection; `due` is when it was due, which is what a request on it counts from.
    pub(super) fn connect(&mut self, role: Role, due: Nanos) {
        match self.begin(role, due) {
            Ok(()) => self.gauges.connecting += u64::from(!self.job.udp),
            Err(errno) => {
                self.tally.faults.count_errno(errno);
                self.retry(role);
            }
        }
    }

    /// Whoever was driven is replaced, in a while.
    pub(super) fn retry(&mut self, role: Role) {
        if role == Role::Active && self.room.is_none() {
            self.retries.push_back(clock::now() + RETRY);
        }
    }

    fn begin(&mut self, role: Role, due: Nanos) -> Result<(), Errno> {
        let number = self.next_number;
        self.next_number += u64::from(self.job.workers);
        let since = clock::now();
        let socket = self.socket(number)?;
        let life = if self.job.udp { Life::Open } else { Life::Connecting };
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        let fd = socket.as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut SourceFd(&fd), Token(key), interest);
        registered.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::NOMEM))?;
        entry.insert(Connection {
            socket,
            number,
            role,
            life,
            place: self.exchange.begin(number),
            flights: Flights::default(),
            in_flight: 0,
            owed: 0,
            since,
            due,
            is_listed: false,
            receiver: None,
            lines: Vec::new(),
            past: VecDeque::new(),
        });
        if let Some(room) = &mut self.room
            && role == Role::Active
        {
            let me = room.enter(key);
            let receiver = Box::new(Receiver::new(&room.recipe, me));
            if let Some(connection) = self.connections.get_mut(key) {
                connection.receiver = Some(receiver);
            }
        }
        if self.job.udp {
            self.gauges.active += 1;
            self.get_going(key);
        }
        Ok(())
    }

    fn socket(&self, number: u64) -> Result<OwnedFd, Errno> {
        let target = &self.job.target;
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let kind = if self.job.udp { SocketType::DGRAM } else { SocketType::STREAM };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        if !self.job.udp {
            // A request that waits for the last one's acknowledgement measures the kernel's timer.
            sockopt::set_tcp_nodelay(&socket, true)?;
        }
        if self.job.sources > 0 {
            source::bind(&socket, source::address(number % u64::from(self.job.sources)))?;
        }
        match rustix::net::connect(&socket, target) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(errno) => Err(errno),
        }
    }

    /// A connection that was being made is ready, or failed.
    pub(super) fn connected(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let outcome = sockopt::socket_error(&connection.socket).unwrap_or_else(Err);
        if let Err(errno) = outcome {
            return self.fail_errno(key, errno);
        }
        let now = clock::now();
        connection.life = Life::Open;
        let began = std::mem::replace(&mut connection.since, now);
        let role = connection.role;
        self.gauges.connecting -= 1;
        self.tally.connects += 1;
        self.tally.connect.record(now - began);
        self.last_progress = now;
        match role {
            Role::Idle => self.gauges.idle += 1,
            Role::Active => {
                self.gauges.active += 1;
                self.get_going(key);
            }
        }
    }

    /// An active connection can be used from now on.
    pub(super) fn get_going(&mut self, key: usize) {
        if !self.driving {
            if self.job.churn {
                // Made for a request that will not be sent any more.
                self.slots += u32::from(self.end(key).is_some());
            }
            return;
        }
        if self.job.churn {
            let due = self.connection(key).map_or_else(clock::now, |connection| connection.due);
            self.issue(key, due, 1);
        } else if self.schedule.is_some() {
            self.list_free(key);
        } else {
            self.refill(key);
        }
    }

    /// Ends a connection for a failure of the network.
    pub(super) fn fail_errno(&mut self, key: usize, errno: Errno) {
        let connecting = self.connection(key).is_some_and(|connection| connection.life == Life::Connecting);
        let idle = self.connection(key).is_some_and(|connection| connection.role == Role::Idle);
        match Fault::of(errno) {
            Fault::ConnectTimeout if !connecting => self.tally.faults.count(Fault::Stalled),
            Fault::Reset if idle && !connecting => self.tally.faults.count(Fault::IdleClosed),
            _ => self.tally.faults.count_errno(errno),
        }
        self.lose(key);
    }

    /// Ends a connection for a failure.
    pub(super) fn fail(&mut self, key: usize, fault: Fault) {
        self.tally.faults.count(fault);
        self.lose(key);
    }

    fn lose(&mut self, key: usize) {
        if let Some(role) = self.end(key) {
            self.retry(role);
        }
    }

    /// Ends a connection. Its slot is freed at the turn's end: events of this turn may still name it.
    pub(super) fn end(&mut self, key: usize) -> Option<Role> {
        let connection = self.connections.get_mut(key).filter(|c| c.life != Life::Dead)?;
        let before = std::mem::replace(&mut connection.life, Life::Dead);
        match (before, connection.role) {
            (Life::Connecting, _) => self.gauges.connecting -= 1,
            (_, Role::Active) => self.gauges.active -= 1,
            (_, Role::Idle) => self.gauges.idle -= 1,
        }
        self.gauges.proven -= u64::from(before == Life::Proven);
        self.gauges.in_flight -= u64::from(connection.in_flight);
        let role = connection.role;
        if self.room.is_some() {
            self.leave_room(key);
        }
        self.dead.push(key);
        Some(role)
    }

    /// Frees the slots of connections that are over, and replaces those of one request each.
    pub(super) fn reap(&mut self) {
        while let Some(key) = self.dead.pop() {
            let Some(connection) = self.connections.try_remove(key) else { continue };
            if self.job.reset {
                let _ = sockopt::set_socket_linger(&connection.socket, Some(std::time::Duration::ZERO));
            }
        }
        if self.job.churn && self.slots > 0 {
            self.fill_slots(clock::now());
        }
    }
}
