//! A chat room from outside: some members speak, and everybody else must hear every line.

use std::collections::VecDeque;

use rustix::io::Errno;

use super::Worker;
use super::connection::{Life, Role};
use crate::load::clock::{self, MILLI, Nanos};
use crate::load::exchange::chat::{Heard, Recipe};
use crate::load::fault::Fault;

/// How often the roll is called until everybody has heard it.
const ROLL_CALL: Nanos = 100 * MILLI;

/// What the members that speak have said.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) recipe: Recipe,
    speakers: Vec<Speaker>,
    next_call: Nanos,
    heard: Vec<Heard>,
}

#[derive(Debug)]
struct Speaker {
    key: usize,
    /// The number of the next line.
    next: u32,
    /// Lines that not everybody has heard, oldest first.
    said: VecDeque<Said>,
    is_gone: bool,
}

#[derive(Debug)]
struct Said {
    number: u32,
    sent: Nanos,
    /// How many have not heard it.
    missing: u32,
}

impl Room {
    pub(super) fn new(recipe: &Recipe) -> Self {
        Self { recipe: recipe.clone(), speakers: Vec::new(), next_call: 0, heard: Vec::new() }
    }

    /// A member comes; the first ones speak.
    pub(super) fn enter(&mut self, key: usize) -> Option<u32> {
        let me = u32::try_from(self.speakers.len()).ok().filter(|me| *me < self.recipe.senders)?;
        self.speakers.push(Speaker { key, next: 1, said: VecDeque::new(), is_gone: false });
        Some(me)
    }
}

impl Worker {
    /// Whether a connection may send requests: in a chat, only some speak.
    pub(super) fn may_speak(&self, key: usize) -> bool {
        let Some(_) = &self.room else { return true };
        self.connections.get(key).and_then(|c| c.receiver.as_ref()).is_some_and(|r| r.me.is_some())
    }

    /// Says lines.
    pub(super) fn say(&mut self, key: usize, due: Nanos, n: u32) {
        let Some(me) = self.speaker_of(key) else { return };
        let members = u32::try_from(self.gauges.active).unwrap_or(u32::MAX);
        let Some(room) = &mut self.room else { return };
        let Some(speaker) = room.speakers.get_mut(me as usize) else { return };
        let Some(connection) = self.connections.get_mut(key) else { return };
        for _ in 0..n {
            let line = room.recipe.line(me, speaker.next, due);
            let said = Said { number: speaker.next, sent: due, missing: members.saturating_sub(1) };
            speaker.said.push_back(said);
            speaker.next += 1;
            connection.lines.extend_from_slice(&line);
        }
        connection.in_flight += n;
        self.write_lines(key);
    }

    fn speaker_of(&self, key: usize) -> Option<u32> {
        self.connections.get(key)?.receiver.as_ref()?.me
    }

    pub(super) fn write_lines(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        while !connection.lines.is_empty() {
            match rustix::io::write(&connection.socket, &connection.lines) {
                Ok(n) => {
                    connection.lines.drain(..n);
                    self.tally.sent += n as u64;
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(errno) => return self.fail_errno(key, errno),
            }
        }
    }

    /// A member has received something.
    pub(super) fn listen(&mut self, key: usize, came: &[u8], now: Nanos) {
        let Some(room) = &mut self.room else { return };
        let mut heard = std::mem::take(&mut room.heard);
        let Some(receiver) = self.connections.get_mut(key).and_then(|c| c.receiver.as_mut()) else { return };
        let outcome = receiver.take(&room.recipe, came, &mut heard);
        for line in heard.drain(..) {
            if line.missed > 0 {
                self.tally.faults.count_many(Fault::Missed, line.missed.into());
            }
            self.tally.latency.record(now.saturating_sub(line.time));
            self.tally.deliveries += 1;
            self.last_progress = now;
            let from = line.number - line.missed;
            self.delivered(line.sender, from, line.number);
        }
        if let Some(room) = &mut self.room {
            room.heard = heard;
        }
        if let Err(mistake) = outcome {
            self.wrong(key, &mistake);
        }
    }

    /// One more has heard lines, or will not: those that everybody has are done.
    fn delivered(&mut self, sender: u32, from: u32, to: u32) {
        let Some(room) = &mut self.room else { return };
        let Some(speaker) = room.speakers.get_mut(sender as usize) else { return };
        let first = speaker.said.front().map_or(u32::MAX, |said| said.number);
        let last = speaker.said.back().map_or(0, |said| said.number);
        for number in from.max(first)..=to.min(last) {
            if let Some(said) = speaker.said.get_mut((number - first) as usize) {
                said.missing = said.missing.saturating_sub(1);
            }
        }
        let mut done = 0;
        while speaker.said.front().is_some_and(|said| said.missing == 0) {
            speaker.said.pop_front();
            done += 1;
        }
        let key = speaker.key;
        if done > 0 && !speaker.is_gone {
            self.line_done(key, done);
        }
    }

    fn line_done(&mut self, key: usize, done: u32) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.in_flight -= done;
        connection.place.replies += u64::from(done);
        self.gauges.in_flight -= u64::from(done);
        self.tally.replies += u64::from(done);
        if self.driving {
            self.get_going(key);
        }
    }

