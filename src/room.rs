//! Chat rooms. A room is a bounded log; a member is a cursor in it.
//!
//! What is said is encoded once for each form in which the room's members hear it (lines of text, frames
//! of WebSocket) and appended once. Each member's socket is fed from its own cursor, stepping over what is
//! not for it. A slow reader falls off the tail and is told how much it missed; nobody else notices. The
//! memory of a room is its log, and at most one entry for each member that stopped reading in the middle
//! of it.
//!
//! Nothing here knows a protocol, an engine or a socket. Whoever joins is a number; an engine asks whom to
//! feed ([`Rooms::next_pending`]), feeds ([`Rooms::feed`]), and calls when time has come ([`Rooms::tick`]).

use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use slab::Slab;

use crate::journal::Journal;
use crate::limits::ROOMS;
use crate::out::Out;
use crate::protocol::ConnId;

mod absence;
pub mod form;
pub mod frame;
mod log;
mod member;
mod names;
mod presence;
mod rounds;
mod speech;
mod text;
mod time;

pub use absence::{Resumed, Token};
pub use form::{Form, Kind, Style};
pub use member::{Fed, MemberId, Profile};
pub use names::{MAX_NAME, is_name};

use form::Encoder;
use log::Log;
use member::{Flags, Member};
use names::Names;
use presence::Presence;
use speech::Speaker;
use time::Timer;

/// Why the rooms do not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Somebody has the name.
    Taken,
    /// Empty, longer than [`MAX_NAME`], or with characters other than letters, digits, `-`, `_` and `.`.
    Unfit,
    /// A name as guests have it.
    Reserved,
    /// There are as many rooms as there may be.
    TooManyRooms,
    /// Nobody is called that.
    NoSuchMember,
    /// It is the room that one is in.
    SameRoom,
}

/// What a member says, with the number that its client gave it.
#[derive(Debug, Clone, Copy)]
pub struct Saying<'a> {
    /// [`Kind::Said`] or [`Kind::Action`].
    pub kind: Kind,
    /// The text; what is hidden in it is taken out.
    pub text: &'a str,
    /// Counts up from 1 for as long as the membership lasts, so that a line that is sent again after a
    /// lost connection is not said again; 0 for clients that do not count.
    pub client: u64,
}

#[derive(Debug)]
struct Room {
    name: Box<str>,
    log: Log,
    members: Vec<MemberId>,
    /// How many members were fed in the present round.
    fed: usize,
    /// Bytes said before the present round that it offers to everyone, and bytes said since it began.
    offered: usize,
    fresh: usize,
    pending: bool,
    /// Comings and goings that are still to be told; there is a timer while there are any.
    presence: Option<Box<Presence>>,
}

/// All rooms and their members.
#[derive(Debug)]
pub struct Rooms {
    clock: fn() -> SystemTime,
    encoder: Encoder,
    rooms: Slab<Room>,
    by_name: HashMap<Box<str>, u16>,
    members: Slab<Member>,
    profiles: Vec<Profile>,
    names: Names,
    pending: VecDeque<u16>,
    authors: u64,
    speaker: Speaker,
    /// Rooms that are freed leave behind how far they counted: no number of a run comes twice.
    next_seq: u64,
    timers: BinaryHeap<Timer>,
    absent: VecDeque<(MemberId, u64)>,
    /// What tokens are made with; none if there are no random numbers.
    secret: Option<[u8; 16]>,
    expelled: Vec<ConnId>,
    expelled_count: u64,
    transcripts: Vec<Arc<Journal>>,
    unwritten: bool,
}

impl Default for Rooms {
    fn default() -> Self {
        Self::new(SystemTime::now, TimeZone::UTC)
    }
}

