//! Ordinary heads, taken apart in one pass: those of a GET or HEAD of HTTP/1.1 that have come whole.
//!
//! Nothing is ever refused here. What is not plainly in order, be it wrong, rare or incomplete, is left to
//! [`Search`](super::head::Search) and [`Request::parse`], which know what to say of it; what is taken
//! apart here would come to the same there.

use memchr::{memchr, memchr2};

use super::fields::Fields;
use super::request::{MAX_FIELDS, Method, Request, RequestLine, is_token_byte, table};
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
            let length = at + 2;
            let is_sound = length <= limits::HTTP_HEAD && !has_controls(bytes.get(..length)?);
            return is_sound.then(|| Request::new(line, fields, false).ok()).flatten().map(|it| (length, it));
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
    let colon = bytes.iter().position(|b| !is_token_byte(*b)).filter(|colon| *colon > 0)?;
    let (name, rest) = bytes.split_at_checked(colon)?;
    let rest = rest.strip_prefix(b":")?;
    // The first of either: neither may stand in a value.
    let end = memchr2(b'\r', b'\n', rest)?;
    let value = rest.get(..end)?;
    // A single blank is what stands before nearly every value.
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let value = if matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']) { trim(value) } else { value };
    let is_line = matches!(rest.get(end..), Some([b'\r', b'\n', ..]));
    (is_line && fields.add(name, value).is_ok()).then_some(colon + end + 3)
}

/// Without the white space around it (RFC 9112, section 5: blanks and tabs alone).
fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = value.iter().position(|b| !is_blank(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !is_blank(b)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

/// Whether control characters are in a head, tabs and line ends left out, which were looked at before.
/// Without a branch, so that the compiler looks at many bytes at once.
fn has_controls(head: &[u8]) -> bool {
    let is_control = |b: u8| ((b < b' ') & (b != b'\t') & (b != b'\r') & (b != b'\n')) | (b == 0x7f);
    head.iter().fold(false, |found, b| found | is_control(*b))
}
