//! What the operator asks of a reactor that runs: to read its configuration again, to say how it is.

use std::time::Duration;

use super::super::net::Net;
use super::Reactor;
use crate::time::Time;

/// How many of the slowest readers are named.
const SLOWEST: usize = 5;

/// How many turns there were, and how long they took while somebody waited for the next one. Whoever
/// sleeps after a turn keeps nobody waiting; so the clock need not be read twice.
#[derive(Debug, Default)]
pub(super) struct Turns {
    count: u64,
    longest: Duration,
    /// The poll was not to wait.
    was_busy: bool,
}

impl Turns {
    /// A turn begins now; the last one began `before`.
    #[inline]
    pub(super) fn begin(&mut self, before: Time, now: Time) {
        self.count += 1;
        if self.was_busy && before != now {
            self.longest = self.longest.max(now.since(before).unwrap_or_default());
        }
    }

    /// A turn is through; the poll waits so long.
    #[inline]
    pub(super) fn end(&mut self, timeout: Option<Duration>) {
        self.was_busy = timeout == Some(Duration::ZERO);
    }
}

impl<N: Net> Reactor<N> {
    /// Goes by the configuration as it is by now. Who is connected stays, with the options it began with.
    pub(super) fn read_again(&mut self) {
        let Some(services) = self.reload.services() else { return };
        let inside = self.slots.iter().map(|(_, slot)| slot).filter(|slot| slot.is_guest());
        let inside = inside.map(|slot| (usize::from(slot.service), slot.peer.ip()));
        let elsewhere = self.context.net.inside_elsewhere();
        self.doors.set_policies(&services, inside.chain(elsewhere));
        self.context.net.set_services(&services);
        self.context.services = services;
        self.renew_datagrams();
        // Who has been waiting without an end may have one now.
        for id in self.everyone() {
            self.settle(id);
        }
    }

    /// Writes to the log how things are.
    pub(super) fn dump(&self) {
        let Turns { count, longest, .. } = self.turns;
        let (open, queue) = (self.connections(), self.runnable.len());
        log::info!(
            "state: {open} open; {count} turns, the longest {longest:?} while others waited; {queue} in the \
             run queue"
        );
        self.doors.lines().for_each(|line| log::info!("state: {line}"));
        let mut slow: Vec<_> =
            self.slots.iter().map(|(_, slot)| slot).filter(|slot| slot.conn.owed() > 0).collect();
        slow.sort_by_key(|slot| std::cmp::Reverse(slot.conn.owed()));
        for slot in slow.into_iter().take(SLOWEST) {
            let service =
                self.context.services.get(usize::from(slot.service)).map_or("", |service| &service.name);
            let (owed, peer) = (slot.conn.owed(), &slot.peer);
            log::info!(
                "state: {owed} bytes wait for {peer} of {service}, which took {} so far",
                slot.written
            );
        }
    }
}
