//! Chat rooms. A room is a bounded log; a member is a cursor in it.
//!
//! A message is encoded once and appended once. Each member's socket is fed from its own cursor,
//! skipping what it said itself. A slow reader falls off the tail and is told how much it missed;
//! nobody else notices. The memory of a room is its log, and at most one line for each member that
//! stopped reading in the middle of it.

use std::collections::{HashMap, VecDeque};

use slab::Slab;

use crate::out::Out;
use crate::protocol::ConnId;

mod log;

use log::Log;

/// Bytes of messages that a room remembers for its slow readers.
pub const LOG_BYTES: usize = 256 * 1024;
/// Longest name of a member, in bytes.
pub const MAX_NAME: usize = 32;
/// The author of what the daemon itself says.
const NOBODY: u64 = 0;
/// Bytes fed to one member at once.
const FEED_BYTES: usize = 64 * 1024;
/// Bytes said that have not been offered to every member, from which on speakers wait.
const AHEAD: usize = 32 * 1024;

/// A membership. It is never used again for somebody else while anyone could confuse the two: the
/// author number inside is unique for the life of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberId {
    key: u32,
}

/// How far feeding came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// The member has heard everything.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// There is more, but others must have their turn.
    More,
}

/// Why a name cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadName {
    /// Somebody in the room has it.
    Taken,
    /// Empty, longer than [`MAX_NAME`], or with characters other than letters, digits, `-`, `_` and `.`.
    Unfit,
}

#[derive(Debug)]
struct Member {
    room: usize,
    /// Index in the room's list of members.
    place: usize,
    conn: ConnId,
    author: u64,
    name: String,
    /// The next entry to hear, and how much of it the socket has taken already.
    cursor: u64,
    offset: usize,
    /// Own entries at or after the cursor.
    own_ahead: u64,
    /// The rest of an entry that was half sent when it left the log.
    rest: Vec<u8>,
}

#[derive(Debug, Default)]
struct Room {
    name: String,
    log: Log,
    members: Vec<MemberId>,
    /// How many members were fed in the present round.
    fed: usize,
    /// Bytes said before the present round that it offers to everyone, and bytes said since it began.
    offered: usize,
    fresh: usize,
    pending: bool,
}

/// All rooms and their members.
#[derive(Debug, Default)]
pub struct Rooms {
    rooms: Slab<Room>,
    by_name: HashMap<String, usize>,
    members: Slab<Member>,
    pending: VecDeque<usize>,
    authors: u64,
}

impl Rooms {
    /// Enters a room, which is made if need be, under a fresh name that begins with `prefix`; tells the
    /// others nothing.
    pub fn join(&mut self, room: &str, prefix: &str, conn: ConnId) -> MemberId {
        let at = self.room(room);
        self.authors += 1;
        let name = self.free_name(at, prefix);
        let Some(room) = self.rooms.get_mut(at) else { return MemberId { key: u32::MAX } };
        let key = self.members.insert(Member {
            room: at,
            place: room.members.len(),
            conn,
            author: self.authors,
            name,
            cursor: room.log.end(),
            offset: 0,
            own_ahead: 0,
            rest: Vec::new(),
        });
        let id = MemberId { key: u32::try_from(key).unwrap_or(u32::MAX) };
        room.members.push(id);
        id
    }

    /// Leaves; what was not heard is not missed. Returns the name.
    pub fn leave(&mut self, id: MemberId) -> Option<String> {
        let member = self.members.try_remove(id.key as usize)?;
        let room = self.rooms.get_mut(member.room)?;
        let mut gap = member.place;
        if gap < room.fed {
            // Those who were fed in this round stay in front of those who were not.
            room.fed -= 1;
            room.members.swap(gap, room.fed);
            place(&mut self.members, room, gap);
            gap = room.fed;
        }
        room.members.swap_remove(gap);
        place(&mut self.members, room, gap);
        if room.members.is_empty() {
            self.by_name.remove(&room.name);
            self.pending.retain(|at| *at != member.room);
            self.rooms.remove(member.room);
        }
        Some(member.name)
    }

    /// The name of a member.
    pub fn name(&self, id: MemberId) -> Option<&str> {
        self.members.get(id.key as usize).map(|member| member.name.as_str())
    }