impl Rooms {
    /// No rooms yet. The clock and the zone are for what is shown of the time.
    pub fn new(clock: fn() -> SystemTime, zone: TimeZone) -> Self {
        let mut epoch = [0; 8];
        // Without random numbers there is still the time.
        let _ = rustix::rand::getrandom(&mut epoch, rustix::rand::GetRandomFlags::empty());
        let mut secret = [0; 16];
        let got = rustix::rand::getrandom(&mut secret, rustix::rand::GetRandomFlags::empty());
        let secret = (got == Ok(secret.len())).then_some(secret);
        let epoch = u64::from_ne_bytes(epoch) ^ since_1970(clock());
        Self {
            clock,
            encoder: Encoder::new(epoch, zone),
            rooms: Slab::new(),
            by_name: HashMap::new(),
            members: Slab::new(),
            profiles: Vec::new(),
            names: Names::default(),
            pending: VecDeque::new(),
            authors: 0,
            speaker: Speaker::default(),
            next_seq: 1,
            timers: BinaryHeap::new(),
            absent: VecDeque::new(),
            secret,
            expelled: Vec::new(),
            expelled_count: 0,
            transcripts: Vec::new(),
            unwritten: false,
        }
    }

    /// A number that no other run of the daemon has: entries of two runs have nothing to do with each other.
    pub fn epoch(&self) -> u64 {
        self.encoder.epoch()
    }

    /// Enters a room, which is made if need be; hears everything from now on. The others are told nothing
    /// before [`Rooms::announce`]. The name is `wanted` if it is free and a name, else one that nobody
    /// else ever has: the profile's word for guests and a number.
    pub fn join(&mut self, room: &str, profile: &Profile, wanted: Option<&str>, conn: ConnId) -> MemberId {
        self.authors += 1;
        let profile = self.profile(profile);
        let id = MemberId::new(self.members.insert(Member::new(self.authors, conn, profile)));
        let at = self.room(room);
        self.enter(id, at);
        if let Some(name) = wanted {
            let _ = self.rename(id, name);
        }
        id
    }

    /// Tells the others that a member is there, if they do not know.
    pub fn announce(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(id.key()) else { return };
        if !member.is(Flags::ANNOUNCED) {
            member.flags.insert(Flags::ANNOUNCED);
            self.tell_presence(id, true);
        }
    }

    /// Leaves; what was not heard is not missed. Nothing happens if the membership has gone over to another
    /// connection than `conn`.
    pub fn leave(&mut self, id: MemberId, conn: ConnId) {
        if self.members.get(id.key()).is_some_and(|member| member.conn == conn) {
            self.remove(id);
        }
    }

    /// Enters another room, which is made if need be, and leaves the present one; returns how many entries
    /// of that were not heard. [`Rooms::finish_line`] comes first.
    ///
    /// # Errors
    /// That is no name for a room, there are too many rooms, or it is the same one.
    pub fn move_to(&mut self, id: MemberId, room: &str) -> Result<u64, Refused> {
        let Some(member) = self.members.get(id.key()) else { return Err(Refused::NoSuchMember) };
        let (from, announced) = (member.room, member.is(Flags::ANNOUNCED));
        if !is_name(room) {
            return Err(Refused::Unfit);
        }
        let known = self.by_name.get(&*room.to_lowercase());
        if known == Some(&from) {
            return Err(Refused::SameRoom);
        }
        if known.is_none() && self.rooms.len() >= ROOMS {
            return Err(Refused::TooManyRooms);
        }
        let skipped = self.unheard(id);
        if announced {
            self.tell_presence(id, false);
        }
        self.quit_room(id);
        let at = self.room(room);
        self.enter(id, at);
        if announced {
            self.tell_presence(id, true);
        }
        Ok(skipped)
    }

    /// The name of a member; empty if there is none such.
    pub fn name(&self, id: MemberId) -> String {
        self.members.get(id.key()).map(|member| self.name_of(member)).unwrap_or_default()
    }

    /// The number of a member as an author of entries.
    pub fn author(&self, id: MemberId) -> Option<u64> {
        self.members.get(id.key()).map(|member| member.author)
    }

    /// The name of the room that a member is in.
    pub fn room_name(&self, id: MemberId) -> &str {
        self.room_of(id).map(|room| &*room.name).unwrap_or_default()
    }

