//! What is written down in a room, and the forms in which members get it.

use std::io::Write;
use std::time::UNIX_EPOCH;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::frame;

/// In which bytes a member hears what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A line of text that ends in LF. Nobody hears their own.
    Line(Style),
    /// A text frame of WebSocket, from the server (RFC 6455). The author gets it too, as the
    /// acknowledgement.
    Frame,
}

impl Form {
    /// Whether authors hear their own entries.
    pub fn hears_own(self) -> bool {
        self == Self::Frame
    }

    /// Whether a line may stand between the entries that says something about them.
    pub fn has_notices(self) -> bool {
        !matches!(self, Self::Line(Style { raw: true, .. }))
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Style {
    /// The text alone: no names, no notices.
    pub raw: bool,
    /// The local time of day before everything else: `[01:07:09] `.
    pub timestamps: bool,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody said it.
    Said,
    /// Somebody did it: `/me waves`.
    Action,
    /// The daemon says it.
    Notice,
    /// Somebody said it to one member.
    Private,
}

impl Kind {
    /// Its name in a frame.
    pub fn word(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Action => "action",
            Self::Notice => "notice",
            Self::Private => "private",
        }
    }
}

/// One entry of a room's log, ready to be encoded. Name and text hold nothing hidden.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its number in the room's log.
    pub seq: u64,
    /// Who wrote it: a number that is never used again; 0 is the daemon itself.
    pub author: u64,
    /// The author's name when it was written; empty for the daemon.
    pub name: &'a str,
    /// Milliseconds since 1970.
    pub time: u64,
    /// What it is.
    pub kind: Kind,
    /// The text, without a line end. A notice begins with the name of whom it is about.
    pub text: &'a str,
    /// The number that the author's client gave it; 0 if none.
    pub client: u64,
}

/// Encodes entries. It remembers the last second that it wrote out.
#[derive(Debug)]
pub(super) struct Encoder {
    epoch: u64,
    zone: TimeZone,
    second: u64,
    clock: String,
    date: String,
}

impl Encoder {
    pub(super) fn new(epoch: u64, zone: TimeZone) -> Self {
        Self { epoch, zone, second: u64::MAX, clock: String::new(), date: String::new() }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Appends an entry in a form; nothing if the form leaves it out.
    pub(super) fn encode(&mut self, form: Form, entry: &Entry<'_>, to: &mut Vec<u8>) {
        match form {
            Form::Frame => frame::encode(self.epoch, entry, to),
            Form::Line(style) => self.line(style, entry, to),
        }
    }

    fn line(&mut self, style: Style, entry: &Entry<'_>, to: &mut Vec<u8>) {
        if style.raw && entry.kind == Kind::Notice {
            return;
        }
        if style.timestamps {
            self.read_clock(entry.time);
            to.extend_from_slice(self.clock.as_bytes());
        }
        if !style.raw {
            let (before, after) = around(entry.kind);
            to.extend_from_slice(before.as_bytes());
            to.extend_from_slice(entry.name.as_bytes());
            to.extend_from_slice(after.as_bytes());
        }
        to.extend_from_slice(entry.text.as_bytes());
        to.push(b'\n');
    }

    /// Appends an entry as a line of the transcript, without a line end.
    pub(super) fn transcribe(&mut self, room: &str, entry: &Entry<'_>, to: &mut Vec<u8>) {
        self.read_clock(entry.time);
        let (before, after) = around(entry.kind);
        let (date, name, text) = (&self.date, entry.name, entry.text);
        // Writing to a vector cannot fail.
        let _ = write!(to, "{date} {room} {before}{name}{after}{text}");
    }

    fn read_clock(&mut self, ms: u64) {
        let second = ms / 1000;
        if second == std::mem::replace(&mut self.second, second) {
            return;
        }
        let at = UNIX_EPOCH + std::time::Duration::from_secs(second);
        let at = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.zone.clone());
        self.clock = at.strftime("[%H:%M:%S] ").to_string();
        self.date = at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    }
}

/// What stands around the name. No name can hold any of it, so none of the four can pass for another.
fn around(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Said => ("", ": "),
        Kind::Action => ("** ", " "),
        Kind::Notice => ("* ", ""),
        Kind::Private => ("", " (to you): "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(raw: bool, timestamps: bool, kind: Kind) -> String {
        let name = if kind == Kind::Notice { "" } else { "ben" };
        let entry =
            Entry { seq: 1, author: 2, name, time: 1_795_223_229_500, kind, text: "waves", client: 0 };
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(1, TimeZone::UTC);
        encoder.encode(Form::Line(Style { raw, timestamps }), &entry, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_kind_of_line_looks_different() {
        assert_eq!(line(false, false, Kind::Said), "ben: waves\n");
        assert_eq!(line(false, false, Kind::Action), "** ben waves\n");
        assert_eq!(line(false, false, Kind::Notice), "* waves\n");
        assert_eq!(line(false, false, Kind::Private), "ben (to you): waves\n");
        assert_eq!(line(false, true, Kind::Said), "[01:07:09] ben: waves\n");
    }

    #[test]
    fn raw_is_the_text_alone() {
        assert_eq!(line(true, false, Kind::Said), "waves\n");
        assert_eq!(line(true, false, Kind::Action), "waves\n");
        assert_eq!(line(true, false, Kind::Notice), "");
        assert_eq!(line(true, true, Kind::Private), "[01:07:09] waves\n");
    }
}
