//! A member: a cursor in a room's log.

use std::num::NonZero;
use std::time::Duration;

use bitflags::bitflags;

use super::form::{Form, Kind};
use super::frame;
use super::log::{Audience, Log, Record};
use crate::mutation::{Mutant, is_planted};
use crate::protocol::ConnId;
use crate::time::Time;

/// Bytes fed to one member at once.
const FEED_BYTES: usize = 64 * 1024;

/// A membership. Its number is used again after the member has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(NonZero<u32>);

impl MemberId {
    pub(super) fn new(key: usize) -> Self {
        Self(u32::try_from(key + 1).ok().and_then(NonZero::new).unwrap_or(NonZero::<u32>::MAX))
    }

    pub(super) fn key(self) -> usize {
        self.0.get() as usize - 1
    }
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

/// What a service lets its members be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// In what form they hear.
    pub form: Form,
    /// What the names given begin with.
    pub guest: String,
    /// How many of the last lines said a newcomer hears.
    pub history: usize,
    /// How long one may take nothing of what waits for it before its connection is given up; zero for ever.
    pub quiet_reader: Duration,
}

bitflags! {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Flags: u8 {
        /// The others know that it is there.
        const ANNOUNCED = 1;
        /// There may be an own entry at or after the cursor.
        const OWN_AHEAD = 1 << 1;
        /// Its connection is gone and may come back.
        const ABSENT = 1 << 2;
        /// A timer looks after it while it does not read.
        const WATCHED = 1 << 3;
        /// The entry at the cursor is from before it joined.
        const IN_HISTORY = 1 << 4;
        /// It was given what it needs to come back.
        const HAS_TOKEN = 1 << 6;
        /// A timer looks whether it comes back.
        const AWAITED = 1 << 5;
    }
}

/// What most members do not have.
#[derive(Debug)]
pub(super) struct Extra {
    /// The name it took; without one it is a guest.
    pub(super) name: Option<Box<str>>,
    /// The rest of an entry that was half sent when it left the log.
    pub(super) rest: Vec<u8>,
    /// Where what it joined for begins; what is before that is history.
    pub(super) joined: u64,
    joined_privates: u32,
    /// Own entries, and private ones for it, that left the log unheard.
    pub(super) own_lost: u32,
    pub(super) private_lost: u32,
    /// Since when it has taken nothing though something waits; or since when it is away.
    pub(super) stalled: Time,
    /// The last number that its client gave to a line.
    pub(super) last_client: u64,
}

impl Default for Extra {
    fn default() -> Self {
        Self {
            name: None,
            rest: Vec::new(),
            joined: 0,
            joined_privates: 0,
            own_lost: 0,
            private_lost: 0,
            stalled: Time::NEVER,
            last_client: 0,
        }
    }
}

impl Extra {
    /// Whether it says nothing.
    fn is_plain(&self) -> bool {
        let Self { name, rest, own_lost, private_lost, stalled, last_client, .. } = self;
        name.is_none()
            && rest.is_empty()
            && *own_lost + *private_lost == 0
            && *last_client == 0
            && *stalled == Time::NEVER
    }
}

/// See the module. Small, for most of them only listen.
#[derive(Debug)]
pub(super) struct Member {
    /// The next entry to hear.
    pub(super) cursor: u64,
    pub(super) author: u64,
    pub(super) conn: ConnId,
    /// Index in the room's list of members.
    pub(super) place: u32,
    /// How much of the entry at the cursor the socket has taken already.
    pub(super) offset: u32,
    /// Private entries before the cursor.
    privates: u32,
    pub(super) room: u16,
    /// Index of its profile, and one more: so that a free place in the slab needs no room of its own.
    profile: NonZero<u8>,
    pub(super) flags: Flags,
    pub(super) extra: Option<Box<Extra>>,
}

const _: () = assert!(size_of::<Option<Member>>() <= 48);

/// Entries that follow each other and are all for one member.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    end: u64,
}

impl Member {
    pub(super) fn new(author: u64, conn: ConnId, profile: usize) -> Self {
        let profile = u8::try_from(profile + 1).ok().and_then(NonZero::new).unwrap_or(NonZero::<u8>::MIN);
        Self {
            cursor: 0,
            author,
            conn,
            place: 0,
            offset: 0,
            privates: 0,
            room: 0,
            profile,
            flags: Flags::empty(),
            extra: None,
        }
    }

    pub(super) fn profile(&self) -> usize {
        usize::from(self.profile.get()) - 1
    }

    pub(super) fn is(&self, flag: Flags) -> bool {
        self.flags.contains(flag)
    }

    pub(super) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    fn rest(&self) -> &[u8] {
        self.extra.as_deref().map(|extra| extra.rest.as_slice()).unwrap_or_default()
    }

