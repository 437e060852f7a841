//! Request bodies: read, checked, bounded, and dropped (RFC 9112, sections 6 and 7).

use super::fields::body_too_long;
use super::refusal::Refusal;
use super::request::{Framing, is_token};
use crate::input::Input;
use crate::limits;

/// Longest line that gives a chunk's size, its extensions and its line end included, in bytes.
const SIZE_LINE: usize = 256;
/// Longest trailer section, in bytes.
const TRAILERS: usize = 4096;

/// The part of a body that has not come yet.
#[derive(Debug)]
pub(super) struct Body {
    part: Part,
    /// Bytes that further chunks may have.
    allowance: u64,
    /// Bytes that further trailer fields may have.
    trailers: usize,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    /// So many bytes are left, and they are all.
    Fixed(u64),
    /// The line with a chunk's size.
    Size,
    /// So many bytes of a chunk are left.
    Data(u64),
    /// The line end behind a chunk.
    DataEnd,
    /// A trailer field, or the blank line.
    Trailer,
}

impl Body {
    /// A body of which nothing has come.
    pub(super) fn new(framing: Framing) -> Self {
        let part = match framing {
            Framing::Length(length) => Part::Fixed(length),
            Framing::Chunked => Part::Size,
        };
        Self { part, allowance: limits::HTTP_BODY, trailers: TRAILERS }
    }

    /// Drops what has come of it; true when all has.
    ///
    /// # Errors
    /// 400 for broken chunks, 413 for too many bytes of them.
    pub(super) fn drop_from(&mut self, input: &mut Input<'_>) -> Result<bool, Refusal> {
        loop {
            match self.part {
                Part::Fixed(left) => {
                    let left = skip(left, input);
                    self.part = Part::Fixed(left);
                    return Ok(left == 0);
                }
                Part::Data(left) => {
                    let left = skip(left, input);
                    self.part = if left == 0 { Part::DataEnd } else { Part::Data(left) };
                    if left > 0 {
                        return Ok(false);
                    }
                }
                Part::DataEnd => match line(input, 2, "a chunk is longer than it says")? {
                    Some([]) => self.part = Part::Size,
                    Some(_) => return Err(Refusal::bad("a chunk is longer than it says")),
                    None => return Ok(false),
                },
                Part::Size => match line(input, SIZE_LINE, "the line with a chunk's size is too long")? {
                    Some(line) => self.size(line)?,
                    None => return Ok(false),
                },
                Part::Trailer => match self.trailer(input)? {
                    Some([]) => return Ok(true),
                    Some(field) => check_field(field)?,
                    None => return Ok(false),
                },
            }
        }
    }

    fn size(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let size = chunk_size(line)?;
        self.allowance = self.allowance.checked_sub(size).ok_or_else(body_too_long)?;
        self.part = if size == 0 { Part::Trailer } else { Part::Data(size) };
        Ok(())
    }

    fn trailer<'a>(&mut self, input: &mut Input<'a>) -> Result<Option<&'a [u8]>, Refusal> {
        let field = line(input, self.trailers, "the trailer fields are too long")?;
        self.trailers = self.trailers.saturating_sub(field.map_or(0, |field| field.len() + 2));
        Ok(field)
    }
}

/// Takes up to `left` bytes; returns how many are still to come.
fn skip(left: u64, input: &mut Input<'_>) -> u64 {
    let taken = input.take(usize::try_from(left).unwrap_or(usize::MAX));
    left - taken.len() as u64
}

/// Takes a line if it is complete, without its CR LF. It may have `max` bytes with them.
fn line<'a>(input: &mut Input<'a>, max: usize, too_long: &'static str) -> Result<Option<&'a [u8]>, Refusal> {
    let rest = input.rest();
    let window = rest.get(..max).unwrap_or(rest);
    let Some(end) = window.iter().position(|b| *b == b'\n') else {
        return if rest.len() < max { Ok(None) } else { Err(Refusal::bad(too_long)) };
    };
    let line = input.take(end + 1);
    let bare = || Refusal::bad("a line of a chunked body ends in a line feed alone");
    line.strip_suffix(b"\r\n").map(Some).ok_or_else(bare)
}

/// The size at the start of `line`; extensions are checked and ignored.
fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (size, extensions) = line.split_at_checked(digits).unwrap_or_default();
    if !extensions.is_empty() && !extensions.strip_prefix(b";").is_some_and(are_extensions) {
        return Err(Refusal::bad("a chunk's size is followed by something else than extensions"));
    }
    let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
    size.ok_or_else(|| Refusal::bad("a chunk's size is not a hexadecimal number that fits"))
}

/// `name`, `name=token` or `name="text"`, separated by semicolons, without blanks between them.
fn are_extensions(bytes: &[u8]) -> bool {
    let name = bytes.iter().take_while(|b| is_token(&[**b])).count();
    match bytes.get(name..).unwrap_or_default() {
        [] => name > 0,
        [b';', rest @ ..] => name > 0 && are_extensions(rest),
        [b'=', value @ ..] => name > 0 && is_value(value),
        _ => false,
    }
}

/// The value of an extension, and the extensions behind it.
fn is_value(bytes: &[u8]) -> bool {
    let length = match bytes.strip_prefix(b"\"") {
        Some(quoted) => quoted.iter().position(|b| *b == b'"').map_or(0, |end| end + 2),
        None => bytes.iter().take_while(|b| is_token(&[**b])).count(),
    };
    let (value, rest) = bytes.split_at_checked(length).unwrap_or_default();
    // A backslash could hide a quotation mark; nobody needs one here.
    let sound = !value.is_empty() && !value.iter().any(|b| b.is_ascii_control() || *b == b'\\');
    sound && (rest.is_empty() || rest.strip_prefix(b";").is_some_and(are_extensions))
}

fn check_field(line: &[u8]) -> Result<(), Refusal> {
    let colon = line.iter().position(|b| *b == b':');
    let Some((name, value)) = colon.and_then(|at| line.split_at_checked(at)) else {
        return Err(Refusal::bad("a trailer field has no colon"));
    };
    if is_token(name) && !value.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        Ok(())
    } else {
        Err(Refusal::bad("a trailer field has a forbidden character"))
    }
}