    /// The names in the member's room, sorted.
    pub fn names(&self, id: MemberId) -> Vec<&str> {
        let room = self.members.get(id.key as usize).and_then(|member| self.rooms.get(member.room));
        let members = room.map(|room| room.members.as_slice()).unwrap_or_default();
        let mut names: Vec<&str> = members.iter().filter_map(|id| self.name(*id)).collect();
        names.sort_unstable();
        names
    }

    /// Takes another name.
    ///
    /// # Errors
    /// The name is taken, or no name.
    pub fn rename(&mut self, id: MemberId, name: &str) -> Result<(), BadName> {
        let fit = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fit) {
            return Err(BadName::Unfit);
        }
        // Names that differ in case only would be a disguise.
        let lower = name.to_lowercase();
        let own = self.name(id).map(str::to_lowercase);
        if own.as_deref() != Some(&lower) && self.names(id).iter().any(|n| n.to_lowercase() == lower) {
            return Err(BadName::Taken);
        }
        if let Some(member) = self.members.get_mut(id.key as usize) {
            name.clone_into(&mut member.name);
        }
        Ok(())
    }

    /// Appends a line, without its line feed, that everyone else in the room is to hear.
    pub fn say(&mut self, id: MemberId, line: std::fmt::Arguments<'_>) {
        let Some(member) = self.members.get_mut(id.key as usize) else { return };
        let (at, author) = (member.room, member.author);
        member.own_ahead += 1;
        self.append(at, author, line);
    }

    /// Appends a line said by no member (the daemon itself) to every room.
    pub fn announce(&mut self, line: std::fmt::Arguments<'_>) {
        let all: Vec<usize> = self.rooms.iter().map(|(at, _)| at).collect();
        for at in all {
            self.append(at, NOBODY, line);
        }
    }

    /// Whether anyone may have something to hear.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether anything was said since the last call, for engines whose members look for themselves.
    pub fn take_pending(&mut self) -> bool {
        let pending = !self.pending.is_empty();
        for at in self.pending.drain(..) {
            if let Some(room) = self.rooms.get_mut(at) {
                room.pending = false;
                (room.offered, room.fresh) = (0, 0);
            }
        }
        pending
    }

    /// Whether more was said in the member's room than everyone has been offered. Who goes on speaking
    /// then makes members lose lines that do read.
    pub fn is_ahead(&self, id: MemberId) -> bool {
        let room = self.members.get(id.key as usize).and_then(|member| self.rooms.get(member.room));
        room.is_some_and(|room| room.offered + room.fresh > AHEAD)
    }

    /// The next member that has something to hear. Every member of a room comes once a round; what is
    /// said during a round makes another one.
    pub fn next_pending(&mut self) -> Option<(MemberId, ConnId)> {
        while let Some(&at) = self.pending.front() {
            let Some(room) = self.rooms.get_mut(at) else {
                self.pending.pop_front();
                continue;
            };
            while let Some(id) = room.members.get(room.fed).copied() {
                room.fed += 1;
                let member = self.members.get(id.key as usize);
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
    pub fn feed(&mut self, id: MemberId, mut sink: impl FnMut(&[u8]) -> usize) -> Fed {
        let Some(member) = self.members.get_mut(id.key as usize) else { return Fed::All };
        let Some(room) = self.rooms.get(member.room) else { return Fed::All };
        let mut budget = FEED_BYTES;
        loop {
            if !member.rest.is_empty() {
                let taken = sink(&member.rest);
                member.rest.drain(..taken);
                if !member.rest.is_empty() {
                    return Fed::Blocked;
                }
                member.rest = Vec::new();
            }
            member.skip_lost(&room.log);
            if !member.rest.is_empty() {
                continue;
            }
            let unheard = room.log.run(member.cursor, member.author);
            let bytes = unheard.bytes.get(member.offset..).unwrap_or_default();
            if bytes.is_empty() && unheard.end == room.log.end() {
                member.pass_to(unheard.end, unheard.own);
                return Fed::All;
            }
            if budget == 0 {
                return Fed::More;
            }
            let offered = bytes.get(..budget).unwrap_or(bytes);
            let taken = sink(offered);
            budget -= offered.len();
            member.heard(&room.log, taken);
            if taken < offered.len() {
                return Fed::Blocked;
            }
        }
    }

    /// Moves the rest of a half-sent line to the member's own output, so that a private reply may follow.
    pub fn finish_line(&mut self, id: MemberId, out: &mut Out) {
        let Some(member) = self.members.get_mut(id.key as usize) else { return };
        let Some(room) = self.rooms.get(member.room) else { return };
        member.keep_rest(&room.log);
        out.push(&member.rest);
        member.rest = Vec::new();
    }

    fn room(&mut self, name: &str) -> usize {
        if let Some(&at) = self.by_name.get(name) {
            return at;
        }
        let at = self.rooms.insert(Room { name: name.to_owned(), ..Room::default() });
        self.by_name.insert(name.to_owned(), at);
        at
    }

    fn free_name(&self, room: usize, prefix: &str) -> String {
        let taken = |name: &str| {
            let members = self.rooms.get(room).map(|room| room.members.as_slice()).unwrap_or_default();
            members.iter().any(|id| self.name(*id).is_some_and(|n| n.eq_ignore_ascii_case(name)))
        };
        let mut number = self.authors;
        loop {
            let name = format!("{prefix}{number}");
            if !taken(&name) {
                return name;
            }
            number += 1;
        }
    }

    fn append(&mut self, at: usize, author: u64, line: std::fmt::Arguments<'_>) {
        if let Some(room) = self.rooms.get_mut(at) {
            room.fresh += room.log.append(author, line);
            if room.log.is_too_long(LOG_BYTES) {
                self.evict(at);
            }
            self.mark_pending(at);
        }
    }

    fn mark_pending(&mut self, at: usize) {
        if let Some(room) = self.rooms.get_mut(at)
            && !std::mem::replace(&mut room.pending, true)
        {
            room.offered = std::mem::take(&mut room.fresh);
            room.fed = 0;
            self.pending.push_back(at);
        }
    }

    /// Cuts the log's tail; whoever is in the middle of a line that goes keeps the rest of it.
    fn evict(&mut self, at: usize) {
        let Some(room) = self.rooms.get_mut(at) else { return };
        let first = room.log.first_within(LOG_BYTES / 2);
        for id in &room.members {
            if let Some(member) = self.members.get_mut(id.key as usize)
                && member.cursor < first
            {
                member.keep_rest(&room.log);
            }
        }
        room.log.cut(first);
    }
}

/// Notes where in its room's list a member stands now.
fn place(members: &mut Slab<Member>, room: &Room, at: usize) {
    if let Some(id) = room.members.get(at)
        && let Some(member) = members.get_mut(id.key as usize)
    {
        member.place = at;
    }
}

impl Member {
    fn lacks(&self, log: &Log) -> bool {
        !self.rest.is_empty() || log.end() - self.cursor > self.own_ahead
    }

    fn pass_to(&mut self, cursor: u64, own: u64) {
        self.cursor = cursor;
        self.offset = 0;
        self.own_ahead -= own.min(self.own_ahead);
    }

    /// The socket took the next `taken` bytes of the run at the cursor.
    fn heard(&mut self, log: &Log, taken: usize) {
        let mut left = self.offset + taken;
        self.offset = 0;
        while let Some(entry) = log.entry(self.cursor) {
            if entry.author == self.author {
                self.pass_to(self.cursor + 1, 1);
            } else if entry.len <= left {
                left -= entry.len;
                self.cursor += 1;
            } else {
                break;
            }
        }
        self.offset = left;
    }

    fn keep_rest(&mut self, log: &Log) {
        if self.offset > 0 {
            let line = log.text(self.cursor);
            self.rest.extend_from_slice(line.get(self.offset..).unwrap_or_default());
            self.cursor += 1;
            self.offset = 0;
        }
    }

    /// If the log was cut beyond the cursor: goes on at its beginning and says how much was missed.
    fn skip_lost(&mut self, log: &Log) {
        let lost = log.start().saturating_sub(self.cursor);
        if lost == 0 {
            return;
        }
        let own = self.own_ahead - log.count_by(self.author).min(self.own_ahead);
        self.pass_to(log.start(), own);
        let missed = lost.saturating_sub(own);
        if missed > 0 {
            let plural = if missed == 1 { "" } else { "s" };
            self.rest.extend_from_slice(format!("* you missed {missed} message{plural}\n").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
