//! Where a message ends, for clients that end their lines and for clients that do not.
//!
//! The labs' programs send strings without a newline, one per `send`, and wait for the answer; telnet
//! sends `CR LF`, nc `LF`. Waiting for a newline would hang the first; taking each read as a message
//! would break the lines of the others. One rule serves both:
//!
//! * A complete line is always a message. The first one makes the connection a **line connection**
//!   for good: its tail waits for a line end or the end of the input.
//! * Before that the connection is **undecided**: a tail that stays quiet for `pause` is a message.
//!   The protocol may take it at once when it knows it to be complete ([`Lines::take_tail`]). A line
//!   end that arrives next belongs to that message.
//! * The end of the input completes a tail.

use std::borrow::Cow;
use std::time::Duration;

use bitflags::bitflags;
use memchr::{memchr, memchr_iter};

use crate::input::Input;
use crate::mutation::{Mutant, is_planted};
use crate::out::Out;
use crate::telnet;

/// How much longer than usual a tail is waited for that ends inside a UTF-8 character.
const MID_CHARACTER: u32 = 8;

/// How a message ended; an answer ends the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `CR LF`.
    CrLf,
    /// `LF` alone.
    Lf,
    /// `CR NUL`, which telnet sends for a carriage return (RFC 854).
    CrNul,
    /// No line end: a pause, or the end of the input.
    None,
}

impl End {
    /// The bytes of it.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
            Self::CrNul => b"\r\0",
            Self::None => b"",
        }
    }

    /// The line end for text of several lines: what the peer uses, `LF` if it uses none.
    pub fn or_lf(self) -> &'static [u8] {
        if self == Self::None { b"\n" } else { self.bytes() }
    }
}

/// One message, without its line end and without telnet sequences.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The text, any bytes.
    pub text: Cow<'a, [u8]>,
    /// How it ended.
    pub end: End,
}

impl<'a> Message<'a> {
    /// A datagram as a message: its line end, if it has one, is not part of the text.
    pub fn of_datagram(datagram: &'a [u8]) -> Self {
        let (text, end) = split_end(datagram);
        Self { text: Cow::Borrowed(text), end }
    }
}

/// A line without its end, and the end.
pub(crate) fn split_end(line: &[u8]) -> (&[u8], End) {
    match line {
        [text @ .., b'\r', b'\n'] => (text, End::CrLf),
        [text @ .., b'\n'] => (text, End::Lf),
        [text @ .., b'\r', 0] => (text, End::CrNul),
        text => (text, End::None),
    }
}

/// What the input holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A message, taken from the input.
    Message(Message<'a>),
    /// The first line is an HTTP request: some browser or script is at the wrong port, perhaps.
    Http(Message<'a>),
    /// The line is longer than allowed.
    TooLong,
    /// Nothing complete; what is left waits in the input.
    Incomplete,
}

/// When a connection counts as telnet, so that `IAC` sequences are taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telnet {
    /// From its first option negotiation on: any other bytes may be part of a message.
    WhenNegotiated,
    /// From the start: byte 255 is never text here.
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Undecided,
    Line,
}

/// A line end may still belong to the message before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    No,
    LineEnd,
    AfterCr,
}

/// The state of the rule for one connection: 16 bytes.
#[derive(Debug)]
pub struct Lines {
    /// Bytes of the waiting tail known to hold no line end.
    scanned: u32,
    /// Bytes of the waiting input in which telnet was looked for; more lines than the first may wait.
    searched: u32,
    mode: Mode,
    late: Late,
    telnet: bool,
    scanned_as_telnet: bool,
    first: bool,
}

bitflags! {
    /// [`Lines`] while no input waits.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct LinesAtRest: u8 {
        /// It ends its lines.
        const LINE = 1;
        /// A line end may still belong to the last message; a CR of it has come.
        const LATE = 1 << 1;
        /// See `LATE`.
        const AFTER_CR = 1 << 2;
        /// It is telnet.
        const TELNET = 1 << 3;
        /// Nothing has come yet.
        const FIRST = 1 << 4;
    }
}

impl From<LinesAtRest> for Lines {
    fn from(rest: LinesAtRest) -> Self {
        let late = if rest.contains(LinesAtRest::AFTER_CR) { Late::AfterCr } else { Late::LineEnd };
        let telnet = rest.contains(LinesAtRest::TELNET);
        Self {
            scanned: 0,
            searched: 0,
            mode: if rest.contains(LinesAtRest::LINE) { Mode::Line } else { Mode::Undecided },
            late: if rest.contains(LinesAtRest::LATE) { late } else { Late::No },
            telnet,
            scanned_as_telnet: telnet,
            first: rest.contains(LinesAtRest::FIRST),
        }
    }
}

