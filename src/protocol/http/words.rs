//! Looking at eight bytes at a time: most of a request's head is looked at for what ends a name or a value,
//! and a machine word holds eight bytes of it.
//!
//! In every word below, the highest bit of a byte is set for a byte that was found. What a subtraction
//! borrows, and so may find wrongly, lies above the first byte that is found: only the first one counts.

use super::request::is_token_byte;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// Where the first control character is: below a blank, or DEL.
#[inline]
pub(super) fn first_control(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let found = controls(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(n * 8 + first(found));
        }
    }
    Some(words.len() * 8 + tail.iter().position(u8::is_ascii_control)?)
}

/// Length of the token at the start (RFC 9110, section 5.6.2).
#[inline]
pub(super) fn token(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let found = not_letters(u64::from_le_bytes(*word));
        if found != 0 {
            at += first(found);
            break;
        }
        at += 8;
    }
    match bytes.get(at) {
        // It ended where names of fields end, or else in a digit or a mark that may be part of it.
        Some(b':') => at,
        _ => at + bytes.iter().skip(at).take_while(|b| is_token_byte(**b)).count(),
    }
}

/// The first of the bytes that were found.
#[inline]
fn first(found: u64) -> usize {
    (found.trailing_zeros() / 8) as usize
}

#[inline]
fn controls(word: u64) -> u64 {
    let low = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
    let del = word ^ (ONES * 0x7f);
    (low | (del.wrapping_sub(ONES) & !del)) & HIGH
}

/// What is neither a letter of ASCII nor a hyphen.
#[inline]
fn not_letters(word: u64) -> u64 {
    // Adding reaches the highest bit of a byte from a certain value on, and never the next byte.
    let from = |low: u64, first: u8| low + ONES * u64::from(0x80 - first);
    let small = (word | (ONES * 0x20)) & !HIGH;
    let letters = from(small, b'a') & !from(small, b'z' + 1);
    let other = ((word ^ (ONES * u64::from(b'-'))) & !HIGH) + !HIGH;
    ((!letters & other) | word) & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let common = prop::sample::select(b"abzAZ-:019 @[`{~_/.".to_vec());
        let byte = prop_oneof![40 => common, 1 => any::<u8>()];
        prop::collection::vec(byte, 0..40)
    }

    proptest! {
        #[test]
        fn finds_what_is_found_byte_by_byte(bytes in text()) {
            prop_assert_eq!(first_control(&bytes), bytes.iter().position(u8::is_ascii_control));
            prop_assert_eq!(token(&bytes), bytes.iter().take_while(|b| is_token_byte(**b)).count());
        }
    }

    #[test]
    fn every_byte_is_told_apart_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut bytes = [b'x'; 20];
                bytes.iter_mut().skip(at).take(1).for_each(|place| *place = byte);
                assert_eq!(first_control(&bytes), byte.is_ascii_control().then_some(at), "{byte} at {at}");
                assert_eq!(token(&bytes), if is_token_byte(byte) { 20 } else { at }, "{byte} at {at}");
            }
        }
    }
}
