//! The bounded log of a room: what was said, and the same once more in each form that members hear it in,
//! back to back, so that what a member has not heard is one slice.

use std::collections::VecDeque;

use super::form::{Encoder, Entry, Form, Kind};
use super::member::MemberId;
use crate::limits::{ROOM_ENTRY, ROOM_LOG};

/// The author of what the daemon itself says.
pub(super) const NOBODY: u64 = 0;

/// Who an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    Everyone,
    One(u64),
}

/// An entry without its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) author: u64,
    pub(super) audience: Audience,
    /// The member that wrote it, or the one that it is for; it may have left.
    pub(super) member: Option<MemberId>,
    pub(super) kind: Kind,
    name_len: u16,
    /// Private entries before it, counted from the beginning of the room.
    privates: u32,
    time: u64,
    client: u64,
    /// Where name and text begin, counted in bytes from the first ever appended.
    start: u64,
}

/// What is to be written down.
#[derive(Debug, Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) author: u64,
    pub(super) audience: Audience,
    pub(super) member: Option<MemberId>,
    pub(super) kind: Kind,
    pub(super) time: u64,
    pub(super) client: u64,
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

/// The log in one form.
#[derive(Debug)]
pub(super) struct Stream {
    form: Form,
    /// How many members hear it.
    users: u32,
    /// The first byte is byte number `cut` of all.
    bytes: Vec<u8>,
    cut: u64,
    /// Where each entry begins.
    starts: VecDeque<u64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Log {
    /// Names and texts of the entries kept; the first byte is byte number `cut` of all.
    text: Vec<u8>,
    cut: u64,
    entries: VecDeque<Record>,
    /// Number of the first entry kept. Entries are numbered once and never again.
    first: u64,
    privates: u32,
    streams: Vec<Stream>,
}

impl Log {
    /// An empty log whose first entry will have this number.
    pub(super) fn new(first: u64) -> Self {
        Self { text: Vec::new(), cut: 0, entries: VecDeque::new(), first, privates: 0, streams: Vec::new() }
    }

    /// Number of the first entry kept.
    pub(super) fn start(&self) -> u64 {
        self.first
    }

    /// Number that the next entry will have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Writes an entry down, in every form that is heard; returns its weight in bytes.
    pub(super) fn append(&mut self, new: &New<'_>, encoder: &mut Encoder) -> usize {
        let before = self.text.len();
        self.entries.push_back(Record {
            author: new.author,
            audience: new.audience,
            member: new.member,
            kind: new.kind,
            name_len: u16::try_from(new.name.len()).unwrap_or(0),
            privates: self.privates,
            time: new.time,
            client: new.client,
            start: self.cut + before as u64,
        });
        self.privates = self.privates.wrapping_add(u32::from(new.audience != Audience::Everyone));
        self.text.extend_from_slice(new.name.as_bytes());
        self.text.extend_from_slice(new.text.as_bytes());
        let seq = self.end() - 1;
        let entry = new.entry(seq);
        for stream in &mut self.streams {
            stream.append(&entry, encoder);
        }
        self.text.len() - before + ROOM_ENTRY
    }

    /// Whether the log has outgrown what a room may keep.
    pub(super) fn is_too_long(&self) -> bool {
        let weight = self.text.len() + self.entries.len() * ROOM_ENTRY;
        weight > ROOM_LOG || self.streams.iter().any(|stream| stream.bytes.len() > ROOM_LOG)
    }

    /// The number of the first entry to keep when the log is cut to half of what it may be.
    pub(super) fn first_to_keep(&self) -> u64 {
        let (keep, all) = (ROOM_LOG as u64 / 2, self.entries.len());
        let end = self.cut + self.text.len() as u64;
        let weight = |at: usize| {
            let start = self.entries.get(at).map_or(end, |entry| entry.start);
            end - start + ((all - at) * ROOM_ENTRY) as u64
        };
        let first = first_where(all, |at| weight(at) <= keep);
        let streams = self.streams.iter().map(|stream| {
            first_where(all, |at| stream.end() - stream.starts.get(at).copied().unwrap_or(0) <= keep)
        });
        self.first + streams.fold(first, usize::max) as u64
    }

    /// Drops the entries before number `first`, and the forms that nobody hears any more.
    pub(super) fn cut(&mut self, first: u64) {
        let gone = usize::try_from(first - self.first).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries.drain(..gone);
        let end = self.cut + self.text.len() as u64;
        let start = self.entries.front().map_or(end, |entry| entry.start);
        drop_front(&mut self.text, start - self.cut);
        self.cut = start;
        self.first = first;
        self.streams.retain(|stream| stream.users > 0);
        for stream in &mut self.streams {
            stream.drop_entries(gone);
        }
    }

