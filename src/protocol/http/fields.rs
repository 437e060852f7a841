//! The fields of a request: those that decide where it ends and what becomes of its connection, and
//! those that say which reply its sender would like.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::refusal::{Refusal, Status};
use super::request::Framing;
use super::words::{prefix, table};
use crate::limits;

/// The fields that matter here, as they come. What could be read in two ways is refused.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    coding: Option<&'a [u8]>,
    expect: Option<&'a [u8]>,
    close: bool,
    keep_alive: bool,
    pub(super) accepts: Accepts<'a>,
    /// Boxed, as most requests have none.
    pub(super) conditions: Option<Box<Conditions<'a>>>,
}

/// What forms of the content the sender of a request prefers.
#[derive(Debug, Default)]
pub(super) struct Accepts<'a> {
    pub(super) types: List<'a>,
    pub(super) codings: List<'a>,
}

/// Under which conditions, and how much of it, the sender of a request wants something.
#[derive(Debug, Default)]
pub(super) struct Conditions<'a> {
    pub(super) if_match: List<'a>,
    pub(super) if_none_match: List<'a>,
    pub(super) if_modified_since: Single<'a>,
    pub(super) if_unmodified_since: Single<'a>,
    pub(super) if_range: List<'a>,
    pub(super) range: Single<'a>,
}

/// A field whose value is a list: several such fields are one with commas in between.
pub(super) type List<'a> = Option<Cow<'a, [u8]>>;

/// A field that may come once; one that comes more often means nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Single<'a> {
    #[default]
    Absent,
    Once(&'a [u8]),
    Often,
}

impl<'a> Single<'a> {
    /// The value, if there is one that means something.
    pub(super) fn get(self) -> Option<&'a [u8]> {
        match self {
            Self::Once(value) => Some(value),
            Self::Absent | Self::Often => None,
        }
    }

    fn add(&mut self, value: &'a [u8]) {
        *self = if *self == Self::Absent { Self::Once(value) } else { Self::Often };
    }
}

impl<'a> Conditions<'a> {
    /// Those of a request that has none.
    pub(super) const NONE: Self = Self {
        if_match: None,
        if_none_match: None,
        if_modified_since: Single::Absent,
        if_unmodified_since: Single::Absent,
        if_range: None,
        range: Single::Absent,
    };

    /// Adds the field that the others were not.
    #[cold]
    fn add(&mut self, name: &[u8], value: &'a [u8]) {
        match name.len() {
            5 => self.range.add(value),
            8 if is(name, b"if-match") => join(&mut self.if_match, value),
            8 => join(&mut self.if_range, value),
            13 => join(&mut self.if_none_match, value),
            17 => self.if_modified_since.add(value),
            _ => self.if_unmodified_since.add(value),
        }
    }
}

/// Whether a name is that of a field of [`Conditions`].
#[inline]
fn is_condition(name: &[u8]) -> bool {
    match name.len() {
        5 => is(name, b"range"),
        8 => is(name, b"if-match") || is(name, b"if-range"),
        13 => is(name, b"if-none-match"),
        17 => is(name, b"if-modified-since"),
        19 => is(name, b"if-unmodified-since"),
        _ => false,
    }
}

/// Whether a name could be one of those below, by its length and its first letter.
#[inline]
pub(super) fn may_matter(name: &[u8]) -> bool {
    let first = name.first().map_or(0, u8::to_ascii_lowercase);
    match name.len() {
        4 => first == b'h',
        5 => first == b'r',
        6 => matches!(first, b'a' | b'e'),
        8 | 13 | 19 => first == b'i',
        10 | 14 => first == b'c',
        15 => first == b'a',
        17 => matches!(first, b'i' | b't'),
        _ => false,
    }
}

/// Whether a token is this name, in whatever case.
#[inline]
fn is<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    // Letters of both cases differ in this bit; a hyphen has it, and no other character of a token makes
    // one of these with it.
    let Some(name) = name.first_chunk::<N>() else { return false };
    let differ = |found: u8, (a, b): (&u8, &u8)| found | ((a | 0x20) ^ b);
    name.first().map(|b| b | 0x20) == known.first().copied() && name.iter().zip(known).fold(0, differ) == 0
}

