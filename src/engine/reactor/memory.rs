//! What connections hold in memory, and the end of those that hold too much: see [`Ledger`].
//!
//! [`Ledger`]: super::super::ledger::Ledger

use super::super::net::Net;
use super::Reactor;
use crate::protocol::Why;

impl<N: Net> Reactor<N> {
    /// Notes what a connection holds by now. Nothing has to be noted of those that are at rest: they never
    /// get here.
    pub(super) fn keep_account(&mut self, key: u32) {
        let Some(slot) = self.slots.get_mut(key as usize) else { return };
        match slot.holds() {
            (0, false) => {}
            (0, true) => self.ledger.forget(key),
            (held, _) => {
                self.ledger.note(key, held, slot.moved.written(), self.context.now);
                if self.ledger.is_over() {
                    self.make_room();
                }
            }
        }
    }

    /// Gives up those whose memory can best be spared.
    fn make_room(&mut self) {
        let now = self.context.now;
        let sent = |key: u32| self.slots.get(key as usize).map_or(0, |slot| slot.moved.written());
        for (key, account) in self.ledger.victims(now, sent) {
            let Some(slot) = self.slots.get_mut(key as usize) else { continue };
            let service = self.context.services.get(usize::from(slot.service));
            let who = format!(
                "{} of {}, which held {} bytes, some of them for {:?}",
                slot.peer,
                service.map_or("", |service| &service.name),
                account.held,
                account.since.age(now),
            );
            slot.conn.fail(Why::GaveWay);
            self.dead.push(key);
            self.ledger.gave_way(key, account.held, who);
        }
    }
}
