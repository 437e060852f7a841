//! What is said over a connection, and what must come back.

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::table::{self, Cursor, Table};
use crate::escape::Escaped;

pub mod chat;
pub mod http;
pub mod template;

use template::Template;

/// Longest line that is waited for where a line is the reply.
const LINE: usize = 256;
/// How much of a wrong reply is shown.
const SHOWN: usize = 24;
/// What asks for the time.
const REQTIME: &[u8] = b"reqtime\n";

/// What is to be said: enough for another process to say the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// Bytes that come back.
    Echo {
        /// Bytes of a message.
        size: usize,
    },
    /// Lines that come back changed.
    Modify {
        /// Bytes of a line, with its line feed.
        size: usize,
        /// What comes back.
        template: Template,
        /// What the server says first.
        greeting: Vec<u8>,
    },
    /// Requests of HTTP.
    Http {
        /// The request.
        request: Vec<u8>,
        /// The reply.
        reply: http::Expected,
    },
    /// Requests for the time.
    Reqtime,
    /// Any bytes.
    Raw {
        /// What is sent.
        request: Vec<u8>,
        /// What comes back each time; nothing: nothing does.
        reply: Option<Vec<u8>>,
    },
    /// Lines that all others get.
    Chat(chat::Recipe),
}

/// A recipe, ready to be used by any number of connections of a worker.
#[derive(Debug)]
pub struct Exchange {
    request: Table,
    /// Bytes of one request.
    pub request_len: usize,
    kind: Kind,
    verify: bool,
}

#[derive(Debug)]
enum Kind {
    /// Replies of a known length and text.
    Stream {
        reply: Option<Table>,
        reply_len: usize,
        greeting: Vec<u8>,
        own_place: bool,
    },
    /// No reply.
    OneWay,
    Http(http::Expected),
    Reqtime,
    Chat,
}

/// A connection's place in what it sends and gets.
#[derive(Debug, Clone)]
pub struct Place {
    /// The next byte to be sent.
    sending: Cursor,
    /// The next byte to come.
    reading: Cursor,
    /// Bytes of the present reply that are missing.
    left: usize,
    /// Bytes of the greeting that are missing.
    greeting: usize,
    /// Replies that came whole.
    pub replies: u64,
    state: State,
    /// The server said that it closes.
    pub closes: bool,
}

#[derive(Debug, Clone)]
enum State {
    Plain,
    Http(Box<http::Reader>),
    Line(Vec<u8>),
}

/// Why a reply is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its kind.
    pub fault: Fault,
    /// Where in the reply.
    pub offset: u64,
    /// What should be there.
    pub expected: String,
    /// What is.
    pub came: String,
    /// What is known beyond that.
    pub note: String,
}

impl Exchange {
    /// Makes the texts. Without `verify`, replies are only counted.
    pub fn new(recipe: &Recipe, verify: bool) -> Self {
        let stream = |reply, reply_len, greeting: &[u8], own_place| Kind::Stream {
            reply,
            reply_len,
            greeting: greeting.to_vec(),
            own_place,
        };
        let (request, request_len, kind) = match recipe {
            Recipe::Echo { size } => (Table::random(), *size, stream(None, *size, b"", true)),
            Recipe::Modify { size, template, greeting } => {
                let change = |line: &[u8]| template.reply(line);
                let reply_len = table::lines(*size).next().map_or(1, |line| change(&line).len());
                let reply = Table::of_lines(*size, change);
                let request = Table::of_lines(*size, <[u8]>::to_vec);
                (request, *size, stream(Some(reply), reply_len, greeting, true))
            }
            Recipe::Http { request, reply } => {
                (Table::repeat(request), request.len(), Kind::Http(reply.clone()))
            }
            Recipe::Reqtime => (Table::repeat(REQTIME), REQTIME.len(), Kind::Reqtime),
            Recipe::Raw { request, reply: None } => (Table::repeat(request), request.len(), Kind::OneWay),
            Recipe::Raw { request, reply: Some(reply) } => {
                let kind = stream(Some(Table::repeat(reply)), reply.len(), b"", false);
                (Table::repeat(request), request.len(), kind)
            }
            Recipe::Chat(_) => (Table::random(), 0, Kind::Chat),
        };
        Self { request, request_len, kind, verify }
    }

