//! What a line of the log holds.

use std::fmt::{self, Write};

use jiff::Timestamp;
use log::Record;
use log::kv::{Key, Value, VisitSource};

use crate::escape::is_hidden;
use crate::limits;
use crate::mutation::{Mutant, is_planted};

/// What is put around a message, besides the target: time, level, brackets, line feed.
const FRAME: usize = 48;

/// The message of a line for people, with ` key=value` behind it, in what room `LOG_LINE` leaves.
pub(super) fn text(record: &Record<'_>) -> String {
    let room = limits::LOG_LINE.saturating_sub(FRAME + record.target().len());
    let mut line = Bounded::new(room);
    let _ = write!(line, "{}", record.args());
    let _ = record.key_values().visit(&mut Pairs(&mut line));
    line.finish()
}

/// The same as a whole line, framed as `simple_logger` does it.
pub(super) fn framed(record: &Record<'_>, now: Timestamp) -> String {
    format!("{now:.3} {:<5} [{}] {}\n", record.level(), record.target(), text(record))
}

/// A line for machines, its line feed included. It is whole JSON however long the message is.
pub(super) fn json(record: &Record<'_>, now: Timestamp) -> String {
    let mut room = limits::LOG_LINE / 2;
    loop {
        let line = object(record, now, room);
        if line.len() <= limits::LOG_LINE || room == 0 {
            return line;
        }
        // Characters that are escaped take up to six times their room.
        room /= 2;
    }
}

/// The object, with at most `room` bytes of the message and of each value.
fn object(record: &Record<'_>, now: Timestamp, room: usize) -> String {
    let mut fields = Fields { line: format!("{{\"time\":\"{now:.3}\""), room };
    fields.string("level", record.level());
    fields.string("target", record.target());
    fields.string("message", record.args());
    let _ = record.key_values().visit(&mut fields);
    fields.line.push_str("}\n");
    fields.line
}

/// Text that grows to a bound, hidden characters escaped.
struct Bounded {
    text: String,
    room: usize,
    cut: bool,
    escapes: bool,
}

impl Bounded {
    fn new(room: usize) -> Self {
        Self { text: String::new(), room, cut: false, escapes: true }
    }

    fn finish(mut self) -> String {
        if self.cut {
            self.text.push_str("...");
        }
        self.text
    }

    fn push(&mut self, piece: &str) {
        // Three bytes are kept for the dots.
        self.cut |= self.text.len() + piece.len() + 3 > self.room;
        if !self.cut {
            self.text.push_str(piece);
        }
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nearly all text is as plain as this, and need not be looked at by its characters.
        let is_plain = || is_planted(Mutant::TextLogged) || text.bytes().all(|b| matches!(b, b' '..=b'~'));
        if !self.cut && self.text.len() + text.len() + 3 <= self.room && is_plain() {
            self.text.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            if self.escapes && is_hidden(c) {
                self.push(&c.escape_default().to_string());
            } else {
                self.push(c.encode_utf8(&mut [0; 4]));
            }
            if self.cut {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// Key-value pairs for people.
struct Pairs<'a>(&'a mut Bounded);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        write!(self.0, " {key}={value}").map_err(log::kv::Error::from)
    }
}

/// An object of JSON that is being written.
struct Fields {
    line: String,
    room: usize,
}

impl Fields {
    fn string(&mut self, key: &str, value: impl fmt::Display) {
        let mut text = Bounded { escapes: false, ..Bounded::new(self.room) };
        let _ = write!(text, "{value}");
        self.raw(key, &serde_json::Value::String(text.finish()).to_string());
    }

    /// A field whose value is JSON already. Characters that JSON allows but a terminal would obey are
    /// escaped; they can only stand in strings.
    fn raw(&mut self, key: &str, json: &str) {
        let _ = write!(self.line, ",{}:", serde_json::Value::String(key.to_owned()));
        for c in json.chars() {
            if is_hidden(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(self.line, "\\u{unit:04x}");
                }
            } else {
                self.line.push(c);
            }
        }
    }
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        let number = value
            .to_i64()
            .map(serde_json::Value::from)
            .or_else(|| value.to_u64().map(serde_json::Value::from))
            .or_else(|| value.to_bool().map(serde_json::Value::from))
            .or_else(|| value.to_f64().map(serde_json::Value::from));
        match number {
            Some(number) => self.raw(key.as_str(), &number.to_string()),
            None => self.string(key.as_str(), value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    fn with<T>(message: &str, act: impl FnOnce(&Record<'_>) -> T) -> T {
        let pairs = [("peer", Value::from("127.0.0.1:9\n")), ("bytes", Value::from(42u64))];
        let mut builder = Record::builder();
        builder.level(Level::Info).target("switchboard::test").key_values(&pairs);
        act(&builder.args(format_args!("{message}")).build())
    }

    #[test]
    fn no_message_can_forge_a_line_or_move_a_cursor() {
        let line = with("a\n2026 ERROR\r\x1b[2J\u{9b}\u{202e}é", text);
        assert_eq!(line, "a\\n2026 ERROR\\r\\u{1b}[2J\\u{9b}\\u{202e}é peer=127.0.0.1:9\\n bytes=42");
    }

    #[test]
    fn json_is_one_line_with_typed_fields() {
        let line = with("a\n\"b\" \u{9b}\u{e0001}", |record| json(record, Timestamp::UNIX_EPOCH));
        assert_eq!(
            line,
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"INFO\",\"target\":\"switchboard::test\",\
             \"message\":\"a\\n\\\"b\\\" \\u009b\\udb40\\udc01\",\"peer\":\"127.0.0.1:9\\n\",\"bytes\":42}\n"
        );
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["message"], "a\n\"b\" \u{9b}\u{e0001}");
    }

    #[test]
    fn lines_are_bounded_and_say_that_they_were_cut() {
        for message in ["x".repeat(100_000), "\x01".repeat(100_000), "🦀".repeat(50_000)] {
            let line = with(&message, text);
            assert!(line.len() + FRAME + "switchboard::test".len() <= limits::LOG_LINE);
            assert!(line.ends_with("..."), "{}", line.len());
            let line = with(&message, |record| json(record, Timestamp::UNIX_EPOCH));
            assert!(line.len() <= limits::LOG_LINE);
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert!(read["message"].as_str().unwrap().ends_with("..."));
        }
    }
}