    /// Enters a log: hears what is appended from now on, after the last `history` lines that were said.
    pub(super) fn enter(&mut self, log: &Log, history: usize) {
        self.offset = 0;
        self.flags.remove(Flags::IN_HISTORY | Flags::OWN_AHEAD);
        if let Some(extra) = &mut self.extra {
            (extra.own_lost, extra.private_lost) = (0, 0);
        }
        self.cursor = log.end();
        self.privates = log.privates_before(self.cursor);
        let said = log.records(log.start()).rev().filter(|(_, record)| is_history(record));
        if let Some((first, _)) = said.take(history).last() {
            let (joined, joined_privates) = (self.cursor, self.privates);
            let extra = self.extra();
            (extra.joined, extra.joined_privates) = (joined, joined_privates);
            self.flags.insert(Flags::IN_HISTORY);
            self.pass_to(first, log);
        }
    }

    /// How many lines of the past it is about to hear.
    pub(super) fn history(&self, log: &Log) -> usize {
        let joined =
            self.extra.as_deref().filter(|_| self.is(Flags::IN_HISTORY)).map_or(0, |extra| extra.joined);
        let past = log.records(self.cursor).take_while(|(seq, _)| *seq < joined);
        past.filter(|(_, record)| is_history(record)).count()
    }

    /// Goes on at entry `seq`, or at the log's beginning if that has left it.
    pub(super) fn go_back(&mut self, seq: u64, log: &Log) {
        self.offset = 0;
        self.flags.remove(Flags::IN_HISTORY);
        self.flags.insert(Flags::OWN_AHEAD);
        if let Some(extra) = &mut self.extra {
            (extra.own_lost, extra.private_lost) = (0, 0);
            extra.rest = Vec::new();
            extra.stalled = Time::NEVER;
        }
        self.pass_to(seq.clamp(log.start(), log.end()), log);
    }

    /// Whether it may have something to hear.
    pub(super) fn lacks(&self, log: &Log) -> bool {
        (log.end() != self.cursor || !self.rest().is_empty()) && !self.is(Flags::ABSENT)
    }

    /// Gives `sink` what it has not heard: see [`super::Rooms::feed`].
    pub(super) fn feed(
        &mut self,
        form: Form,
        log: &Log,
        epoch: u64,
        mut sink: impl FnMut(&[u8]) -> usize,
    ) -> (Fed, usize) {
        let (mut budget, mut fed) = (FEED_BYTES, 0);
        loop {
            if let Some(extra) = self.extra.as_deref_mut().filter(|extra| !extra.rest.is_empty()) {
                let taken = sink(&extra.rest);
                extra.rest.drain(..taken);
                fed += taken;
                if !extra.rest.is_empty() {
                    return (Fed::Blocked, fed);
                }
                extra.rest = Vec::new();
            }
            if self.cursor < log.start() {
                self.skip_lost(form, log, epoch);
                continue;
            }
            let run = self.run(form, log);
            let bytes = log.bytes(form, run.first, run.end);
            let offset = if run.first == self.cursor { self.offset as usize } else { 0 };
            let bytes = bytes.get(offset..).unwrap_or_default();
            if bytes.is_empty() && run.end == log.end() {
                self.caught_up(log);
                return (Fed::All, fed);
            }
            if budget == 0 {
                return (Fed::More, fed);
            }
            let offered = bytes.get(..budget).unwrap_or(bytes);
            let taken = sink(offered);
            budget -= offered.len();
            fed += taken;
            if taken == bytes.len() && run.end == log.end() && !is_planted(Mutant::CursorOffByOne) {
                self.caught_up(log);
                return (Fed::All, fed);
            }
            if taken == bytes.len() {
                let past = if is_planted(Mutant::CursorOffByOne) { 2 } else { 0 };
                self.pass_to((run.end + past).min(log.end()), log);
            } else {
                let (cursor, into) = log.place(form, run.first, offset + taken);
                self.pass_to(cursor, log);
                self.offset = u32::try_from(into).unwrap_or(0);
            }
            if taken < offered.len() {
                return (Fed::Blocked, fed);
            }
        }
    }

    /// Puts the rest of an entry that is half sent aside; it comes before anything else.
    pub(super) fn keep_rest(&mut self, form: Form, log: &Log) {
        if self.offset > 0 && !is_planted(Mutant::HalfLineLost) {
            let entry = log.bytes(form, self.cursor, self.cursor + 1);
            let rest = entry.get(self.offset as usize..).unwrap_or_default();
            self.extra().rest.extend_from_slice(rest);
            self.pass_to(self.cursor + 1, log);
        }
    }