    /// Where a connection begins. Those of echo begin at places of their own.
    pub fn begin(&self, number: u64) -> Place {
        let period = self.request.period();
        let mut place = Place {
            sending: 0,
            reading: 0,
            left: 0,
            greeting: 0,
            replies: 0,
            state: State::Plain,
            closes: false,
        };
        match &self.kind {
            Kind::Stream { reply, reply_len, greeting, own_place } => {
                (place.left, place.greeting) = (*reply_len, greeting.len());
                if *own_place {
                    let unit = if reply.is_some() { self.request_len } else { 1 };
                    place.sending = table::start(number, period, unit);
                    let line = place.sending as usize / self.request_len.max(1);
                    place.reading = match reply {
                        Some(_) => u32::try_from(line * reply_len).unwrap_or_default(),
                        None => place.sending,
                    };
                }
            }
            Kind::Http(_) => place.state = State::Http(Box::default()),
            Kind::Reqtime => place.state = State::Line(Vec::new()),
            Kind::OneWay | Kind::Chat => {}
        }
        place
    }

    /// Whether a request is done when it is sent.
    pub fn is_one_way(&self) -> bool {
        matches!(self.kind, Kind::OneWay)
    }

    /// What is to be sent next, `max` bytes at the most.
    #[inline]
    pub fn outgoing(&self, place: &Place, max: usize) -> &[u8] {
        self.request.at(place.sending, max)
    }

    /// So much of it was sent.
    #[inline]
    pub fn sent(&self, place: &mut Place, n: usize) {
        place.sending = self.request.advance(place.sending, n);
    }

    /// Takes what came; tells how many replies have become whole.
    ///
    /// # Errors
    /// It is not what should have come.
    #[inline]
    pub fn take(&self, place: &mut Place, bytes: &[u8]) -> Result<u32, Mistake> {
        match &self.kind {
            Kind::Stream { .. } if place.greeting == 0 => self.take_stream(place, bytes),
            Kind::Stream { greeting, .. } => self.take_greeting(place, greeting, bytes),
            Kind::OneWay | Kind::Chat => Ok(0),
            Kind::Http(expected) => {
                let State::Http(reader) = &mut place.state else { return Ok(0) };
                let expected = self.verify.then_some(expected);
                let done = reader.take(bytes, expected)?;
                place.closes = reader.closes();
                place.replies += u64::from(done);
                Ok(done)
            }
            Kind::Reqtime => self.take_lines(place, bytes),
        }
    }

    /// The server has closed: whether that makes a reply whole.
    ///
    /// # Errors
    /// It ended too early.
    pub fn end(&self, place: &mut Place) -> Result<u32, Mistake> {
        match (&self.kind, &mut place.state) {
            (Kind::Http(expected), State::Http(reader)) => reader.end(self.verify.then_some(expected)),
            _ => Ok(0),
        }
    }

    /// Whether a part of a reply has come.
    pub fn is_within(&self, place: &Place) -> bool {
        match (&self.kind, &place.state) {
            (Kind::Stream { reply_len, .. }, _) => place.left != *reply_len,
            (_, State::Http(reader)) => reader.is_within(),
            (_, State::Line(line)) => !line.is_empty(),
            _ => false,
        }
    }

    /// Over UDP: where the text stands of the reply to the next request.
    pub fn next_reply(&self, place: &mut Place) -> Cursor {
        let at = place.reading;
        if let Kind::Stream { reply, reply_len, .. } = &self.kind {
            let table = reply.as_ref().unwrap_or(&self.request);
            place.reading = table.advance(at, *reply_len);
        }
        at
    }

    /// Over UDP: whether a datagram is the reply whose text stands there.
    pub fn is_reply(&self, at: Cursor, datagram: &[u8]) -> bool {
        match &self.kind {
            Kind::Stream { reply_len, .. } if !self.verify => datagram.len() == *reply_len,
            Kind::Stream { reply_len, .. } => datagram == self.text(at, *reply_len),
            Kind::Reqtime => !self.verify || is_time(datagram),
            _ => false,
        }
    }

    /// Over UDP: the beginning of that reply.
    pub fn reply_text(&self, at: Cursor) -> &[u8] {
        self.text(at, SHOWN)
    }

