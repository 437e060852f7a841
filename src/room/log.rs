//! The bounded log of a room: lines back to back, so that what a member has not heard is one slice.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;

/// One line of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) author: u64,
    /// Where it begins, counted in bytes from the first ever appended.
    start: u64,
    /// Bytes, the line feed included.
    pub(super) len: usize,
}

/// Lines that follow each other, none of them by a certain author.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) bytes: &'a [u8],
    /// The first entry after the run.
    pub(super) end: u64,
    /// Entries by the author that stood before the run.
    pub(super) own: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The text of the entries kept; its first byte is byte number `cut_bytes` of all.
    text: Vec<u8>,
    cut_bytes: u64,
    entries: VecDeque<Entry>,
    /// Number of the first entry kept. Entries are numbered from 0 and never again.
    cut_entries: u64,
}

impl Log {
    /// Number of the first entry kept.
    pub(super) fn start(&self) -> u64 {
        self.cut_entries
    }

    /// Number that the next entry will have.
    pub(super) fn end(&self) -> u64 {
        self.cut_entries + self.entries.len() as u64
    }

    /// Appends a line and a line feed; returns their length.
    pub(super) fn append(&mut self, author: u64, line: fmt::Arguments<'_>) -> usize {
        let before = self.text.len();
        let start = self.cut_bytes + before as u64;
        // Writing to a Vec cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push(b'\n');
        let len = self.text.len() - before;
        self.entries.push_back(Entry { author, start, len });
        len
    }

    /// Whether the text has outgrown `max` bytes.
    pub(super) fn is_too_long(&self, max: usize) -> bool {
        self.text.len() > max
    }

    /// The number of the first entry to keep, if at most `keep` bytes are to be kept.
    pub(super) fn first_within(&self, keep: usize) -> u64 {
        let oldest = self.cut_bytes + self.text.len().saturating_sub(keep) as u64;
        let gone = self.entries.partition_point(|entry| entry.start < oldest);
        self.cut_entries + gone as u64
    }

    /// Drops the entries before `first`.
    pub(super) fn cut(&mut self, first: u64) {
        let gone = usize::try_from(first - self.cut_entries).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries.drain(..gone);
        let text_end = self.cut_bytes + self.text.len() as u64;
        let start = self.entries.front().map_or(text_end, |entry| entry.start);
        let bytes = usize::try_from(start - self.cut_bytes).unwrap_or(usize::MAX);
        self.text.drain(..bytes.min(self.text.len()));
        self.cut_bytes = start;
        self.cut_entries = first;
    }

    /// The entry of this number, if it is kept.
    pub(super) fn entry(&self, number: u64) -> Option<Entry> {
        let at = usize::try_from(number.checked_sub(self.cut_entries)?).ok()?;
        self.entries.get(at).copied()
    }

    /// The text of an entry; empty if it is not kept.
    pub(super) fn text(&self, number: u64) -> &[u8] {
        self.entry(number).map(|entry| self.slice(entry.start, entry.len)).unwrap_or_default()
    }

    /// The first lines from `cursor` on that `author` did not write, up to the next one it did.
    pub(super) fn run(&self, cursor: u64, author: u64) -> Run<'_> {
        let at = usize::try_from(cursor.saturating_sub(self.cut_entries)).unwrap_or(usize::MAX);
        let entries = self.entries.range(at.min(self.entries.len())..);
        let own = entries.clone().take_while(|entry| entry.author == author).count();
        let run = entries.skip(own).take_while(|entry| entry.author != author);
        let (mut lines, mut len, mut start) = (0, 0, 0);
        for entry in run {
            start = if lines == 0 { entry.start } else { start };
            lines += 1;
            len += entry.len;
        }
        let own = own as u64;
        Run { bytes: self.slice(start, len), end: cursor + own + lines, own }
    }

    /// How many entries kept are by `author`.
    pub(super) fn count_by(&self, author: u64) -> u64 {
        self.entries.iter().filter(|entry| entry.author == author).count() as u64
    }

    fn slice(&self, start: u64, len: usize) -> &[u8] {
        let from = usize::try_from(start.saturating_sub(self.cut_bytes)).unwrap_or(usize::MAX);
        self.text.get(from..from.saturating_add(len)).unwrap_or_default()
    }
}