    /// An entry that it wrote, or that was for it alone, leaves the log: counting the entries that it has not
    /// heard would be wrong about this one.
    pub(super) fn lose(&mut self, room: u16, seq: u64, record: &Record, hears_own: bool) {
        let joined =
            self.extra.as_deref().filter(|_| self.is(Flags::IN_HISTORY)).map_or(0, |extra| extra.joined);
        if self.room != room || seq < self.cursor.max(joined) {
            return;
        }
        match record.audience {
            Audience::Everyone if record.author == self.author && !hears_own => self.extra().own_lost += 1,
            Audience::One(author) if author == self.author => self.extra().private_lost += 1,
            _ => {}
        }
    }

    /// Gives up what it has not heard, gone from the log or not; returns how many entries that are.
    pub(super) fn unheard(&mut self, form: Form, log: &Log) -> u64 {
        let lost = self.take_lost(log);
        let counts = |record: &Record| form.has_notices() || record.kind != Kind::Notice;
        let kept = log
            .records(self.cursor)
            .filter(|(seq, record)| counts(record) && self.is_for_me(form, *seq, record));
        lost + kept.count() as u64
    }

    /// The next entries for it. Mostly that is all there are.
    fn run(&self, form: Form, log: &Log) -> Run {
        let end = log.end();
        let own = self.is(Flags::OWN_AHEAD) && !form.hears_own() && !is_planted(Mutant::OwnEchoed);
        if !own && !self.is(Flags::IN_HISTORY) && self.privates == log.privates() {
            return Run { first: self.cursor, end };
        }
        let mut records =
            log.records(self.cursor).skip_while(|(seq, record)| !self.is_for_me(form, *seq, record));
        let Some((first, _)) = records.next() else { return Run { first: end, end } };
        let next = records.find(|(seq, record)| !self.is_for_me(form, *seq, record));
        Run { first, end: next.map_or(end, |(seq, _)| seq) }
    }

    fn is_for_me(&self, form: Form, seq: u64, record: &Record) -> bool {
        if self.is(Flags::IN_HISTORY) && self.extra.as_deref().is_some_and(|extra| seq < extra.joined) {
            return is_history(record);
        }
        match record.audience {
            Audience::One(author) if author == self.author => true,
            _ if record.author == self.author => form.hears_own(),
            Audience::One(_) => false,
            Audience::Everyone => true,
        }
    }

    fn pass_to(&mut self, cursor: u64, log: &Log) {
        self.cursor = cursor;
        self.offset = 0;
        self.privates = log.privates_before(cursor);
        if self.is(Flags::IN_HISTORY) && self.extra.as_deref().is_none_or(|extra| extra.joined <= cursor) {
            self.flags.remove(Flags::IN_HISTORY);
        }
    }

    fn caught_up(&mut self, log: &Log) {
        (self.cursor, self.offset, self.privates) = (log.end(), 0, log.privates());
        self.flags.remove(Flags::OWN_AHEAD | Flags::IN_HISTORY);
        if self.extra.as_deref().is_some_and(Extra::is_plain) {
            self.extra = None;
        }
    }

    /// The log was cut beyond the cursor: goes on at its beginning and says how much was missed.
    fn skip_lost(&mut self, form: Form, log: &Log, epoch: u64) {
        let missed = self.take_lost(log);
        if missed == 0 || !form.has_notices() {
            return;
        }
        let rest = &mut self.extra().rest;
        if form == Form::Frame {
            frame::encode_gap(epoch, missed, log.start(), rest);
        } else {
            let plural = if missed == 1 { "" } else { "s" };
            rest.extend_from_slice(format!("* you missed {missed} message{plural}\n").as_bytes());
        }
    }

    /// Goes on at the log's beginning if that has been cut beyond the cursor; returns how many entries for
    /// it are gone. All since the cursor, or since it joined if it was still hearing of the past; but not
    /// its own, and of private ones only those for it.
    fn take_lost(&mut self, log: &Log) -> u64 {
        if self.cursor >= log.start() {
            return 0;
        }
        let history = self.extra.as_deref().filter(|_| self.is(Flags::IN_HISTORY));
        let joined = history.map(|extra| (extra.joined, extra.joined_privates));
        let (from, privates) = joined.unwrap_or((self.cursor, self.privates));
        let all = log.start().saturating_sub(from);
        self.pass_to(log.start(), log);
        if all == 0 {
            return 0;
        }
        let others = u64::from(self.privates.wrapping_sub(privates));
        let (own, mine) = self.extra.as_deref_mut().map_or((0, 0), |extra| {
            (std::mem::take(&mut extra.own_lost), std::mem::take(&mut extra.private_lost))
        });
        all.saturating_sub(others + u64::from(own)) + u64::from(mine)
    }
}

/// Whether newcomers hear it.
fn is_history(record: &Record) -> bool {
    matches!(record.kind, Kind::Said | Kind::Action)
}