    fn text(&self, at: Cursor, len: usize) -> &[u8] {
        match &self.kind {
            Kind::Stream { reply, .. } => reply.as_ref().unwrap_or(&self.request).at(at, len),
            _ => b"",
        }
    }

    #[inline]
    fn take_stream(&self, place: &mut Place, bytes: &[u8]) -> Result<u32, Mistake> {
        let Kind::Stream { reply, reply_len, .. } = &self.kind else { return Ok(0) };
        let table = reply.as_ref().unwrap_or(&self.request);
        if self.verify {
            let (same, next) = table.compare(place.reading, bytes);
            if same < bytes.len() {
                let offset = (reply_len - place.left + same) as u64 % *reply_len as u64;
                return Err(mistake(table, place.reading, bytes, same, offset));
            }
            place.reading = next;
        }
        if bytes.len() < place.left {
            place.left -= bytes.len();
            return Ok(0);
        }
        let over = bytes.len() - place.left;
        let done = if over == 0 {
            place.left = *reply_len;
            1
        } else {
            place.left = reply_len - over % reply_len;
            1 + over / reply_len
        };
        place.replies += done as u64;
        Ok(u32::try_from(done).unwrap_or(u32::MAX))
    }

    fn take_greeting(&self, place: &mut Place, greeting: &[u8], bytes: &[u8]) -> Result<u32, Mistake> {
        let wanted = greeting.get(greeting.len() - place.greeting..).unwrap_or_default();
        let (first, rest) = bytes.split_at(bytes.len().min(wanted.len()));
        if self.verify && !wanted.starts_with(first) {
            let note = "in the greeting that a connection begins with".to_owned();
            return Err(Mistake::new(0, wanted, first, note));
        }
        place.greeting -= first.len();
        if rest.is_empty() { Ok(0) } else { self.take_stream(place, rest) }
    }

    fn take_lines(&self, place: &mut Place, bytes: &[u8]) -> Result<u32, Mistake> {
        let State::Line(line) = &mut place.state else { return Ok(0) };
        let mut done = 0;
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(part);
            let whole = line.last() == Some(&b'\n');
            if (whole && self.verify && !is_time(line)) || line.len() > LINE {
                let expected = "a time as \"Sat Nov 21 01:07:09 2026\"";
                return Err(Mistake {
                    expected: expected.to_owned(),
                    ..Mistake::new(0, b"", line, String::new())
                });
            }
            if whole {
                line.clear();
                done += 1;
            }
        }
        place.replies += u64::from(done);
        Ok(done)
    }
}

/// Says what is wrong with `bytes`, of which `same` are right.
fn mistake(table: &Table, cursor: Cursor, bytes: &[u8], same: usize, offset: u64) -> Mistake {
    // The comparison stopped in the piece that begins at its cursor; go on from there.
    let mut at = cursor;
    let mut left = same;
    while left > 0 {
        let n = table.at(at, left).len();
        (at, left) = (table.advance(at, n), left - n);
    }
    let came = bytes.get(same..).unwrap_or_default();
    let whose = came.get(..came.len().min(16)).unwrap_or_default();
    let note = if whose.len() < 8 {
        ""
    } else if table.has(whose) {
        "these bytes belong to another message or connection, or some before them were lost or doubled"
    } else {
        "nobody sent these bytes: they were changed"
    };
    Mistake::new(offset, table.at(at, SHOWN), came, note.to_owned())
}

impl Mistake {
    pub(super) fn new(offset: u64, expected: &[u8], came: &[u8], note: String) -> Self {
        let shown = |bytes: &[u8]| format!("\"{}\"", Escaped::bounded(bytes, SHOWN));
        Self { fault: Fault::Wrong, offset, expected: shown(expected), came: shown(came), note }
    }
}

