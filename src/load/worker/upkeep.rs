//! What takes time: time-outs, the proof that idle connections live, and when something is done.

use super::connection::{Life, Role};
use super::{Doing, Worker};
use crate::load::clock::Nanos;
use crate::load::exchange::Recipe;
use crate::load::fault::Fault;

/// Idle connections asked in a turn.
const PROOFS_PER_TURN: usize = 256;
/// How many of them may be waiting for their answer: the server's backlog is work, not a queue of time-outs.
const PROOFS_AT_ONCE: usize = 1024;

impl Worker {
    /// Ends what has waited for too long.
    pub(super) fn sweep(&mut self, now: Nanos) {
        let timeout = self.job.timeout;
        let mut late = Vec::new();
        for (key, connection) in &self.connections {
            let waits = match connection.life {
                Life::Connecting | Life::Proving => true,
                Life::Open => connection.in_flight > 0 && connection.receiver.is_none(),
                Life::Proven | Life::Dead => false,
            };
            if waits && now.saturating_sub(connection.since) > timeout {
                late.push((key, connection.life));
            }
        }
        for (key, life) in late {
            match life {
                Life::Connecting => self.fail(key, Fault::ConnectTimeout),
                Life::Proving => self.fail(key, Fault::IdleDead),
                _ if self.job.udp => self.lose_datagrams(key, now),
                _ => self.fail(key, Fault::Stalled),
            }
        }
        if self.room.is_some() {
            self.keep_room(now);
        }
    }

    /// Whether what is being done is done.
    pub(super) fn check_done(&mut self, now: Nanos) {
        let done = match self.doing {
            None => return,
            Some(Doing::Opening) => self.is_settled() && self.is_room_complete(now),
            // What has not come within the time-out was swept away by then.
            Some(Doing::Pausing) => {
                self.gauges.in_flight == 0 || now.saturating_sub(self.last_progress) > 2 * self.job.timeout
            }
            Some(Doing::Proving { next }) => self.prove(next, now),
        };
        if done {
            self.doing = None;
            self.done += 1;
            self.publish();
        }
    }

    /// Goes on asking idle connections from slot `next` on. Returns whether all have answered, or are gone.
    fn prove(&mut self, next: usize, now: Nanos) -> bool {
        let waiting = self.connections.iter().filter(|(_, c)| c.life == Life::Proving).count();
        let mut budget = PROOFS_PER_TURN.min(PROOFS_AT_ONCE.saturating_sub(waiting));
        let mut key = next;
        let end = self.connections.capacity();
        while key < end && budget > 0 {
            let asked =
                self.connections.get(key).is_some_and(|c| c.role == Role::Idle && c.life == Life::Open);
            if asked {
                budget -= 1;
                self.ask(key, now);
            }
            key += 1;
        }
        self.doing = Some(Doing::Proving { next: key });
        if key < end {
            return false;
        }
        if self.room.is_some() {
            self.prove_by_speaking(now);
        }
        !self.connections.iter().any(|(_, c)| c.life == Life::Proving)
    }

    fn ask(&mut self, key: usize, now: Nanos) {
        let passive = self.exchange.is_one_way() || matches!(self.job.recipe, Recipe::Raw { .. });
        let one_byte = matches!(self.job.recipe, Recipe::Echo { .. });
        let Some(connection) = self.connections.get_mut(key) else { return };
        if passive {
            // There is nothing to ask: its end would have come as an event.
            connection.life = Life::Proven;
            self.gauges.proven += 1;
            return;
        }
        connection.life = Life::Proving;
        connection.since = now;
        if self.room.is_none() {
            connection.owed = if one_byte { 1 } else { self.exchange.request_len as u64 };
            self.write(key);
        }
    }

    /// Something came to an idle connection.
    pub(super) fn received_idle(&mut self, key: usize, came: &[u8]) {
        let proving = matches!(self.job.recipe, Recipe::Chat(_) | Recipe::Modify { .. } | Recipe::Raw { .. });
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.life {
            Life::Proving => {
                if matches!(self.job.recipe, Recipe::Echo { .. })
                    && let Err(mistake) = self.exchange.take(&mut connection.place, came)
                {
                    return self.wrong(key, &mistake);
                }
                connection.life = Life::Proven;
                self.gauges.proven += 1;
            }
            // A greeting, or what others say.
            Life::Proven => {}
            _ if proving => {}
            _ => self.fail(key, Fault::Unasked),
        }
    }
}
