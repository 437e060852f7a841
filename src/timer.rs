//! Deadlines of many connections: a binary heap that knows where each connection's entry is.
//!
//! Twelve bytes per connection that ever had a deadline, none for one that never had. A connection has
//! one entry at most. Moving a deadline later costs nothing here: the entry fires early, its owner sees
//! that the deadline is later, and arms it again. Moving it earlier moves the entry.

use crate::mutation::{Mutant, is_planted};
use crate::time::Time;

/// No place in the heap.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Entry {
    due: u32,
    key: u32,
}

/// The farthest an entry lies ahead, about twelve days; the owner of a later deadline is woken in
/// between. This lets 32 bits of a millisecond count do for ever.
const FARTHEST: u64 = 1 << 30;

/// Entries by due time; see the module.
#[derive(Debug, Default)]
pub struct Timers {
    heap: Vec<Entry>,
    /// Where in the heap the entry of a key stands.
    place: Vec<u32>,
}

impl Timers {
    /// Sees to it that `key` fires at `due` or earlier.
    pub fn arm(&mut self, key: u32, due: Time, now: Time) {
        if due == Time::NEVER {
            return;
        }
        let due = low(due.min(Time::from_millis(now.as_millis() + FARTHEST)));
        if self.place.len() <= key as usize {
            self.place.resize(key as usize + 1, NONE);
        }
        let at = match self.place.get(key as usize) {
            Some(&at) if at != NONE => {
                match self.heap.get_mut(at as usize) {
                    Some(_) if is_planted(Mutant::EarlierDeadlineIgnored) => return,
                    Some(entry) if before(due, entry.due) => entry.due = due,
                    _ => return,
                }
                at as usize
            }
            _ => {
                self.heap.push(Entry { due, key });
                self.heap.len() - 1
            }
        };
        self.rise(at);
    }

    /// Forgets the entry of `key`.
    pub fn cancel(&mut self, key: u32) {
        if let Some(&at) = self.place.get(key as usize)
            && at != NONE
        {
            self.remove(at as usize);
        }
    }

    /// When the next entry fires.
    pub fn next_due(&self, now: Time) -> Time {
        self.heap.first().map_or(Time::NEVER, |entry| widen(entry.due, now))
    }

    /// Takes an entry that is due.
    pub fn pop(&mut self, now: Time) -> Option<u32> {
        let first = *self.heap.first()?;
        if before(low(now), first.due) {
            return None;
        }
        self.remove(0);
        Some(first.key)
    }

    fn remove(&mut self, at: usize) {
        let removed = self.heap.swap_remove(at);
        self.set_place(removed.key, NONE);
        if at < self.heap.len() {
            self.note(at);
            self.sink(at);
            self.rise(at);
        }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.is_before(at, (at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        self.note(at);
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if self.is_before(right, left) { right } else { left };
            if !self.is_before(child, at) {
                return;
            }
            self.swap(at, child);
            at = child;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        matches!((self.heap.get(a), self.heap.get(b)), (Some(a), Some(b)) if before(a.due, b.due))
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note(a);
        self.note(b);
    }

    fn note(&mut self, at: usize) {
        if let (Some(entry), Ok(place)) = (self.heap.get(at).copied(), u32::try_from(at)) {
            self.set_place(entry.key, place);
        }
    }

    fn set_place(&mut self, key: u32, at: u32) {
        if let Some(place) = self.place.get_mut(key as usize) {
            *place = at;
        }
    }
}

/// The low 32 bits of the count of milliseconds.
fn low(time: Time) -> u32 {
    let [.., a, b, c, d] = time.as_millis().to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Whether `a` comes before `b`: as serial numbers (RFC 1982), since the count wraps every 49 days.
fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) > u32::MAX / 2
}

/// The full time of a due count near `now`.
fn widen(due: u32, now: Time) -> Time {
    let ahead = due.wrapping_sub(low(now));
    Time::from_millis(if before(due, low(now)) {
        now.as_millis()
    } else {
        now.as_millis() + u64::from(ahead)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn fires_in_order_and_only_when_due() {
        let mut timers = Timers::default();
        timers.arm(7, at(30), at(0));
        timers.arm(2, at(10), at(0));
        timers.arm(5, Time::NEVER, at(0));
        assert_eq!(timers.next_due(at(0)), at(10));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!((timers.pop(at(30)), timers.pop(at(30)), timers.pop(at(30))), (Some(2), Some(7), None));
        assert_eq!(timers.next_due(at(30)), Time::NEVER);
    }

    #[test]
    fn earlier_moves_the_entry_and_later_does_not() {
        let mut timers = Timers::default();
        timers.arm(1, at(50), at(0));
        timers.arm(1, at(90), at(0));
        assert_eq!(timers.next_due(at(0)), at(50));
        timers.arm(1, at(20), at(0));
        assert_eq!(timers.next_due(at(0)), at(20));
        timers.cancel(1);
        assert_eq!(timers.pop(at(100)), None);
    }

    #[test]
    fn a_far_deadline_fires_in_between_and_the_count_may_wrap() {
        let mut timers = Timers::default();
        let now = at(u64::from(u32::MAX) - 5);
        timers.arm(0, at(u64::MAX - 1), now);
        assert_eq!(timers.next_due(now), at(now.as_millis() + FARTHEST));
        timers.arm(1, at(now.as_millis() + 10), now);
        assert_eq!(timers.next_due(now), at(now.as_millis() + 10), "beyond the wrap");
        assert_eq!(timers.pop(at(now.as_millis() + 10)), Some(1));
    }

    proptest! {
        #[test]
        fn behaves_as_a_sorted_map(steps in prop::collection::vec((0u8..4, 0u32..40, 0u64..500), 1..200)) {
            let (mut timers, mut model, mut now) = (Timers::default(), BTreeMap::new(), 0u64);
            for (what, key, value) in steps {
                match what {
                    0 | 1 => {
                        timers.arm(key, at(now + value), at(now));
                        let due = model.entry(key).or_insert(now + value);
                        *due = (*due).min(now + value);
                    }
                    2 => {
                        timers.cancel(key);
                        model.remove(&key);
                    }
                    _ => {
                        now += value / 4;
                        while let Some(key) = timers.pop(at(now)) {
                            let due = model.remove(&key);
                            prop_assert!(due.is_some_and(|due| due <= now));
                        }
                        prop_assert!(model.values().all(|due| *due > now));
                    }
                }
                let next = model.values().min().map_or(Time::NEVER, |due| at(*due));
                prop_assert_eq!(timers.next_due(at(now)), next);
            }
        }
    }
}