/// Whether a line is a time as strftime's `%c` gives it.
fn is_time(line: &[u8]) -> bool {
    let text = std::str::from_utf8(line).unwrap_or_default();
    jiff::civil::DateTime::strptime("%a %b %e %H:%M:%S %Y", text.trim_end()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(exchange: &Exchange, place: &mut Place, n: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < n {
            let piece = exchange.outgoing(place, n - all.len()).to_vec();
            exchange.sent(place, piece.len());
            all.extend(piece);
        }
        all
    }

    #[test]
    fn an_echo_is_right_however_it_is_cut() {
        let exchange = Exchange::new(&Recipe::Echo { size: 64 }, true);
        for cut in [1, 7, 63, 64, 65, 640] {
            let mut place = exchange.begin(3);
            let bytes = sent(&exchange, &mut place, 640);
            let done: u32 = bytes.chunks(cut).map(|part| exchange.take(&mut place, part).unwrap()).sum();
            assert_eq!((done, place.replies, exchange.is_within(&place)), (10, 10, false), "{cut}");
        }
    }

    #[test]
    fn a_byte_of_a_stranger_is_found() {
        let exchange = Exchange::new(&Recipe::Echo { size: 64 }, true);
        let (mut mine, mut theirs) = (exchange.begin(1), exchange.begin(2));
        let my_bytes = sent(&exchange, &mut mine, 128);
        let their_bytes = sent(&exchange, &mut theirs, 128);
        assert_eq!(exchange.take(&mut mine, &my_bytes[..100]), Ok(1));
        let mistake = exchange.take(&mut mine, &their_bytes[100..]).unwrap_err();
        assert_eq!(mistake.fault, Fault::Wrong);
        assert!((36..40).contains(&mistake.offset), "{mistake:?}");
        assert!(mistake.note.contains("another message or connection"), "{mistake:?}");
        let mut broken = my_bytes;
        broken.iter_mut().for_each(|byte| *byte ^= 0x55);
        let mistake = exchange.take(&mut exchange.begin(1), &broken).unwrap_err();
        assert!(mistake.note.contains("changed"), "{mistake:?}");
    }

    #[test]
    fn unverified_replies_are_counted_only() {
        let exchange = Exchange::new(&Recipe::Echo { size: 10 }, false);
        let mut place = exchange.begin(1);
        assert_eq!(exchange.take(&mut place, &[b'x'; 35]), Ok(3));
        assert!(exchange.is_within(&place));
    }

    #[test]
    fn modified_lines_are_expected_with_the_greeting_before_them() {
        let template = Template::parse("<{}> {length} {upper} {reverse}").unwrap();
        let recipe = Recipe::Modify { size: 32, template: template.clone(), greeting: b"hi\r\n".to_vec() };
        let exchange = Exchange::new(&recipe, true);
        let mut place = exchange.begin(9);
        let lines = sent(&exchange, &mut place, 32 * 5000);
        let mut replies = b"hi\r\n".to_vec();
        lines.split_inclusive(|&b| b == b'\n').for_each(|line| replies.extend(template.reply(line)));
        let done: u32 = replies.chunks(1001).map(|part| exchange.take(&mut place, part).unwrap()).sum();
        assert_eq!(done, 5000);
        let mut place = exchange.begin(9);
        assert!(exchange.take(&mut place, b"ho").unwrap_err().note.contains("greeting"));
    }

    #[test]
    fn a_time_is_a_time() {
        let exchange = Exchange::new(&Recipe::Reqtime, true);
        let mut place = exchange.begin(0);
        assert_eq!(exchange.take(&mut place, b"Sat Nov 21 01:07:09 2026\nSun Nov  1"), Ok(1));
        assert_eq!(exchange.take(&mut place, b" 01:07:09 2026\r\n"), Ok(1));
        assert!(exchange.take(&mut place, b"Sat Nov 31 01:07:09 2026\n").is_err());
        let mut place = exchange.begin(0);
        assert!(exchange.take(&mut place, b"soon\n").unwrap_err().expected.contains("Nov 21"));
        assert!(exchange.take(&mut exchange.begin(0), &[b'x'; 300]).is_err(), "bounded");
    }

    #[test]
    fn raw_bytes_bring_the_same_each_time() {
        let recipe = Recipe::Raw { request: b"ask".to_vec(), reply: Some(b"answer".to_vec()) };
        let exchange = Exchange::new(&recipe, true);
        let mut place = exchange.begin(5);
        assert_eq!(sent(&exchange, &mut place, 6), b"askask");
        assert_eq!(exchange.take(&mut place, b"answerans"), Ok(1));
        let mistake = exchange.take(&mut place, b"wex").unwrap_err();
        assert_eq!((mistake.offset, mistake.came.as_str()), (5, "\"x\""));
    }
}
