//! Request bodies: read, checked, bounded, and dropped (RFC 9112, sections 6 and 7).

use super::fields::body_too_long;
use super::refusal::Refusal;
use super::request::{Framing, is_token, token};
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
    if !are_extensions(extensions) {
        return Err(Refusal::bad("a chunk's size is followed by something else than extensions"));
    }
    let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
    size.ok_or_else(|| Refusal::bad("a chunk's size is not a hexadecimal number that fits"))
}

/// Extensions, each `;name`, `;name=token` or `;name="text"`, where blanks may stand around the semicolon
/// and the equals sign (RFC 9112, section 7.1.1). None behind the last: the grammar has no room for them.
fn are_extensions(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some(behind) = extension(bytes) else { return false };
        bytes = behind;
    }
    true
}

/// What follows the extension that `bytes` begin with.
fn extension(bytes: &[u8]) -> Option<&[u8]> {
    let name = past_blanks(past_blanks(bytes).strip_prefix(b";")?);
    let behind = past_token(name)?;
    match past_blanks(behind).strip_prefix(b"=") {
        Some(value) => past_value(past_blanks(value)),
        None => Some(behind),
    }
}

/// What follows the value that `bytes` begin with: a token, or text in quotation marks (RFC 9110, 5.6.4).
fn past_value(bytes: &[u8]) -> Option<&[u8]> {
    let Some(mut text) = bytes.strip_prefix(b"\"") else { return past_token(bytes) };
    loop {
        text = match text {
            [b'"', behind @ ..] => return Some(behind),
            [b'\\', escaped, behind @ ..] if is_text(*escaped) => behind,
            [b, behind @ ..] if is_text(*b) && *b != b'\\' => behind,
            _ => return None,
        }
    }
}

fn past_token(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(token(bytes)..).filter(|behind| behind.len() < bytes.len())
}

fn past_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    bytes.get(blanks..).unwrap_or_default()
}

/// Whether a byte may stand in a quotation or in the value of a field.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

fn check_field(line: &[u8]) -> Result<(), Refusal> {
    let colon = line.iter().position(|b| *b == b':');
    let Some((name, value)) = colon.and_then(|at| line.split_at_checked(at)) else {
        return Err(Refusal::bad("a trailer field has no colon"));
    };
    if is_token(name) && value.iter().all(|b| is_text(*b)) {
        Ok(())
    } else {
        Err(Refusal::bad("a trailer field has a forbidden character"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may come next in the line with a chunk's size, as a machine that looks at one byte at a time.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum At {
        Start,
        Size,
        /// Blanks behind the size or a value: only a semicolon may follow.
        Gap,
        /// Behind a semicolon.
        Semicolon,
        Name,
        /// Blanks behind a name.
        NameGap,
        /// Behind an equals sign.
        Equals,
        Token,
        Quoted,
        Escaped,
        /// Behind the second quotation mark.
        Unquoted,
        Wrong,
    }

    impl At {
        fn next(self, byte: u8) -> Self {
            let is_blank = byte == b' ' || byte == b'\t';
            let is_token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_text = is_blank || matches!(byte, b'!'..=b'~' | 0x80..);
            match self {
                Self::Start | Self::Size if byte.is_ascii_hexdigit() => Self::Size,
                Self::Size | Self::Gap | Self::Token | Self::Unquoted if is_blank => Self::Gap,
                Self::Size | Self::Gap | Self::Name | Self::NameGap | Self::Token | Self::Unquoted
                    if byte == b';' =>
                {
                    Self::Semicolon
                }
                Self::Semicolon if is_blank => Self::Semicolon,
                Self::Semicolon | Self::Name if is_token => Self::Name,
                Self::Name | Self::NameGap if is_blank => Self::NameGap,
                Self::Name | Self::NameGap if byte == b'=' => Self::Equals,
                Self::Equals if is_blank => Self::Equals,
                Self::Equals if byte == b'"' => Self::Quoted,
                Self::Equals | Self::Token if is_token => Self::Token,
                Self::Quoted if byte == b'"' => Self::Unquoted,
                Self::Quoted if byte == b'\\' => Self::Escaped,
                Self::Quoted | Self::Escaped if is_text => Self::Quoted,
                _ => Self::Wrong,
            }
        }

        fn is_end(self) -> bool {
            matches!(self, Self::Size | Self::Name | Self::Token | Self::Unquoted)
        }
    }

    fn is_size_line(line: &[u8]) -> bool {
        line.iter().fold(At::Start, |at, byte| at.next(*byte)).is_end()
    }

    /// Bytes that mean something in such a line, and a few that may not stand there.
    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![9 => prop::sample::select(b";;==\"\"\\ \tab1".to_vec()), 1 => any::<u8>()]
    }

    /// Extensions in every form that they may have.
    fn extension() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            Just(String::new()),
            "=[ \t]{0,2}[a-z!#~]{1,3}",
            r#"=[ \t]{0,2}"([ !#-\[\]-~\t]|\\[ -~]){0,4}""#
        ];
        ("[ \t]{0,2};[ \t]{0,2}[a-z0-9^_`|]{1,3}", "[ \t]{0,2}", value).prop_map(|(name, gap, value)| {
            // Blanks may stand before an equals sign, not before the line's end.
            if value.is_empty() { name } else { name + &gap + &value }
        })
    }

    proptest! {
        #[test]
        fn a_size_line_is_what_the_grammar_says(bytes in prop::collection::vec(byte(), 0..12)) {
            let line = [b"5".as_slice(), &bytes].concat();
            prop_assert_eq!(chunk_size(&line).is_ok(), is_size_line(&line), "{}", line.escape_ascii());
        }

        #[test]
        fn every_form_of_extensions_is_taken_and_a_hole_is_not(
            extensions in prop::collection::vec(extension(), 0..4),
            hole in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut line = format!("1f{}", extensions.concat()).into_bytes();
            prop_assert_eq!(chunk_size(&line), Ok(0x1f), "{}", line.escape_ascii());
            let hole = hole.index(line.len());
            line[hole] = byte;
            prop_assert_eq!(chunk_size(&line).is_ok(), is_size_line(&line), "{}", line.escape_ascii());
        }
    }
}
