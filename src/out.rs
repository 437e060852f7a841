//! What a connection still owes its peer: bytes, and ranges of files, in order.
//!
//! A handler appends; an engine writes from the front. Nothing here knows a socket. The common case
//! is that a reply is written in the same turn, so an [`Out`] is borrowed from a pool only while
//! something is in flight and an idle connection owns none.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::limits;

/// A range of an open file that is still to be sent.
#[derive(Debug, Clone)]
pub struct FileRange {
    /// The open file; several replies may share it.
    pub file: Arc<File>,
    /// First byte not sent yet.
    pub offset: u64,
    /// Bytes still to send.
    pub len: u64,
}

/// The front of the queue, as an engine writes it.
#[derive(Debug)]
pub enum Front<'a> {
    /// Nothing waits.
    Empty,
    /// Bytes; the second slice, perhaps empty, follows the first.
    Bytes(&'a [u8], &'a [u8]),
    /// A range of a file.
    File(&'a FileRange),
}

/// Output in order. `passed`, a range of `shared` or else of the engine's read buffer, comes first; then
/// `segments`.
#[derive(Debug, Default)]
pub struct Out {
    passed: Range<usize>,
    /// Only while something of it is passed.
    shared: Option<Arc<[u8]>>,
    passing: bool,
    /// All copied bytes back to back; `head` of them are sent already.
    bytes: Vec<u8>,
    head: usize,
    /// Empty while everything queued is plain bytes, which is nearly always.
    segments: VecDeque<Segment>,
    /// Bytes waiting in memory, passed ones included.
    waiting: usize,
    /// Ranges of files waiting.
    files: usize,
    /// Bytes that the peer is known to have, as the network last said; it may not know.
    received: Option<u64>,
    /// How things stood when the progress of the reader was last looked at.
    mark: Mark,
}

/// See [`Out::mark`].
#[derive(Debug, Default)]
struct Mark {
    /// What was owed.
    owed: u64,
    /// What the peer had received, if that is known.
    received: Option<u64>,
    /// That is still to be asked for.
    is_partial: bool,
}

#[derive(Debug)]
enum Segment {
    Bytes(usize),
    File(FileRange),
}