    /// Names in the member's room, sorted, `most` at the most, and how many there are beside them. Whoever
    /// has not been announced is left out.
    pub fn names(&self, id: MemberId, most: usize) -> (Vec<String>, usize) {
        let members = self.room_of(id).map(|room| room.members.as_slice()).unwrap_or_default();
        let members = members.iter().filter_map(|id| self.members.get(id.key()));
        let mut announced = members.filter(|member| member.is(Flags::ANNOUNCED));
        let mut names: Vec<String> =
            announced.by_ref().take(most).map(|member| self.name_of(member)).collect();
        names.sort_unstable();
        (names, announced.count())
    }

    /// The rooms by name, and how many are in each.
    pub fn list(&self) -> Vec<(&str, usize)> {
        let mut rooms: Vec<_> =
            self.rooms.iter().map(|(_, room)| (&*room.name, room.members.len())).collect();
        rooms.sort_unstable();
        rooms
    }

    /// Takes another name; the others in the room are told. The same one again is no change.
    ///
    /// # Errors
    /// The name is taken, or no name.
    pub fn rename(&mut self, id: MemberId, name: &str) -> Result<(), Refused> {
        let Some(member) = self.members.get(id.key()) else { return Err(Refused::NoSuchMember) };
        let (old, announced) = (self.name_of(member), member.is(Flags::ANNOUNCED));
        if old == name {
            return Ok(());
        }
        let is_own_guest_name = name.eq_ignore_ascii_case(&self.guest_name(member));
        if !is_own_guest_name {
            self.names.take(name, id)?;
        }
        if is_own_guest_name || old.to_lowercase() != name.to_lowercase() {
            self.names.free(&old);
        }
        self.speaker = Speaker::default();
        if let Some(member) = self.members.get_mut(id.key()) {
            member.extra().name = (!is_own_guest_name).then(|| name.into());
        }
        if announced {
            self.notice(id, &format!("{old} is now {}", self.name(id)));
        }
        Ok(())
    }

    /// The number of the last entry in the member's room.
    pub fn last_seq(&self, id: MemberId) -> u64 {
        self.room_of(id).map(|room| room.log.end().saturating_sub(1)).unwrap_or_default()
    }

    /// Whether more was said in the member's room than everyone has been offered. Who goes on speaking
    /// then makes members lose lines that do read.
    pub fn is_ahead(&self, id: MemberId) -> bool {
        self.room_of(id).is_some_and(Room::is_ahead)
    }

    /// How many lines of the past a member is about to hear.
    pub fn history(&self, id: MemberId) -> usize {
        let member = self.members.get(id.key());
        self.room_of(id).zip(member).map_or(0, |(room, member)| member.history(&room.log))
    }

    /// Moves the rest of a half-sent entry to the member's own output, so that a private reply may follow.
    pub fn finish_line(&mut self, id: MemberId, out: &mut Out) {
        let Some(member) = self.members.get_mut(id.key()) else { return };
        let Some(room) = self.rooms.get(usize::from(member.room)) else { return };
        let Some(profile) = self.profiles.get(member.profile()) else { return };
        member.keep_rest(profile.form, &room.log);
        if let Some(extra) = &mut member.extra {
            out.push(&extra.rest);
            extra.rest = Vec::new();
        }
    }
}

impl Rooms {
    fn profile(&mut self, profile: &Profile) -> usize {
        if let Some(known) = self.profiles.iter().position(|known| known == profile) {
            return known;
        }
        self.names.reserve(&profile.guest);
        self.profiles.push(profile.clone());
        self.profiles.len() - 1
    }

    fn form(&self, member: &Member) -> Form {
        self.profiles.get(member.profile()).map_or(Form::Line(Style::default()), |profile| profile.form)
    }

    fn guest_name(&self, member: &Member) -> String {
        let word = self.profiles.get(member.profile()).map_or("", |profile| &profile.guest);
        format!("{word}{}", member.author)
    }

    fn name_of(&self, member: &Member) -> String {
        let taken = member.extra.as_deref().and_then(|extra| extra.name.as_deref());
        taken.map_or_else(|| self.guest_name(member), str::to_owned)
    }

