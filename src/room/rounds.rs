//! Who is to be fed next, and feeding.

use super::member::{Fed, Flags, Member, MemberId};
use super::{Room, Rooms};
use crate::protocol::ConnId;
use crate::time::Time;

impl Rooms {
    /// Whether anyone may have something to hear.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether anything was said since the last call, for engines whose members look for themselves.
    pub fn take_pending(&mut self) -> bool {
        let pending = !self.pending.is_empty();
        for at in self.pending.drain(..) {
            if let Some(room) = self.rooms.get_mut(usize::from(at)) {
                room.pending = false;
                (room.offered, room.fresh) = (0, 0);
            }
        }
        pending
    }

    /// The next member that has something to hear. Every member of a room comes once a round; what is
    /// said during a round makes another one.
    pub fn next_pending(&mut self) -> Option<(MemberId, ConnId)> {
        while let Some(&at) = self.pending.front() {
            let Some(room) = self.rooms.get_mut(usize::from(at)) else {
                self.pending.pop_front();
                continue;
            };
            while let Some(id) = room.members.get(room.fed).copied() {
                room.fed += 1;
                let member = self.members.get(id.key());
                if let Some(member) = member.filter(|member| member.lacks(&room.log)) {
                    return Some((id, member.conn));
                }
            }
            room.fed = 0;
            if room.fresh == 0 {
                room.pending = false;
                self.pending.pop_front();
            }
            room.offered = std::mem::take(&mut room.fresh);
        }
        None
    }

    /// Gives `sink` what the member has not heard, in order and in as few calls as possible. `sink`
    /// returns how many bytes it took; if not all, feeding stops there.
    pub fn feed(&mut self, id: MemberId, now: Time, sink: impl FnMut(&[u8]) -> usize) -> Fed {
        self.feed_if(id, now, |_| true, sink)
    }

    fn feed_if(
        &mut self,
        id: MemberId,
        now: Time,
        holds: impl FnOnce(&Member) -> bool,
        sink: impl FnMut(&[u8]) -> usize,
    ) -> Fed {
        let epoch = self.epoch();
        let Some(member) = self.members.get_mut(id.key()).filter(|member| holds(member)) else {
            return Fed::All;
        };
        let Some(room) = self.rooms.get(usize::from(member.room)) else { return Fed::All };
        let Some(profile) = self.profiles.get(member.profile()) else { return Fed::All };
        let (fed, taken) = member.feed(profile.form, &room.log, epoch, sink);
        let was_stalled = member.extra.as_deref().is_some_and(|extra| extra.stalled != Time::NEVER);
        if was_stalled && (taken > 0 || fed != Fed::Blocked) {
            member.extra().stalled = Time::NEVER;
        }
        if fed == Fed::Blocked {
            self.stalls(id, now);
        }
        fed
    }

    /// The same for the connection that has the membership; nothing for one that had it before.
    pub fn feed_to(
        &mut self,
        id: MemberId,
        conn: ConnId,
        now: Time,
        sink: impl FnMut(&[u8]) -> usize,
    ) -> Fed {
        self.feed_if(id, now, |member| member.conn == conn, sink)
    }

    /// Whether a connection has this membership. It may have gone over to another one.
    pub fn is_held_by(&self, id: MemberId, conn: ConnId) -> bool {
        self.members.get(id.key()).is_some_and(|member| member.conn == conn)
    }

    /// A member's socket takes nothing, though something waits for it.
    pub fn stalls(&mut self, id: MemberId, now: Time) {
        let Some(member) = self.members.get_mut(id.key()) else { return };
        let limit = self.profiles.get(member.profile()).map(|profile| profile.quiet_reader);
        let Some(limit) = limit.filter(|limit| !limit.is_zero()) else { return };
        let extra = member.extra();
        if extra.stalled == Time::NEVER {
            extra.stalled = now;
        }
        let (due, author) = (extra.stalled.after(limit), member.author);
        if !member.is(Flags::WATCHED) {
            member.flags.insert(Flags::WATCHED);
            self.watch(due, id, author);
        }
    }

    pub(super) fn mark_pending(&mut self, at: u16) {
        if let Some(room) = self.rooms.get_mut(usize::from(at))
            && !std::mem::replace(&mut room.pending, true)
        {
            room.begin_round();
            self.pending.push_back(at);
        }
    }
}

impl Room {
    fn begin_round(&mut self) {
        self.offered = std::mem::take(&mut self.fresh);
        self.fed = 0;
    }
}
