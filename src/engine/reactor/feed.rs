//! Feeding the members of rooms: once a turn, everything new in one write each.

use std::iter;
use std::sync::Arc;

use super::super::net::Net;
use super::super::outlet::Speaker;
use super::Reactor;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::protocol::{ConnId, Why};
use crate::room::{MemberId, Rooms};

/// Members whose slots are looked at before the first of them is written to.
const FEED_TOGETHER: usize = 16;

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
        let mut hearers = std::mem::take(&mut self.hearers);
        let mut left = limits::FEED_PER_TURN;
        while left > 0 {
            hearers.extend(iter::from_fn(|| rooms.next_pending()).take(FEED_TOGETHER.min(left)));
            left -= hearers.len();
            if hearers.is_empty() {
                break;
            }
            self.feed_together(&mut hearers, rooms);
        }
        self.hearers = hearers;
        left == 0
    }

    /// Feeds some members. Looking at all of their slots first, one after the other, has the memory fetch them
    /// at once; between two writes each would be waited for by itself, and with a thousand members none of
    /// them is in a near cache any more.
    fn feed_together(&mut self, hearers: &mut Vec<(MemberId, ConnId)>, rooms: &mut Rooms) {
        hearers.retain(|(_, id)| {
            let slot = self.slots.get(id.key as usize);
            Speaker::index(*id).is_some() || slot.is_some_and(|slot| slot.is_open_as(*id))
        });
        for (member, id) in hearers.drain(..) {
            if let Some(index) = Speaker::index(id) {
                self.speak(index, rooms);
            } else if let Some(slot) = self.slots.get_mut(id.key as usize) {
                slot.feed(member, id, &mut self.context, rooms);
                // Feeding moves no deadline: mostly there is nothing to settle.
                if slot.is_dead() || slot.has_more_to_do() {
                    self.settle(id);
                }
            }
        }
    }

    /// Members leave a room after their slot is gone: those who stay have not heard of it, and nothing else
    /// may wake the loop.
    pub(super) fn look_at_rooms(&mut self) {
        let rooms = self.context.shared.rooms();
        self.rooms_pending |= rooms.has_pending() && !is_planted(Mutant::LeavingUnheard);
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
