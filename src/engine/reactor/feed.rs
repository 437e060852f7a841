//! Feeding the members of rooms: once a turn, everything new in one write each.

use super::super::net::Net;
use super::Reactor;
use crate::limits;

impl<N: Net> Reactor<N> {
    /// Feeds as many members as fit in a turn; whether some are left for the next. A member whose socket
    /// takes nothing is passed over: when it takes something again, there is an event.
    pub(super) fn feed_rooms(&mut self) -> bool {
        for _ in 0..limits::FEED_PER_TURN {
            let Some((_, id)) = self.context.shared.rooms().next_pending() else { return false };
            let Some(slot) = self.slots.get_mut(id.key as usize).filter(|s| s.generation == id.generation)
            else {
                continue;
            };
            if slot.can_be_fed() {
                slot.feed(&mut self.context);
                self.settle(id);
            }
        }
        true
    }
}
