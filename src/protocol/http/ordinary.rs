//! Ordinary heads, taken apart in one pass: those of a GET or HEAD of HTTP/1.1 that have come whole.
//!
//! Nothing is ever refused here. What is not plainly in order, be it wrong, rare or incomplete, is left to
//! [`Search`](super::head::Search) and [`Request::parse`], which know what to say of it; what is taken
//! apart here would come to the same there.

use memchr::memchr;

use super::fields::Fields;
use super::request::{MAX_FIELDS, Method, Request, RequestLine, table};
use super::words::{first_control, token};
use crate::limits;

/// What a request line ends in.
const VERSION: &[u8; 11] = b" HTTP/1.1\r\n";

/// The request that `bytes` begin with and the length of its head, if it is an ordinary one.
pub(super) fn parse(bytes: &[u8]) -> Option<(usize, Request<'_>)> {
    let (line, mut at) = request_line(bytes)?;
    let mut fields = Fields::default();
    for _ in 0..=MAX_FIELDS {
        let rest = bytes.get(at..)?;
        if let [b'\r', b'\n', ..] = rest {
            let request = Request::new(line, fields, false).ok()?;
            return (at + 2 <= limits::HTTP_HEAD).then_some((at + 2, request));
        }
        at += field(rest, &mut fields)?;
    }
    None
}

/// The request line and its length; the target is a path.
fn request_line(bytes: &[u8]) -> Option<(RequestLine<'_>, usize)> {
    let (method, start) = match bytes {
        [b'G', b'E', b'T', b' ', b'/', ..] => (Method::Get, 4),
        [b'H', b'E', b'A', b'D', b' ', b'/', ..] => (Method::Head, 5),
        _ => return None,
    };
    let rest = bytes.get(start..)?;
    let target = rest.get(..memchr(b' ', rest)?)?;
    let key = target.get(1..).filter(|path| path.iter().all(|b| is_plain(*b)));
    let is_sound = key.is_some() || !target.iter().any(u8::is_ascii_control);
    let is_ordinary = target.len() <= limits::HTTP_TARGET && rest.get(target.len()..)?.starts_with(VERSION);
    let line = RequestLine { method, target, minor: 1, key };
    (is_sound && is_ordinary).then_some((line, start + target.len() + VERSION.len()))
}

/// Whether a byte stands for itself in a path, and ends none.
fn is_plain(b: u8) -> bool {
    const PLAIN: [bool; 256] = table(b"!$&'()*+,-./:;=@_~");
    PLAIN.get(usize::from(b)).copied().unwrap_or_default()
}

/// Adds the field that `bytes` begin with, and returns the length of its line.
#[inline]
fn field<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Option<usize> {
    let (name, rest) = bytes.split_at_checked(token(bytes))?;
    let rest = rest.strip_prefix(b":").filter(|_| !name.is_empty())?;
    // A tab within a value is rare enough to be left to others.
    let (value, end) = rest.split_at_checked(first_control(rest)?)?;
    // A single blank is what stands before nearly every value.
    let start = value.strip_prefix(b" ").unwrap_or(value);
    let text = if matches!(start, [b' ', ..] | [.., b' ']) { start.trim_ascii() } else { start };
    let is_line = matches!(end, [b'\r', b'\n', ..]);
    (is_line && fields.add(name, text).is_ok()).then_some(name.len() + value.len() + 3)
}
