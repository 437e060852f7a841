//! What the rooms do when time has come: notices that were gathered, members who do not read or do not
//! come back.

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use super::Rooms;
use super::log::NOBODY;
use super::member::{Flags, MemberId};
use crate::limits::GATHER;
use crate::protocol::ConnId;
use crate::time::Time;

/// Something to do at a moment. The earliest is the greatest, so that a heap gives it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timer {
    due: Reverse<Time>,
    task: Task,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    /// A room has begun to gather who comes and goes.
    Gather(u16),
    /// Tell it.
    Gathered(u16),
    /// See whether a member has read since; the author tells it from a later one with its number.
    Watch(MemberId, u64),
    /// Let a member go that did not come back.
    Absent(MemberId, u64),
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Rooms {
    /// When [`Rooms::tick`] is due.
    pub fn due(&self) -> Time {
        if !self.expelled.is_empty() {
            return Time::START;
        }
        self.timers.peek().map_or(Time::NEVER, |timer| timer.due.0)
    }

    /// Does what is due; then [`Rooms::has_pending`] and [`Rooms::take_expelled`] may have something.
    pub fn tick(&mut self, now: Time) {
        while let Some(timer) = self.timers.peek().filter(|timer| timer.due.0 <= now) {
            let task = timer.task.clone();
            self.timers.pop();
            match task {
                Task::Gather(at) => self.push_timer(now.after(GATHER), Task::Gathered(at)),
                Task::Gathered(at) => self.tell_gathered(at),
                Task::Watch(id, author) => self.look_after(id, author, now),
                Task::Absent(id, author) => self.look_for(id, author, now),
            }
        }
    }

    /// Connections to give up: they took nothing for too long.
    pub fn take_expelled(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.expelled)
    }

    /// How many members were given up because they took nothing.
    pub fn expelled(&self) -> u64 {
        self.expelled_count
    }

    /// The same, for engines that find out by themselves.
    pub fn count_expelled(&mut self) {
        self.expelled_count += 1;
    }

    /// How long this member may take nothing; zero for ever.
    pub fn quiet_reader(&self, id: MemberId) -> Duration {
        let member = self.members.get(id.key());
        let profile = member.and_then(|member| self.profiles.get(member.profile()));
        profile.map_or(Duration::ZERO, |profile| profile.quiet_reader)
    }

    /// A room has begun to gather: when that is, the next tick knows.
    pub(super) fn gather(&mut self, at: u16) {
        self.push_timer(Time::START, Task::Gather(at));
    }

    pub(super) fn watch(&mut self, due: Time, id: MemberId, author: u64) {
        self.push_timer(due, Task::Watch(id, author));
    }

    pub(super) fn await_return(&mut self, due: Time, id: MemberId, author: u64) {
        self.push_timer(due, Task::Absent(id, author));
    }

    fn push_timer(&mut self, due: Time, task: Task) {
        self.timers.push(Timer { due: Reverse(due), task });
    }

    fn tell_gathered(&mut self, at: u16) {
        let Some(room) = self.rooms.get_mut(usize::from(at)) else { return };
        // The number of a room that was freed may be another's by now: that one tells a little early.
        if let Some(presence) = room.presence.take() {
            self.append_notice(at, NOBODY, None, &presence.line());
        }
    }

    fn look_after(&mut self, id: MemberId, author: u64, now: Time) {
        let limit = self.quiet_reader(id);
        let Some(member) = self.members.get_mut(id.key()).filter(|member| member.author == author) else {
            return;
        };
        let stalled = member.extra.as_deref().map_or(Time::NEVER, |extra| extra.stalled);
        let due = stalled.after(limit);
        if stalled == Time::NEVER {
            member.flags.remove(Flags::WATCHED);
        } else if due > now {
            self.watch(due, id, author);
        } else {
            self.expelled.push(member.conn);
            self.expelled_count += 1;
        }
    }
}