fn join<'a>(list: &mut List<'a>, value: &'a [u8]) {
    match list {
        None => *list = Some(Cow::Borrowed(value)),
        Some(list) => {
            let list = list.to_mut();
            list.extend_from_slice(b", ");
            list.extend_from_slice(value);
        }
    }
}

impl<'a> Fields<'a> {
    /// Takes note of a field; those that do not matter here are ignored.
    ///
    /// # Errors
    /// 400 for a field that came twice or makes no sense.
    #[inline]
    pub(super) fn add(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Refusal> {
        if may_matter(name) { self.note(name, value) } else { Ok(()) }
    }

    /// The same for a name that [may matter](may_matter).
    ///
    /// # Errors
    /// As above.
    pub(super) fn note(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Refusal> {
        match name.len() {
            4 if is(name, b"host") => return once(&mut self.host, value, "a request has one Host field"),
            6 if is(name, b"expect") => {
                return once(&mut self.expect, value, "a request has one Expect field");
            }
            10 if is(name, b"connection") => self.connection(value),
            14 if is(name, b"content-length") => {
                return once(&mut self.length, length(value)?, "a request has one Content-Length field");
            }
            17 if is(name, b"transfer-encoding") => {
                return once(&mut self.coding, value, "a request has one Transfer-Encoding field");
            }
            6 if is(name, b"accept") => join(&mut self.accepts.types, value),
            15 if is(name, b"accept-encoding") => join(&mut self.accepts.codings, value),
            _ if is_condition(name) => self.conditions.get_or_insert_default().add(name, value),
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        if value == b"keep-alive" {
            self.keep_alive = true;
            return;
        }
        for option in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Whether those of a request of HTTP/1.1 are in order and want nothing special: no body, no conditions,
    /// and that the connection stays.
    #[inline]
    pub(super) fn are_plain(&self) -> bool {
        let has_none = self.length.is_none() && self.coding.is_none() && self.expect.is_none();
        has_none && !self.close && self.conditions.is_none() && self.host.is_some_and(is_authority)
    }

    /// Exactly one valid Host field in HTTP/1.1, at most one before (RFC 9112, section 3.2).
    #[inline]
    pub(super) fn check_host(&self, minor: u8) -> Result<(), Refusal> {
        match self.host {
            Some(host) if is_authority(host) => Ok(()),
            Some(_) => Err(Refusal::bad("the Host field is not a host and perhaps a port")),
            None if minor == 0 => Ok(()),
            None => Err(Refusal::bad("a request of HTTP/1.1 needs a Host field")),
        }
    }

    /// How long the body is.
    ///
    /// # Errors
    /// 400 where two readings are possible, 413 for a body that is too long, 501 for an unknown coding.
    #[inline]
    pub(super) fn framing(&self, minor: u8) -> Result<Framing, Refusal> {
        match (self.length, self.coding) {
            (None, None) => Ok(Framing::Length(0)),
            (Some(_), Some(_)) => {
                Err(Refusal::bad("a request has either Content-Length or Transfer-Encoding, never both"))
            }
            (None, Some(_)) if minor == 0 => Err(Refusal::bad("HTTP/1.0 knows no Transfer-Encoding")),
            (None, Some(coding)) => chunked(coding),
            (Some(length), None) if length > limits::HTTP_BODY => Err(body_too_long()),
            (Some(length), None) => Ok(Framing::Length(length)),
        }
    }

    /// Whether a field speaks of a body, be it an empty one.
    pub(super) fn announce_body(&self) -> bool {
        self.length.is_some() || self.coding.is_some()
    }

    /// Whether the peer waits for `100 Continue` (RFC 9110, section 10.1.1); HTTP/1.0 has no such thing.
    ///
    /// # Errors
    /// 417 for any other expectation.
    #[inline]
    pub(super) fn expects_continue(&self, minor: u8) -> Result<bool, Refusal> {
        match self.expect {
            Some(value) if minor > 0 && value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
            Some(_) if minor > 0 => {
                Err(Refusal::closing(Status::EXPECTATION_FAILED, "the only expectation met is 100-continue"))
            }
            _ => Ok(false),
        }
    }

    /// Whether the connection outlives the request (RFC 9112, section 9.3).
    pub(super) fn keeps_alive(&self, minor: u8) -> bool {
        !self.close && (minor > 0 || self.keep_alive)
    }
}

/// Refuses a body longer than [`limits::HTTP_BODY`].
pub(super) fn body_too_long() -> Refusal {
    let text = format!("a request body may have {} bytes at the most", limits::HTTP_BODY);
    Refusal::closing(Status::TOO_LARGE, text)
}

fn once<T>(place: &mut Option<T>, value: T, rule: &'static str) -> Result<(), Refusal> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::bad(rule)),
    }
}

/// Digits and nothing else; one number even where several agree.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten();
    number.ok_or_else(|| Refusal::bad("Content-Length is not one decimal number that fits"))
}

/// `chunked` must come last and once: where it does not, nobody can tell where the request ends (RFC 9112,
/// sections 6.1 and 6.3). It is the only coding known here.
fn chunked(value: &[u8]) -> Result<Framing, Refusal> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if is_chunked(value) {
        return Ok(Framing::Chunked);
    }
    let mut codings = value.rsplit(|b| *b == b',').map(<[u8]>::trim_ascii);
    let ends_chunked = codings.next().is_some_and(is_chunked);
    if !ends_chunked || codings.any(|coding| coding.is_empty() || is_chunked(coding)) {
        return Err(Refusal::bad("Transfer-Encoding is not a list of codings with chunked at its end"));
    }
    Err(Refusal::closing(Status::NOT_IMPLEMENTED, "the only transfer coding known here is chunked"))
}

/// What may stand in the name of a host beside letters and digits (RFC 3986, section 3.2.2), and encoded bytes.
static HOST: [bool; 256] = table(b"-._~!$&'()*+,;=");

/// A host and perhaps a port (RFC 3986, section 3.2), without user information.
pub(super) fn is_authority(value: &[u8]) -> bool {
    let host = prefix(value, &HOST);
    (host > 0 && is_port(value.get(host..).unwrap_or_default())) || is_unusual(value, host)
}

/// The same for an address in brackets, and a name whose first `plain` bytes are followed by an encoded one.
/// Hardly a request has one, and none but those pays for it.
#[cold]
fn is_unusual(value: &[u8], plain: usize) -> bool {
    if let [b'[', literal @ ..] = value {
        return is_literal(literal);
    }
    let mut rest = value.get(plain..).unwrap_or_default();
    let is_encoded = rest.starts_with(b"%");
    while let [b'%', a, b, behind @ ..] = rest
        && a.is_ascii_hexdigit()
        && b.is_ascii_hexdigit()
    {
        rest = behind.get(prefix(behind, &HOST)..).unwrap_or_default();
    }
    is_encoded && is_port(rest)
}

/// An address behind its bracket, and perhaps a port.
fn is_literal(literal: &[u8]) -> bool {
    let Some(end) = literal.iter().position(|b| *b == b']') else { return false };
    let (address, port) = literal.split_at_checked(end).unwrap_or_default();
    let is_address = match address {
        [b'v' | b'V', future @ ..] => is_future(future),
        _ => std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()),
    };
    is_address && is_port(port.get(1..).unwrap_or_default())
}

/// An address of a version to come, behind its `v`: the version, a dot, and anything that a name may have, or
/// colons.
fn is_future(address: &[u8]) -> bool {
    let version = address.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    match address.split_at_checked(version) {
        Some(([_, ..], [b'.', name @ ..])) => {
            !name.is_empty() && name.split(|b| *b == b':').all(|part| prefix(part, &HOST) == part.len())
        }
        _ => false,
    }
}

/// Nothing, or a colon and a port; RFC 3986 lets the number be missing.
fn is_port(text: &[u8]) -> bool {
    let [b':', digits @ ..] = text else { return text.is_empty() };
    if digits.len() <= 5 {
        // Of as many digits, the greater number is the greater text.
        return digits.iter().all(u8::is_ascii_digit) && (digits.len() < 5 || digits <= b"65535".as_slice());
    }
    let number = digits.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        Some(number * 10 + digit).filter(|number| u16::try_from(*number).is_ok())
    });
    number.is_some()
}