impl Out {
    /// Appends a copy of `bytes`.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(Segment::Bytes(n)) = self.segments.back_mut() {
            *n += bytes.len();
        } else if !self.segments.is_empty() {
            self.segments.push_back(Segment::Bytes(bytes.len()));
        }
        self.bytes.extend_from_slice(bytes);
        self.waiting += bytes.len();
    }

    /// Appends formatted text; cannot fail.
    pub fn print(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = self.write_fmt(text);
    }

    /// Appends a range of a file. A queued file counts as a full queue: see [`Out::is_full`].
    pub fn push_file(&mut self, range: FileRange) {
        if range.len == 0 {
            return;
        }
        let waiting = self.bytes.len() - self.head;
        if self.segments.is_empty() && waiting > 0 {
            self.segments.push_back(Segment::Bytes(waiting));
        }
        self.segments.push_back(Segment::File(range));
        self.files += 1;
    }

    /// Appends bytes of the read buffer without copying them, if they are the first to be queued;
    /// what is not written in this very turn is copied by [`Out::keep`].
    #[inline]
    pub(crate) fn pass(&mut self, range: Range<usize>, bytes: &[u8]) {
        if self.passing && self.is_empty() {
            self.waiting = range.len();
            self.passed = range;
        } else {
            self.push(bytes);
        }
    }

    /// Appends bytes that others have as well: without copying them, if they are the first to be queued and
    /// all written in this very turn.
    #[inline]
    pub(crate) fn share(&mut self, bytes: &Arc<[u8]>) {
        if self.is_empty() {
            self.waiting = bytes.len();
            self.passed = 0..bytes.len();
            self.shared = Some(Arc::clone(bytes));
        } else {
            self.push(bytes);
        }
    }

    /// Says whether [`Out::pass`] may refer to the read buffer in the coming call of a handler.
    #[inline]
    pub(crate) fn allow_passing(&mut self, yes: bool) {
        self.passing = yes;
    }

    /// Copies what is left of passed bytes: after this the read buffer may be reused.
    #[inline]
    pub fn keep(&mut self, read_buffer: &[u8]) {
        if !self.passed.is_empty() {
            self.keep_passed(read_buffer);
        }
    }

    fn keep_passed(&mut self, read_buffer: &[u8]) {
        let shared = self.shared.take();
        let source = shared.as_deref().unwrap_or(read_buffer);
        let Some(left) = source.get(std::mem::take(&mut self.passed)) else { return };
        if let Some(Segment::Bytes(n)) = self.segments.front_mut() {
            *n += left.len();
        } else if !self.segments.is_empty() {
            self.segments.push_front(Segment::Bytes(left.len()));
        }
        // The passed bytes come before all others: what follows them is rare and short.
        self.bytes.splice(..self.head, left.iter().copied());
        self.head = 0;
    }

    /// The copied bytes that wait, files left out: a datagram's reply.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.head..).unwrap_or_default()
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0 && self.files == 0
    }

    /// Bytes waiting in memory; queued files are not counted.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Bytes waiting in memory and in files.
    pub fn owed(&self) -> u64 {
        let files = self.segments.iter().map(|segment| match segment {
            Segment::File(range) => range.len,
            Segment::Bytes(_) => 0,
        });
        self.len() as u64 + files.sum::<u64>()
    }

    /// Remembers how things stand, for [`Out::has_progressed`].
    pub fn mark(&mut self) {
        self.received = None;
        self.mark = Mark { owed: self.owed(), received: None, is_partial: true };
    }

    /// Whether an engine whose socket takes no more should find out what the peer has received, and say so
    /// by [`Out::set_received`].
    pub fn wants_received(&self) -> bool {
        self.mark.is_partial
    }

    /// The peer is known to have received so many bytes of this connection, or it is not known. The
    /// network itself may hold megabytes that the socket has taken and the reader has not.
    pub fn set_received(&mut self, bytes: Option<u64>) {
        self.received = bytes;
        if std::mem::take(&mut self.mark.is_partial) {
            self.mark.received = bytes;
        }
    }

    /// Whether the reader has taken `least` bytes, or all there were, since this or [`Out::mark`] was
    /// last called: received them, where that is known, else made room for them.
    pub fn has_progressed(&mut self, least: u64) -> bool {
        let now = Mark { owed: self.owed(), received: self.received, is_partial: false };
        let before = std::mem::replace(&mut self.mark, now);
        let taken = match (before.received, self.received) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => before.owed.saturating_sub(self.mark.owed),
        };
        self.mark.owed == 0 || taken >= least
    }

    /// Whether a handler should stop and be called again when there is room: past the high mark, or
    /// a file waits (then pipelined replies keep their order and cost no memory).
    #[inline]
    pub fn is_full(&self) -> bool {
        self.waiting >= limits::OUT_HIGH_MARK || self.files > 0
    }

    /// What comes next; `read_buffer` is what the last read filled (empty when there was none).
    #[inline]
    pub fn front<'a>(&'a self, read_buffer: &'a [u8]) -> Front<'a> {
        let source = self.shared.as_deref().unwrap_or(read_buffer);
        let passed = source.get(self.passed.clone()).unwrap_or_default();
        if passed.len() == self.waiting && self.files == 0 {
            return if passed.is_empty() { Front::Empty } else { Front::Bytes(passed, &[]) };
        }
        let waiting = self.bytes.get(self.head..).unwrap_or_default();
        let bytes = match self.segments.front() {
            None => waiting,
            Some(Segment::Bytes(n)) => waiting.get(..*n).unwrap_or_default(),
            Some(Segment::File(range)) if passed.is_empty() => return Front::File(range),
            Some(Segment::File(_)) => &[],
        };
        if passed.is_empty() { Front::Bytes(bytes, &[]) } else { Front::Bytes(passed, bytes) }
    }

    /// Whether the bytes at the front are followed by a file.
    pub fn is_file_next(&self) -> bool {
        self.files > 0 && matches!(self.segments.get(1), Some(Segment::File(_)))
    }

    /// The first `n` bytes of the front have been sent.
    #[inline]
    pub fn advance(&mut self, n: u64) {
        let sent = usize::try_from(n).unwrap_or(usize::MAX);
        if sent > self.passed.len() {
            return self.advance_further(n);
        }
        self.passed.start += sent;
        self.waiting -= sent;
        if self.passed.is_empty() {
            self.shared = None;
        }
    }

    fn advance_further(&mut self, n: u64) {
        if let (true, Some(Segment::File(range))) = (self.passed.is_empty(), self.segments.front_mut()) {
            debug_assert!(n <= range.len, "sent more of a file than was queued");
            range.offset += n;
            range.len = range.len.saturating_sub(n);
            if range.len == 0 {
                self.segments.pop_front();
                self.files -= 1;
            }
            return;
        }
        let n = usize::try_from(n).unwrap_or(usize::MAX).min(self.waiting);
        self.waiting -= n;
        self.advance_bytes(n - self.passed.len());
        (self.passed, self.shared) = (0..0, None);
    }

    fn advance_bytes(&mut self, n: usize) {
        if n == 0 {
            return;
        }
        if let Some(Segment::Bytes(left)) = self.segments.front_mut() {
            *left = left.saturating_sub(n);
            if *left == 0 {
                self.segments.pop_front();
            }
        }
        self.head = (self.head + n).min(self.bytes.len());
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        } else if self.head >= limits::OUT_HIGH_MARK {
            // A reader that is always a little behind must not make the sent part grow for ever.
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }

    /// Forgets everything that waits.
    pub(crate) fn reset(&mut self) {
        (self.passed, self.shared) = (0..0, None);
        self.bytes.clear();
        self.head = 0;
        (self.received, self.mark) = (None, Mark::default());
        self.segments.clear();
        (self.waiting, self.files) = (0, 0);
    }

    /// Bytes of memory that the queue holds on to.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn front(out: &Out, buffer: &[u8]) -> Vec<u8> {
        match out.front(buffer) {
            Front::Bytes(first, second) => [first, second].concat(),
            Front::Empty => Vec::new(),
            Front::File(range) => format!("file {}+{}", range.offset, range.len).into_bytes(),
        }
    }

    fn file(offset: u64, len: u64) -> FileRange {
        FileRange { file: Arc::new(tempfile::tempfile().unwrap()), offset, len }
    }

    #[test]
    fn passed_bytes_come_first_and_are_kept_when_not_sent() {
        let mut out = Out::default();
        out.allow_passing(true);
        out.pass(2..6, b"cdef");
        out.push(b"xyz");
        assert_eq!(front(&out, b"abcdefgh"), b"cdefxyz");
        out.advance(3);
        out.keep(b"abcdefgh");
        assert_eq!(front(&out, &[]), b"fxyz");
        out.advance(4);
        assert!(out.is_empty());
    }

    #[test]
    fn shared_bytes_are_copied_only_if_they_are_not_sent_at_once() {
        let shared: Arc<[u8]> = b"shared"[..].into();
        let mut out = Out::default();
        out.share(&shared);
        out.share(&shared);
        out.push(b"!");
        assert_eq!(front(&out, b"another"), b"sharedshared!");
        out.advance(2);
        assert_eq!(Arc::strong_count(&shared), 2);
        out.keep(b"another");
        assert_eq!(Arc::strong_count(&shared), 1);
        assert_eq!(front(&out, b"another"), b"aredshared!");
        out.advance(11);
        assert!(out.is_empty());

        out.share(&shared);
        out.advance(6);
        assert!(out.is_empty());
        out.share(&shared);
        out.push(b"!");
        out.advance(7);
        out.share(&shared);
        out.reset();
        assert!(out.is_empty());
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn files_keep_their_place_between_bytes() {
        let mut out = Out::default();
        out.push(b"head");
        out.push_file(file(10, 5));
        out.push(b"next");
        out.push_file(file(0, 0));
        out.push(b"!");
        assert!(out.is_full(), "a file counts as full");
        assert!(out.is_file_next());
        assert_eq!(front(&out, &[]), b"head");
        out.advance(4);
        assert_eq!(front(&out, &[]), b"file 10+5");
        out.advance(2);
        assert_eq!(front(&out, &[]), b"file 12+3");
        out.advance(3);
        assert_eq!(front(&out, &[]), b"next!");
        out.advance(5);
        assert!(out.is_empty() && !out.is_full());
    }

    #[test]
    fn progress_is_what_a_reader_has_taken() {
        let mut out = Out::default();
        out.push(b"head");
        out.push_file(file(0, 100));
        out.mark();
        assert_eq!(out.owed(), 104);
        assert!(!out.has_progressed(1));
        out.advance(4);
        assert!(out.has_progressed(4) && !out.has_progressed(1));
        out.advance(99);
        assert!(!out.has_progressed(100));
        out.advance(1);
        assert!(out.has_progressed(100));
    }

    /// The socket may take more although the peer reads nothing, and no more although it does.
    #[test]
    fn progress_is_what_has_been_received_where_that_is_known() {
        let mut out = Out::default();
        out.push_file(file(0, 100));
        out.mark();
        assert!(out.wants_received());
        out.advance(50);
        out.set_received(Some(7));
        assert!(!out.wants_received());
        out.advance(10);
        assert!(!out.has_progressed(1));
        out.set_received(Some(27));
        assert!(out.has_progressed(20));
        out.set_received(Some(46));
        assert!(!out.has_progressed(20));
        out.mark();
        assert!(out.wants_received(), "each reply begins anew");
    }

    #[test]
    fn a_reader_always_a_little_behind_costs_bounded_memory() {
        let mut out = Out::default();
        let chunk = vec![b'x'; limits::OUT_HIGH_MARK / 2];
        out.push(&chunk);
        for _ in 0..100 {
            out.push(&chunk);
            out.advance(chunk.len() as u64);
        }
        assert!(out.bytes.capacity() < limits::OUT_HIGH_MARK * 4);
    }
}
