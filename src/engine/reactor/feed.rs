//! Feeding the members of rooms: once a turn, everything new in one write each.

use std::sync::Arc;

use super::super::net::Net;
use super::super::outlet::Speaker;
use super::Reactor;
use crate::limits;
use crate::protocol::{ConnId, Why};
use crate::room::Rooms;

impl<N: Net> Reactor<N> {
    /// Lets the rooms do what is due, then feeds as many members as fit in a turn; whether some are left
    /// for the next. A member whose socket takes nothing is passed over: when it takes something again,
    /// there is an event.
    pub(super) fn feed_rooms(&mut self) -> bool {
        if self.rooms_due <= self.context.now {
            self.tick_rooms();
        }
        let shared = Arc::clone(&self.context.shared);
        let mut rooms = shared.rooms();
        self.speak_again(&mut rooms);
        let left = self.feed_members(&mut rooms);
        self.rooms_due = rooms.due();
        let transcripts = rooms.take_unwritten();
        drop(rooms);
        transcripts.iter().for_each(|journal| journal.flush());
        left
    }

    fn feed_members(&mut self, rooms: &mut Rooms) -> bool {
        for _ in 0..limits::FEED_PER_TURN {
            let Some((_, id)) = rooms.next_pending() else { return false };
            if let Some(index) = Speaker::index(id) {
                self.speak(index, rooms);
                continue;
            }
            let slot = self.slots.get_mut(id.key as usize);
            if let Some(slot) = slot.filter(|slot| slot.generation == id.generation) {
                slot.feed(id, &mut self.context, rooms);
                self.settle(id);
            }
        }
        true
    }

    /// Members leave a room after their slot is gone: those who stay have not heard of it, and nothing else
    /// may wake the loop.
    pub(super) fn look_at_rooms(&mut self) {
        let rooms = self.context.shared.rooms();
        self.rooms_pending |= rooms.has_pending();
        self.rooms_due = rooms.due();
    }

    fn tick_rooms(&mut self) {
        let expelled = {
            let mut rooms = self.context.shared.rooms();
            rooms.tick(self.context.now);
            rooms.take_expelled()
        };
        for id in expelled {
            self.expel(id);
        }
    }

    /// Gives up a connection that takes nothing of what its room has for it.
    fn expel(&mut self, id: ConnId) {
        let slot = self.slots.get_mut(id.key as usize);
        if let Some(slot) = slot.filter(|slot| slot.generation == id.generation) {
            slot.conn.fail(Why::TimedOut);
            self.settle(id);
        }
    }
}
