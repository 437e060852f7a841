//! The telnet sequences (RFC 854) that a line service meets when people use `telnet` as a client.
//!
//! `IAC` is byte 255, which no UTF-8 text contains, but which a binary message may. So the sequences
//! are only taken out of a connection that has shown itself to be telnet: by an option negotiation,
//! `IAC WILL|WONT|DO|DONT` and a known option.

use std::borrow::Cow;

use memchr::{memchr, memchr3};

use crate::mutation::{Mutant, is_planted};
use crate::out::Out;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
/// The first of the two-byte commands (`NOP`); `SE` below it ends a subnegotiation.
const NOP: u8 = 241;
/// RFC 860. A client that was interrupted drops all it receives until this is answered.
const TIMING_MARK: u8 = 6;
/// Options assigned to RFCs end here; what lies above is text in a binary message, most likely.
const LAST_OPTION: u8 = 49;

/// One telnet element at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Element {
    /// An option negotiation: verb and option.
    Option(u8, u8),
    /// A sequence of this length that means nothing to a line service.
    Skip(usize),
    /// `IAC IAC`: one byte 255.
    Literal,
    /// The sequence goes on beyond the bytes at hand.
    Partial,
}

/// What begins at `bytes[0] == IAC`.
fn element(bytes: &[u8]) -> Element {
    match bytes {
        [_, IAC, ..] => Element::Literal,
        [_, verb @ WILL..=DONT, option, ..] => Element::Option(*verb, *option),
        [_, SB, rest @ ..] => match rest.windows(2).position(|pair| pair == [IAC, SE]) {
            Some(at) => Element::Skip(2 + at + 2),
            None => Element::Partial,
        },
        [_, NOP..=249, ..] => Element::Skip(2),
        [_, _, _, ..] | [_, 0..=SE] => Element::Skip(1),
        _ => Element::Partial,
    }
}

/// Length of an option negotiation.
pub const NEGOTIATION: usize = 3;

/// Where the first option negotiation begins, if these bytes hold one. Option codes 10 and 13 are the line
/// ends and 255 is escaped, so none of them counts.
pub fn negotiation(bytes: &[u8]) -> Option<usize> {
    let first = memchr(IAC, bytes)?;
    let is_one = |w: &[u8]| matches!(w, [IAC, WILL..=DONT, option] if *option <= LAST_OPTION && !matches!(option, b'\n' | b'\r'));
    bytes.get(first..)?.windows(NEGOTIATION).position(is_one).map(|at| first + at)
}

/// Where the first line feed, or `CR NUL`, outside any telnet sequence stands: the index of its last
/// byte. The search starts at `from`, which must not lie inside a sequence; without a line end, `Err`
/// says where to go on when there is more.
pub fn find_line_end(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let mut at = from;
    while let Some(next) = memchr3(IAC, b'\n', 0, bytes.get(at..).unwrap_or_default()) {
        at += next;
        match bytes.get(at) {
            Some(&IAC) => match element(bytes.get(at..).unwrap_or_default()) {
                Element::Option(..) => at += 3,
                Element::Skip(n) => at += n,
                Element::Literal => at += 2,
                Element::Partial => return Err(at),
            },
            Some(b'\n') => return Ok(at),
            Some(0) if at > 0 && bytes.get(at - 1) == Some(&b'\r') => return Ok(at),
            _ => at += 1,
        }
    }
    Err(bytes.len().max(from))
}

/// How many bytes of whole sequences, that stand for no text, these bytes begin with; up to the first
/// sequence that is longer than `longest`.
pub fn sequences_in_front(bytes: &[u8], longest: usize) -> usize {
    let mut at = 0;
    while let Some(rest @ [IAC, ..]) = bytes.get(at..) {
        match element(rest) {
            Element::Option(..) => at += NEGOTIATION,
            Element::Skip(n) if n <= longest || is_planted(Mutant::SequenceUnbounded) => at += n,
            Element::Skip(_) | Element::Literal | Element::Partial => break,
        }
    }
    at
}

/// The text without telnet sequences; borrowed when there are none.
pub fn strip(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr(IAC, bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr(IAC, rest) {
        let (before, sequence) = rest.split_at(at);
        text.extend_from_slice(before);
        let skip = match element(sequence) {
            Element::Option(..) => 3,
            Element::Skip(n) => n,
            Element::Literal => {
                text.push(IAC);
                2
            }
            Element::Partial => sequence.len(),
        };
        rest = sequence.get(skip..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}

/// Answers every request among `bytes`: no option is agreed to, but a timing mark is given.
/// Refusals are never answered (RFC 854: that would loop).
pub fn answer(bytes: &[u8], out: &mut Out) {
    let mut rest = bytes;
    while let Some(at) = memchr(IAC, rest) {
        let sequence = rest.get(at..).unwrap_or_default();
        let skip = match element(sequence) {
            Element::Option(verb, option) => {
                match verb {
                    DO if option == TIMING_MARK => out.push(&[IAC, WILL, option]),
                    DO => out.push(&[IAC, WONT, option]),
                    WILL => out.push(&[IAC, DONT, option]),
                    _ => {}
                }
                3
            }
            Element::Skip(n) => n,
            Element::Literal => 2,
            Element::Partial => return,
        };
        rest = sequence.get(skip..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiation_is_recognised_and_a_binary_message_is_not() {
        assert_eq!(negotiation(b"ab\xff\xf1\xff\xfd\x06"), Some(4));
        assert_eq!(negotiation(b"\xff\xfe\xfd"), None, "a known option is at most 49");
        assert_eq!(negotiation(b"\xff\xfe\n"), None, "a line end is no option");
        assert_eq!(negotiation(b"\xff\xfeH\0"), None, "UTF-16 is no telnet");
    }

    #[test]
    fn sequences_are_stripped_wherever_they_stand() {
        assert_eq!(&*strip(b"a\xff\xfb\x01b\xff\xf1c\xff\xffd"), b"abc\xffd");
        assert_eq!(&*strip(b"x\xff\xfa\x1f\x00\x50\xff\xf0y"), b"xy");
        assert_eq!(&*strip(b"plain"), b"plain");
        assert_eq!(&*strip(b"tail\xff\xfb"), b"tail");
    }

    #[test]
    fn a_line_end_inside_a_sequence_is_none() {
        assert_eq!(find_line_end(b"\xff\xfb\na\n", 0), Ok(4));
        assert_eq!(find_line_end(b"\xff\xfa\n\xff\xf0ok\n", 0), Ok(7));
        assert_eq!(find_line_end(b"x\xff\xfb", 0), Err(1));
        assert_eq!(find_line_end(b"ab\r\0", 0), Ok(3));
    }

    #[test]
    fn requests_are_refused_and_the_timing_mark_is_given() {
        let mut out = Out::default();
        answer(b"\xff\xfb\x1f\xff\xfd\x01\xff\xfc\x05\xff\xfd\x06", &mut out);
        assert_eq!(out.bytes(), b"\xff\xfe\x1f\xff\xfc\x01\xff\xfb\x06");
    }
}