    /// Who has this name, a guest's or one that was taken.
    fn find(&self, name: &str) -> Option<MemberId> {
        self.names.find(name).or_else(|| {
            // Guests' names are in no index; nobody looks for one often.
            let is_called = |member: &Member| self.name_of(member).eq_ignore_ascii_case(name);
            self.members.iter().find(|(_, member)| is_called(member)).map(|(key, _)| MemberId::new(key))
        })
    }

    fn room_of(&self, id: MemberId) -> Option<&Room> {
        self.members.get(id.key()).and_then(|member| self.rooms.get(usize::from(member.room)))
    }

    fn room(&mut self, name: &str) -> u16 {
        let folded = name.to_lowercase();
        if let Some(&at) = self.by_name.get(&*folded) {
            return at;
        }
        let room = Room {
            name: name.into(),
            log: Log::new(self.next_seq),
            members: Vec::new(),
            fed: 0,
            offered: 0,
            fresh: 0,
            pending: false,
            presence: None,
        };
        let at = u16::try_from(self.rooms.insert(room)).unwrap_or(u16::MAX);
        self.by_name.insert(folded.into(), at);
        at
    }

    fn enter(&mut self, id: MemberId, at: u16) {
        let Some(room) = self.rooms.get_mut(usize::from(at)) else { return };
        let Some(member) = self.members.get_mut(id.key()) else { return };
        let Some(profile) = self.profiles.get(member.profile()) else { return };
        room.log.enter(profile.form, &mut self.encoder);
        member.room = at;
        member.place = u32::try_from(room.members.len()).unwrap_or(u32::MAX);
        member.enter(&room.log, profile.history);
        room.members.push(id);
        if member.is(Flags::IN_HISTORY) {
            self.mark_pending(at);
        }
    }

    /// Forgets a member; the others are told if they knew of it.
    fn remove(&mut self, id: MemberId) {
        if self.members.get(id.key()).is_some_and(|member| member.is(Flags::ANNOUNCED)) {
            self.tell_presence(id, false);
        }
        self.quit_room(id);
        let Some(member) = self.members.try_remove(id.key()) else { return };
        if let Some(extra) = member.extra {
            extra.name.into_iter().for_each(|name| self.names.free(&name));
        }
    }

    /// Takes a member out of its room, which is freed if it was the last one.
    fn quit_room(&mut self, id: MemberId) {
        let Some(member) = self.members.get(id.key()) else { return };
        let (at, mut gap, form) = (usize::from(member.room), member.place as usize, self.form(member));
        let Some(room) = self.rooms.get_mut(at) else { return };
        if gap < room.fed {
            // Those who were fed in this round stay in front of those who were not.
            room.fed -= 1;
            room.members.swap(gap, room.fed);
            place(&mut self.members, room, gap);
            gap = room.fed;
        }
        room.members.swap_remove(gap);
        place(&mut self.members, room, gap);
        room.log.leave(form);
        if room.members.is_empty() {
            let room = self.rooms.remove(at);
            self.next_seq = self.next_seq.max(room.log.end());
            self.by_name.remove(&*room.name.to_lowercase());
            self.pending.retain(|pending| usize::from(*pending) != at);
        }
    }

    fn unheard(&mut self, id: MemberId) -> u64 {
        let Some(member) = self.members.get_mut(id.key()) else { return 0 };
        let Some(profile) = self.profiles.get(member.profile()) else { return 0 };
        self.rooms.get(usize::from(member.room)).map_or(0, |room| member.unheard(profile.form, &room.log))
    }
}

impl Room {
    fn is_ahead(&self) -> bool {
        self.offered + self.fresh > crate::limits::ROOM_AHEAD
    }
}

/// Notes where in its room's list a member stands now.
fn place(members: &mut Slab<Member>, room: &Room, at: usize) {
    if let Some(id) = room.members.get(at)
        && let Some(member) = members.get_mut(id.key())
    {
        member.place = u32::try_from(at).unwrap_or(u32::MAX);
    }
}

fn since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
