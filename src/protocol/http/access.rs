//! The access log: a line for each request in the combined format, whatever its sender put into it.

use std::borrow::Cow;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use memchr::{memchr, memchr2};

use super::options::Options;
use super::reply::{DATE, Sent};
use super::site::Site;
use super::words::printable;
use crate::journal::Journal;
use crate::protocol::Cx;

/// Longest value of a line, in bytes as it is written: the line stays below [`crate::limits::LOG_LINE`].
const VALUE: usize = 1200;

/// What a request says of itself.
#[derive(Debug)]
pub(super) struct Said<'a> {
    line: Cow<'a, [u8]>,
    referer: Option<Cow<'a, [u8]>>,
    user_agent: Option<Cow<'a, [u8]>>,
}

impl<'a> Said<'a> {
    /// By the head of a request, or by what came of it.
    pub(super) fn by(head: &'a [u8]) -> Self {
        let mut lines = Lines(head).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = Cow::Borrowed(lines.next().unwrap_or_default());
        let mut said = Self { line, referer: None, user_agent: None };
        for field in lines {
            if let Some(value) = value_of(b"referer:", field) {
                said.referer = Some(Cow::Borrowed(value));
            } else if let Some(value) = value_of(b"user-agent:", field) {
                said.user_agent = Some(Cow::Borrowed(value));
            }
        }
        said
    }

    /// The same for later, when the request is gone.
    pub(super) fn kept(self) -> Said<'static> {
        let own = |value: Cow<'_, [u8]>| Cow::Owned(value.into_owned());
        Said { line: own(self.line), referer: self.referer.map(own), user_agent: self.user_agent.map(own) }
    }

    /// Notes what was answered, if there is a log.
    pub(super) fn note(&self, sent: Sent, options: &Options, cx: &Cx<'_>) {
        if let Some((site, log)) = site_with_log(options) {
            let date = site.date(cx);
            cx.shared.note(log, |text| self.write(text, &date, sent, cx));
        }
    }

    fn write(&self, text: &mut Vec<u8>, date: &[u8; DATE], sent: Sent, cx: &Cx<'_>) {
        match cx.peer.ip() {
            Some(IpAddr::V4(ip)) => push_v4(text, ip),
            // Writing to a vector cannot fail.
            Some(IpAddr::V6(ip)) => drop(write!(text, "{ip}")),
            None => text.push(b'-'),
        }
        text.extend_from_slice(b" - - [");
        push_date(text, date);
        text.extend_from_slice(b"] ");
        push_quoted(text, Some(&self.line));
        for number in [sent.status.into(), sent.bytes] {
            text.push(b' ');
            push_number(text, number);
        }
        text.push(b' ');
        push_quoted(text, self.referer.as_deref());
        text.push(b' ');
        push_quoted(text, self.user_agent.as_deref());
    }
}

/// What stands between line feeds.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.0);
        let (line, rest) = self.0.split_at_checked(end.unwrap_or(self.0.len()))?;
        self.0 = rest.get(1..).unwrap_or_default();
        (end.is_some() || !line.is_empty()).then_some(line)
    }
}

/// The value of a field if it has this name, which ends in the colon.
#[inline]
fn value_of<'a>(name: &[u8], field: &'a [u8]) -> Option<&'a [u8]> {
    let (start, value) = field.split_at_checked(name.len())?;
    let is_it = start.ends_with(b":") && start.eq_ignore_ascii_case(name);
    is_it.then(|| value.trim_ascii())
}

/// Whether anything is noted at all.
pub(super) fn is_on(options: &Options) -> bool {
    site_with_log(options).is_some()
}

fn site_with_log(options: &Options) -> Option<(&Site, &Arc<Journal>)> {
    let site = options.open_site()?;
    Some((site, site.log()?))
}

/// Numbers with `write!` were a third of what a line costs.
fn push_number(text: &mut Vec<u8>, number: u64) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn push_v4(text: &mut Vec<u8>, ip: Ipv4Addr) {
    for (place, octet) in ip.octets().into_iter().enumerate() {
        if place > 0 {
            text.push(b'.');
        }
        push_number(text, octet.into());
    }
}

/// `21/Nov/2026:01:07:09 +0000` from `Sat, 21 Nov 2026 01:07:09 GMT`.
fn push_date(text: &mut Vec<u8>, date: &[u8; DATE]) {
    let part = |from: usize, to: usize| date.get(from..to).unwrap_or_default();
    for piece in [part(5, 7), b"/", part(8, 11), b"/", part(12, 16), b":", part(17, 25), b" +0000"] {
        text.extend_from_slice(piece);
    }
}

/// A value between quotation marks, `-` for none. What is not printable ASCII, a quotation mark or a
/// backslash is written as `\xhh`, so that no line, no field and no terminal can be forged.
fn push_quoted(text: &mut Vec<u8>, value: Option<&[u8]>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let is_plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
    text.push(b'"');
    let mut value = value.unwrap_or(b"-");
    let is_text = printable(value) == value.len() && memchr2(b'"', b'\\', value).is_none();
    if value.len() < VALUE && is_text {
        // Nearly every value: it is copied at once.
        text.extend_from_slice(value);
        value = &[];
    }
    let start = text.len();
    for byte in value {
        if text.len() - start >= VALUE {
            text.extend_from_slice(b"...");
            break;
        }
        if is_plain(byte) {
            text.push(*byte);
        } else {
            let digit = |n: u8| DIGITS.get(usize::from(n)).copied().unwrap_or_default();
            text.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    text.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn dates_and_values_are_as_log_readers_want_them() {
        let mut text = Vec::new();
        push_date(&mut text, b"Sat, 21 Nov 2026 01:07:09 GMT\r\n");
        assert_eq!(text, b"21/Nov/2026:01:07:09 +0000");
        let mut text = Vec::new();
        push_v4(&mut text, Ipv4Addr::new(10, 0, 200, 255));
        assert_eq!(text, b"10.0.200.255");
        let mut text = Vec::new();
        push_quoted(&mut text, Some(b"a \"b\\\n\x1b[2J\xff~"));
        assert_eq!(text, br#""a \x22b\x5c\x0a\x1b[2J\xff~""#);
        let mut text = Vec::new();
        push_quoted(&mut text, None);
        assert_eq!(text, b"\"-\"");
        let mut text = Vec::new();
        push_quoted(&mut text, Some(&vec![0; 100_000]));
        assert!(text.len() * 3 + 200 < limits::LOG_LINE);
    }
}