    /// A member begins to hear this form.
    pub(super) fn enter(&mut self, form: Form, encoder: &mut Encoder) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.form == form) {
            stream.users += 1;
            return;
        }
        let mut stream = Stream {
            form,
            users: 1,
            bytes: Vec::new(),
            cut: 0,
            starts: VecDeque::with_capacity(self.entries.len()),
        };
        for seq in self.first..self.end() {
            if let Some(entry) = self.whole(seq) {
                stream.append(&entry, encoder);
            }
        }
        self.streams.push(stream);
    }

    /// A member stops hearing this form. It stays until the log is cut, so that one who comes and goes
    /// does not have the log encoded again each time.
    pub(super) fn leave(&mut self, form: Form) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.form == form) {
            stream.users = stream.users.saturating_sub(1);
        }
    }

    /// The entry of this number, if it is kept.
    pub(super) fn record(&self, seq: u64) -> Option<&Record> {
        self.entries.get(usize::try_from(seq.checked_sub(self.first)?).ok()?)
    }

    /// The entries kept from number `from` on.
    pub(super) fn records(&self, from: u64) -> impl DoubleEndedIterator<Item = (u64, &Record)> {
        let at = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let at = at.min(self.entries.len());
        let count = (self.entries.len() - at) as u64;
        let first = self.first + at as u64;
        // By index: a chain of an unbounded counter would not run backwards.
        (0..count).filter_map(move |n| Some((first + n, self.record(first + n)?)))
    }

    /// Private entries in all.
    pub(super) fn privates(&self) -> u32 {
        self.privates
    }

    /// Private entries before number `seq`.
    pub(super) fn privates_before(&self, seq: u64) -> u32 {
        self.record(seq).map_or(self.privates, |entry| entry.privates)
    }

    /// The bytes of the entries from number `from` up to `to` in a form.
    pub(super) fn bytes(&self, form: Form, from: u64, to: u64) -> &[u8] {
        let Some(stream) = self.streams.iter().find(|stream| stream.form == form) else { return &[] };
        let start =
            |seq: u64| stream.start_of(usize::try_from(seq.saturating_sub(self.first)).unwrap_or(usize::MAX));
        let (from, to) = (start(from) - stream.cut, start(to) - stream.cut);
        let (from, to) =
            (usize::try_from(from).unwrap_or(usize::MAX), usize::try_from(to).unwrap_or(usize::MAX));
        stream.bytes.get(from..to).unwrap_or_default()
    }

    /// The entry that `taken` bytes from the beginning of entry `from` lead into, and how far.
    pub(super) fn place(&self, form: Form, from: u64, taken: usize) -> (u64, usize) {
        let Some(stream) = self.streams.iter().find(|stream| stream.form == form) else { return (from, 0) };
        let first = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let byte = stream.start_of(first) + taken as u64;
        let past = stream.starts.partition_point(|start| *start <= byte);
        let at = past.saturating_sub(1).max(first);
        let into = usize::try_from(byte - stream.start_of(at)).unwrap_or(0);
        (self.first + at as u64, into)
    }

    /// An entry with its name and text.
    fn whole(&self, seq: u64) -> Option<Entry<'_>> {
        let record = self.record(seq)?;
        let end = self.record(seq + 1).map_or(self.cut + self.text.len() as u64, |next| next.start);
        let start = usize::try_from(record.start - self.cut).ok()?;
        let bytes = self.text.get(start..usize::try_from(end - self.cut).ok()?)?;
        let (name, text) = bytes.split_at_checked(usize::from(record.name_len))?;
        Some(Entry {
            seq,
            author: record.author,
            name: str::from_utf8(name).ok()?,
            time: record.time,
            kind: record.kind,
            text: str::from_utf8(text).ok()?,
            client: record.client,
        })
    }
}

impl<'a> New<'a> {
    /// The entry as it will be numbered.
    pub(super) fn entry(&self, seq: u64) -> Entry<'a> {
        let Self { author, name, time, kind, text, client, .. } = *self;
        Entry { seq, author, name, time, kind, text, client }
    }
}

impl Stream {
    fn append(&mut self, entry: &Entry<'_>, encoder: &mut Encoder) {
        self.starts.push_back(self.end());
        encoder.encode(self.form, entry, &mut self.bytes);
    }

    fn end(&self) -> u64 {
        self.cut + self.bytes.len() as u64
    }

    fn start_of(&self, at: usize) -> u64 {
        self.starts.get(at).copied().unwrap_or_else(|| self.end())
    }

    fn drop_entries(&mut self, gone: usize) {
        let start = self.start_of(gone);
        self.starts.drain(..gone.min(self.starts.len()));
        drop_front(&mut self.bytes, start - self.cut);
        self.cut = start;
    }
}

fn drop_front(bytes: &mut Vec<u8>, count: u64) {
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(bytes.len());
    bytes.drain(..count);
}

/// The first index below `all` where `holds` is true, `all` if it nowhere is. It must not become false
/// again behind that.
fn first_where(all: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, all);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}