impl Lines {
    /// What must be kept while no input waits.
    pub fn at_rest(&self) -> LinesAtRest {
        let mut rest = LinesAtRest::empty();
        rest.set(LinesAtRest::LINE, self.mode == Mode::Line);
        rest.set(LinesAtRest::LATE, self.late != Late::No);
        rest.set(LinesAtRest::AFTER_CR, self.late == Late::AfterCr);
        rest.set(LinesAtRest::TELNET, self.telnet);
        rest.set(LinesAtRest::FIRST, self.first);
        rest
    }

    /// A connection that has sent nothing.
    pub fn new(telnet: Telnet) -> Self {
        Self {
            scanned: 0,
            searched: 0,
            mode: Mode::Undecided,
            late: Late::No,
            telnet: telnet == Telnet::Always,
            scanned_as_telnet: false,
            first: true,
        }
    }

    /// The next message. `max` bounds its length in bytes; telnet requests are answered into `out`.
    pub fn next<'a>(&mut self, input: &mut Input<'a>, max: usize, out: &mut Out) -> Next<'a> {
        self.skip_late_line_end(input);
        self.notice_telnet(input.rest(), max);
        self.answer_at_once(input, max, out);
        let rest = input.rest();
        match self.find_end(rest) {
            Ok(last) if split_end(rest.get(..=last).unwrap_or(rest)).0.len() > max => Next::TooLong,
            Ok(last) => {
                self.mode = Mode::Line;
                self.scanned = 0;
                self.searched = self.searched.saturating_sub(u32::try_from(last + 1).unwrap_or(u32::MAX));
                self.message(input.take(last + 1), out)
            }
            // The last byte may be a CR that belongs to the end.
            Err(_) if rest.len() >= longest(max) && !is_planted(Mutant::LineUnbounded) => Next::TooLong,
            Err(scanned) => {
                self.scanned = u32::try_from(scanned).unwrap_or(0);
                Next::Incomplete
            }
        }
    }

    /// Whether a tail is longer than a message of `max` bytes may be: it waits a little beyond that, for a line
    /// end or for telnet to show itself.
    pub fn is_too_long(tail: &[u8], max: usize) -> bool {
        tail.strip_suffix(b"\r").unwrap_or(tail).len() > max
    }

    /// Takes the tail as a message: because it was quiet for the pause, because the input has ended,
    /// or because the protocol knows that it is complete. `None` when there is none.
    pub fn take_tail<'a>(&mut self, input: &mut Input<'a>, out: &mut Out) -> Option<Message<'a>> {
        let tail = input.take_all();
        (self.scanned, self.searched) = (0, 0);
        let (text, late) = match tail.split_last() {
            Some((b'\r', text)) => (text, Late::AfterCr),
            _ => (tail, Late::LineEnd),
        };
        let text = self.clean(text, out);
        if text.is_empty() && late == Late::LineEnd {
            // Nothing, or telnet options that nobody typed.
            return None;
        }
        self.late = late;
        self.first = false;
        let end = if late == Late::AfterCr { End::CrLf } else { End::None };
        Some(Message { text, end })
    }

    /// How long the tail must stay quiet to be a message; `None` when nothing but a line end, or the
    /// end of the input, completes it.
    pub fn pause(&self, tail: &[u8], pause: Duration) -> Option<Duration> {
        if tail.is_empty() || self.mode == Mode::Line {
            return None;
        }
        // A character must not be cut in two because its halves came in two segments.
        let mid_character = std::str::from_utf8(tail).is_err_and(|e| e.error_len().is_none());
        Some(if mid_character { pause * MID_CHARACTER } else { pause })
    }

    /// Whether the connection has shown that it ends its lines.
    pub fn is_line_connection(&self) -> bool {
        self.mode == Mode::Line
    }

    /// Telnet begins with the message in which it negotiates, not with those before it that happen to have
    /// come in the same read; and a message that is too long has no say.
    fn notice_telnet(&mut self, rest: &[u8], max: usize) {
        if !self.telnet {
            // A negotiation is three bytes, two of which may have been seen before.
            let seen = if is_planted(Mutant::CutMissed) { 0 } else { telnet::NEGOTIATION - 1 };
            let unseen = (self.searched as usize).saturating_sub(seen);
            let found = telnet::negotiation(rest.get(unseen..).unwrap_or_default()).map(|at| unseen + at);
            let before = found.and_then(|at| rest.get(..at));
            self.telnet = before.is_some_and(|before| {
                is_planted(Mutant::TelnetBackdated)
                    || before.len() + telnet::NEGOTIATION <= longest(max) && self.find_end(before).is_err()
            });
            let searched = found.map_or(rest.len(), |at| at + telnet::NEGOTIATION - 1);
            self.searched = u32::try_from(searched).unwrap_or(0);
        }
        if self.telnet && self.scanned > 0 {
            // What was scanned before telnet showed itself may end inside a sequence.
            self.scanned = if self.scanned_as_telnet { self.scanned } else { 0 };
        }
        self.scanned_as_telnet = self.telnet;
    }

    /// Sequences before a line are answered without waiting for its end: a telnet client that was
    /// interrupted shows nothing until it has its answer.
    fn answer_at_once(&mut self, input: &mut Input<'_>, max: usize, out: &mut Out) {
        if self.telnet {
            let sequences = input.take(telnet::sequences_in_front(input.rest(), longest(max)));
            telnet::answer(sequences, out);
            let taken = u32::try_from(sequences.len()).unwrap_or(u32::MAX);
            self.scanned = self.scanned.saturating_sub(taken);
        }
    }

    /// The index of the last byte of the first line, or how far there is none for certain.
    fn find_end(&self, rest: &[u8]) -> Result<usize, usize> {
        let from = self.scanned as usize;
        if self.telnet {
            return telnet::find_line_end(rest, from);
        }
        let unseen = rest.get(from..).unwrap_or_default();
        let line_feed = memchr(b'\n', unseen).map(|at| from + at);
        let before = rest.get(..line_feed.unwrap_or(rest.len())).unwrap_or_default();
        first_cr_nul(before, from).or(line_feed).ok_or(rest.len())
    }

    fn message<'a>(&mut self, line: &'a [u8], out: &mut Out) -> Next<'a> {
        let (text, end) = split_end(line);
        if is_planted(Mutant::TextLogged) {
            log::info!("{}", String::from_utf8_lossy(text));
        }
        assert!(!is_planted(Mutant::TextExpected) || std::str::from_utf8(text).is_ok());
        let http = std::mem::take(&mut self.first) && is_http_request(text);
        let message = Message { text: self.clean(text, out), end };
        if http { Next::Http(message) } else { Next::Message(message) }
    }

    fn clean<'a>(&self, text: &'a [u8], out: &mut Out) -> Cow<'a, [u8]> {
        if !self.telnet {
            return Cow::Borrowed(text);
        }
        let clean = telnet::strip(text);
        // Borrowed, there is nothing to answer in it.
        if matches!(clean, Cow::Owned(_)) {
            telnet::answer(text, out);
        }
        clean
    }

    fn skip_late_line_end(&mut self, input: &mut Input<'_>) {
        while let (true, Some(&byte)) = (self.late != Late::No, input.rest().first()) {
            let (take, late) = match (self.late, byte) {
                (Late::LineEnd, b'\r') => (1, Late::AfterCr),
                (Late::LineEnd, b'\n') | (Late::AfterCr, b'\n' | 0) => (1, Late::No),
                _ => (0, Late::No),
            };
            input.take(take);
            self.late = late;
        }
    }
}

/// Bytes that a message may have with its end, `max` without: whoever has sent so many and has not ended it is
/// over the bound. A telnet sequence that goes on beyond them is, too, whether its end has come or not:
/// what is said of some bytes must not depend on how they were cut.
fn longest(max: usize) -> usize {
    max.saturating_add(2)
}

/// The index of the first NUL that follows a CR, at or after `from`.
fn first_cr_nul(bytes: &[u8], from: usize) -> Option<usize> {
    let is_end = |at: &usize| bytes.get(at.wrapping_sub(1)) == Some(&b'\r');
    memchr_iter(0, bytes.get(from..)?).map(|at| from + at).find(is_end)
}

/// Whether a line is the request line of HTTP/1.
pub(crate) fn is_http_request(line: &[u8]) -> bool {
    let mut words = line.split(|&b| b == b' ');
    let method = words.next().unwrap_or_default();
    let (target, version, more) = (words.next(), words.next(), words.next());
    !method.is_empty()
        && method.iter().all(u8::is_ascii_uppercase)
        && target.is_some_and(|t| !t.is_empty())
        && version.is_some_and(|v| v.starts_with(b"HTTP/1."))
        && more.is_none()
}

#[cfg(test)]
mod tests;
