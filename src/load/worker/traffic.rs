//! Requests out, replies in.

use mio::event::Event;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::connection::{Connection, Flight, Life, Role};
use super::{Worker, opening};
use crate::load::clock::{self, Nanos};
use crate::load::exchange::Mistake;
use crate::load::fault::{Fault, Wrong};
use crate::load::schedule::Schedule;

/// Reads of one connection in a turn, before the others get theirs.
const READS_PER_TURN: usize = 16;
/// Requests of the schedule sent in a turn, before replies are looked for.
const DUE_PER_TURN: usize = 256;
/// Bytes written at once.
const PIECE: u64 = 64 * 1024;

impl Worker {
    /// Something has happened to a connection.
    #[inline]
    pub(super) fn event(&mut self, key: usize, event: &Event) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.life == Life::Connecting {
            if !(event.is_writable() || event.is_error() || event.is_read_closed()) {
                return;
            }
            self.connected(key);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(key, event.is_read_closed() || event.is_error());
        }
        if event.is_writable() && self.connection(key).is_some_and(|c| c.owed > 0 || !c.lines.is_empty()) {
            self.write(key);
        }
    }

    /// Those that were stopped for the others' sake.
    pub(super) fn go_on(&mut self) {
        for key in std::mem::take(&mut self.again) {
            if self.exchange.is_one_way() {
                self.refill(key);
            }
            self.read(key, true);
        }
    }

    /// Reads until there is no more. Unless the end is near, a short read has read everything.
    fn read(&mut self, key: usize, to_the_end: bool) {
        // Lent to the calls below, which need all of the worker.
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut reads = 0;
        while let Some(connection) = self.connections.get_mut(key).filter(|c| c.is_open()) {
            if reads == READS_PER_TURN {
                self.again.push(key);
                break;
            }
            reads += 1;
            let received = recv(&connection.socket, &mut buffer[..], RecvFlags::empty());
            match received.map(|(n, _)| n) {
                Ok(0) if !self.job.udp => self.ended(key),
                Ok(n) => {
                    let came = buffer.get(..n).unwrap_or_default();
                    self.received(key, came);
                    if n < buffer.len() && !to_the_end && !self.job.udp {
                        break;
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => self.fail_errno(key, errno),
            }
        }
        self.buffer = buffer;
    }

    fn received(&mut self, key: usize, came: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let now = clock::now();
        self.tally.received += came.len() as u64;
        connection.since = now;
        if connection.role == Role::Idle {
            return self.received_idle(key, came);
        }
        if connection.receiver.is_some() {
            return self.listen(key, came, now);
        }
        if self.job.udp {
            return self.received_datagram(key, came, now);
        }
        let taken = self.exchange.take(&mut connection.place, came);
        let in_flight = connection.in_flight;
        match taken {
            Ok(done) if self.may_turn_round(key, done) => self.turn_round(key, done, now),
            Ok(0) if in_flight > 0 || self.exchange.is_one_way() => {}
            Ok(done) if done > in_flight || (done == in_flight && self.too_much(key)) => {
                let note = format!("{} bytes came that nobody had asked for", came.len());
                let mistake = Mistake { fault: Fault::Unasked, ..Mistake::new(0, b"", came, note) };
                self.wrong(key, &mistake);
            }
            Ok(done) => self.replied(key, done, now),
            Err(mistake) => self.wrong(key, &mistake),
        }
    }

    /// Whether everything that is in flight has come and nothing more, and as much is to be sent again.
    #[inline]
    fn may_turn_round(&self, key: usize, done: u32) -> bool {
        let Some(connection) = self.connections.get(key) else { return false };
        let has_come = connection.flights.first().is_some_and(|flight| flight.count == done)
            && connection.in_flight == done
            && !self.exchange.is_within(&connection.place);
        let is_wanted = self.is_plain
            && self.driving
            && done == self.job.pipeline
            && self.left.is_none_or(|left| left >= done.into());
        has_come && is_wanted && !connection.place.closes
    }

    /// What [`Worker::replied`] and [`Worker::issue`] come to under nearly every load: the same flight once more.
    #[inline]
    fn turn_round(&mut self, key: usize, done: u32, now: Nanos) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(flight) = connection.flights.first_mut() else { return };
        self.tally.latency.record_n(now.saturating_sub(flight.due), done.into());
        (flight.due, flight.sent) = (now, now);
        connection.owed += u64::from(done) * self.exchange.request_len as u64;
        self.tally.replies += u64::from(done);
        self.tally.requests += u64::from(done);
        self.last_progress = now;
        if let Some(left) = &mut self.left {
            *left -= u64::from(done);
        }
        self.write(key);
    }

    /// Whether more came than the replies that were due.
    fn too_much(&self, key: usize) -> bool {
        self.connections.get(key).is_some_and(|c| self.exchange.is_within(&c.place))
    }

    /// Replies have come whole: they are counted, and the next requests sent.
    #[inline]
    pub(super) fn replied(&mut self, key: usize, done: u32, now: Nanos) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (latency, service) = (&mut self.tally.latency, &mut self.tally.service);
        connection.land(done, |flight, n| {
            latency.record_n(now.saturating_sub(flight.due), n.into());
            if let Some(service) = service {
                service.record_n(now.saturating_sub(flight.sent), n.into());
            }
        });
        self.tally.replies += u64::from(done);
        self.gauges.in_flight -= u64::from(done);
        self.last_progress = now;
        if self.job.churn && connection.in_flight == 0 {
            self.slots += u32::from(self.end(key).is_some());
            return;
        }
        if connection.place.closes {
            if connection.in_flight > 0 {
                self.tally.faults.count_many(Fault::Short, connection.in_flight.into());
            }
            return self.replace(key);
        }
        if self.driving {
            self.get_more(key, now);
        }
    }

    /// The server ends the connection after a reply, as some do: it is replaced, and nothing is wrong.
    fn replace(&mut self, key: usize) {
        self.end(key);
        self.retries.push_front(0);
    }

    #[inline]
    fn get_more(&mut self, key: usize, now: Nanos) {
        if self.schedule.is_some() {
            self.list_free(key);
        } else {
            self.refill_at(key, now);
        }
    }

    /// Closed loop: as many requests as may be in flight.
    pub(super) fn refill(&mut self, key: usize) {
        self.refill_at(key, clock::now());
    }

    fn refill_at(&mut self, key: usize, now: Nanos) {
        let Some(connection) = self.connections.get(key).filter(|c| c.is_open()) else { return };
        let room = self.job.pipeline.saturating_sub(connection.in_flight);
        if self.driving && room > 0 && self.may_speak(key) {
            self.issue(key, now, room);
        }
    }

    /// Open loop: the connection can take a request.
    pub(super) fn list_free(&mut self, key: usize) {
        let may_speak = self.may_speak(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if may_speak && !connection.is_listed && connection.in_flight < self.job.pipeline {
            connection.is_listed = true;
            self.free.push_back((key, connection.number));
        }
    }

    /// Whether anything that is due can be sent.
    pub(super) fn can_send_due(&self) -> bool {
        self.left != Some(0) && if self.job.churn { self.slots > 0 } else { !self.free.is_empty() }
    }

    /// Open loop: sends what is due, as long as there is a connection for it.
    pub(super) fn send_due(&mut self) {
        for _ in 0..DUE_PER_TURN {
            let Some(due) = self.schedule.as_ref().map(Schedule::due) else { return };
            let now = clock::now();
            if due > now || !self.can_send_due() {
                return;
            }
            if self.job.churn {
                self.slots -= 1;
                self.connect(Role::Active, due);
            } else if !self.send_to_free(due, now) {
                continue;
            }
            if let Some(schedule) = &mut self.schedule {
                schedule.advance();
            }
        }
    }

    fn send_to_free(&mut self, due: Nanos, now: Nanos) -> bool {
        let Some((key, number)) = self.free.pop_front() else { return false };
        let same = |c: &&mut Connection| c.number == number && c.is_open();
        let Some(connection) = self.connections.get_mut(key).filter(same) else { return false };
        connection.is_listed = false;
        // What was due while no connection was free is not this program's lateness.
        if let (Some(lateness), true) = (&mut self.tally.lateness, connection.since <= due) {
            lateness.record(now - due);
        }
        self.issue(key, due, 1);
        self.list_free(key);
        true
    }

    /// Sends up to `n` requests that were due at `due`.
    pub(super) fn issue(&mut self, key: usize, due: Nanos, n: u32) {
        let n = match &mut self.left {
            Some(left) => {
                let n = u64::from(n).min(*left);
                *left -= n;
                u32::try_from(n).unwrap_or(u32::MAX)
            }
            None => n,
        };
        if n == 0 {
            return;
        }
        self.tally.requests += u64::from(n);
        self.gauges.in_flight += u64::from(n);
        if self.room.is_some() {
            return self.say(key, due, n);
        }
        if self.job.udp {
            return self.send_datagrams(key, due, n);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        let sent = if self.tally.service.is_some() { clock::now() } else { due };
        if connection.in_flight == 0 {
            connection.since = sent;
        }
        connection.flights.push(Flight { due, sent, count: n, at: 0 });
        connection.in_flight += n;
        connection.owed += u64::from(n) * self.exchange.request_len as u64;
        self.write(key);
    }

    /// Writes what is owed, as far as the socket takes it.
    pub(super) fn write(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key).filter(|c| c.is_open()) else { return };
        if !connection.lines.is_empty() {
            return self.write_lines(key);
        }
        while connection.owed > 0 {
            let max = usize::try_from(connection.owed.min(PIECE)).unwrap_or_default();
            let piece = self.exchange.outgoing(&connection.place, max);
            let len = piece.len();
            match send(&connection.socket, piece, SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.exchange.sent(&mut connection.place, n);
                    connection.owed -= n as u64;
                    self.tally.sent += n as u64;
                    if n < len {
                        return;
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(errno) => return self.fail_errno(key, errno),
            }
        }
        if self.exchange.is_one_way() && connection.in_flight > 0 {
            self.sent_one_way(key);
        }
    }

    /// Where nothing comes back, a request is done when the kernel has it.
    pub(super) fn sent_one_way(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (done, now) = (connection.in_flight, clock::now());
        connection.since = now;
        let latency = &mut self.tally.latency;
        connection.land(done, |flight, n| latency.record_n(now.saturating_sub(flight.due), n.into()));
        self.gauges.in_flight -= u64::from(done);
        self.tally.replies += u64::from(done);
        self.last_progress = now;
        if self.job.churn {
            self.slots += u32::from(self.end(key).is_some());
        } else if self.schedule.is_some() {
            self.list_free(key);
        } else {
            // Not now: the others have their turn first.
            self.again.push(key);
        }
    }

    /// The server has closed.
    fn ended(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.role == Role::Idle {
            return self.fail(key, Fault::IdleClosed);
        }
        match self.exchange.end(&mut connection.place) {
            Ok(done @ 1..) if done <= connection.in_flight => {
                connection.place.closes = true;
                self.replied(key, done, clock::now());
            }
            Ok(_) if connection.in_flight > 0 || connection.receiver.is_some() => {
                self.fail(key, Fault::Short);
            }
            Ok(_) => self.replace(key),
            Err(mistake) => self.wrong(key, &mistake),
        }
    }

    /// Counts a wrong reply. What follows on that connection would be wrong too, so it ends.
    pub(super) fn wrong(&mut self, key: usize, mistake: &Mistake) {
        let Some(connection) = self.connections.get(key) else { return };
        let wrong = Wrong {
            connection: connection.number,
            local: connection.local(),
            reply: connection.place.replies + 1,
            offset: mistake.offset,
            expected: mistake.expected.clone(),
            came: mistake.came.clone(),
            note: mistake.note.clone(),
        };
        self.tally.faults.note_wrong(mistake.fault, wrong);
        if let Some(role) = self.end(key) {
            self.retry(role);
        }
    }

    /// Begins to send, or goes on.
    pub(super) fn drive(&mut self, now: Nanos) {
        self.driving = true;
        let (index, workers) = (self.job.index, self.job.workers);
        match (&mut self.schedule, self.job.rate) {
            (Some(schedule), _) => schedule.resume(now),
            (None, Some(rate)) => self.schedule = Some(Schedule::new(now, rate, index, workers)),
            (None, None) => {}
        }
        for key in self.keys_of(Role::Active) {
            if !self.job.churn {
                self.get_going(key);
            }
        }
        self.fill_slots(now);
    }
}

const _: () = assert!(opening::PER_TURN <= DUE_PER_TURN);