    /// A member is gone: nobody waits for it.
    pub(super) fn leave_room(&mut self, key: usize) {
        let Some(receiver) = self.connections.get_mut(key).and_then(|c| c.receiver.take()) else { return };
        let Some(room) = &mut self.room else { return };
        if let Some(speaker) = receiver.me.and_then(|me| room.speakers.get_mut(me as usize)) {
            speaker.is_gone = true;
            speaker.said.clear();
        }
        let senders = room.recipe.senders;
        for sender in (0..senders).filter(|sender| receiver.me != Some(*sender)) {
            self.delivered(sender, receiver.next_of(sender), u32::MAX);
        }
    }

    /// Whether the server has everybody in the room. Until it has, the roll is called.
    pub(super) fn is_room_complete(&mut self, now: Nanos) -> bool {
        let Some(room) = &mut self.room else { return true };
        let present = |connection: &super::Connection| {
            let heard = connection.receiver.as_ref().is_none_or(|r| r.present || r.me == Some(0));
            heard || !connection.is_open()
        };
        if self.connections.iter().all(|(_, connection)| present(connection)) {
            return true;
        }
        if now >= room.next_call {
            room.next_call = now + ROLL_CALL;
            let line = room.recipe.line(0, 0, now);
            let key = room.speakers.first().map(|speaker| speaker.key);
            if let Some((key, connection)) = key.and_then(|key| Some((key, self.connections.get_mut(key)?))) {
                connection.lines.extend_from_slice(&line);
                self.write_lines(key);
            }
        }
        now.saturating_sub(self.last_progress) > self.job.timeout
    }

    /// Lines that somebody has not heard in time are missed, so that the others can go on.
    pub(super) fn keep_room(&mut self, now: Nanos) {
        let timeout = self.job.timeout;
        let mut done = Vec::new();
        let Some(room) = &mut self.room else { return };
        for speaker in &mut room.speakers {
            let mut some = 0;
            let is_over = |said: &Said| now.saturating_sub(said.sent) > timeout;
            while let Some(said) = speaker.said.front().filter(|said| is_over(said)) {
                self.tally.faults.count_many(Fault::Stalled, said.missing.into());
                speaker.said.pop_front();
                some += 1;
            }
            if some > 0 && !speaker.is_gone {
                done.push((speaker.key, some));
            }
        }
        for (key, some) in done {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            connection.in_flight -= some;
            self.gauges.in_flight -= u64::from(some);
            if self.driving {
                self.get_going(key);
            }
        }
    }

    /// Idle members live if they hear what another says: one speaks, then another, so that the first hears too.
    pub(super) fn prove_by_speaking(&mut self, now: Nanos) {
        let Some(room) = &mut self.room else { return };
        if now < room.next_call {
            return;
        }
        room.next_call = now + ROLL_CALL;
        let line = room.recipe.line(0, 0, now);
        let idle = self.connections.iter().filter(|(_, c)| c.role == Role::Idle && c.is_open());
        let waiting: Vec<usize> =
            self.connections.iter().filter(|(_, c)| c.life == Life::Proving).map(|(key, _)| key).collect();
        let Some(first) = waiting.first().copied() else { return };
        let active = self.connections.iter().find(|(_, c)| c.role == Role::Active && c.is_open());
        let other = idle.map(|(key, _)| key).rev().find(|key| *key != first);
        let Some(speaker) = active.map(|(key, _)| key).or(other) else {
            // Alone: nobody else could make it hear anything.
            if let Some(connection) = self.connections.get_mut(first) {
                connection.life = Life::Proven;
                self.gauges.proven += 1;
            }
            return;
        };
        if let Some(connection) = self.connections.get_mut(speaker) {
            connection.lines.extend_from_slice(&line);
            connection.since = clock::now();
            self.write_lines(speaker);
        }
    }
}
