//! Looking at eight bytes at a time: most of a request's head is looked at only for what ends it.
//!
//! In the words below, a byte is marked at its highest bit. What an addition carries or a subtraction
//! borrows, and so may mark wrongly, lies above the first byte that is marked: only that one counts.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// How many bytes at the start are printable ASCII.
#[inline]
pub(super) fn printable(bytes: &[u8]) -> usize {
    // Most values of fields are short; the few long ones are longer than all others together, and looked at
    // in blocks first.
    let Some(start) = bytes.first_chunk::<16>() else { return first(bytes, unprintable) };
    let short = first(start, unprintable);
    if short < start.len() { short } else { long(bytes) }
}

/// The same of bytes that go on for a while. A block is looked at without a branch in it, so that the compiler
/// makes a few vector instructions of it.
fn long(bytes: &[u8]) -> usize {
    let is_sound = |block: &&[u8; 32]| block.iter().fold(true, |all, b| all & matches!(b, b' '..=b'~'));
    let (blocks, _) = bytes.as_chunks::<32>();
    let at = blocks.iter().take_while(is_sound).count() * 32;
    at + first(bytes.get(at..).unwrap_or_default(), unprintable)
}

#[inline]
fn unprintable(word: u64) -> u64 {
    let low = word.wrapping_sub(ONES * u64::from(b' '));
    let del = word.wrapping_add(ONES);
    (low | del | word) & HIGH
}

/// How many bytes at the start are letters of ASCII or hyphens.
#[inline]
pub(super) fn letters(bytes: &[u8]) -> usize {
    first(bytes, |word| {
        let small = word | (ONES * 0x20);
        let from = |first: u8| small.wrapping_add(ONES * u64::from(0x80 - first));
        let not_hyphen = (word ^ (ONES * u64::from(b'-'))).wrapping_add(!HIGH);
        ((!from(b'a') | from(b'z' + 1)) & not_hyphen | word) & HIGH
    })
}

/// The place of the first byte that is marked; of their end, if none is. Zeros must be.
#[inline]
fn first(bytes: &[u8], mark: impl Fn(u64) -> u64) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let marked = mark(u64::from_le_bytes(*word));
        if marked != 0 {
            return at + marked.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + mark(padded(rest, bytes)).trailing_zeros() as usize / 8
}

/// The fewer than eight bytes at the end of `bytes`, with zeros behind them.
#[inline]
fn padded(rest: &[u8], bytes: &[u8]) -> u64 {
    if let (Some(word), false) = (bytes.last_chunk::<8>(), rest.is_empty()) {
        // What stands before them is shifted out: one load instead of one for each byte.
        return u64::from_le_bytes(*word) >> (64 - 8 * rest.len());
    }
    rest.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b))
}

/// Which bytes are letters, digits, or one of `marks`: a look-up is faster than a search for each byte.
pub(super) const fn table(marks: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        let (mut found, mut rest) = (byte.is_ascii_alphanumeric(), marks);
        while let [mark, others @ ..] = rest {
            found |= *mark == byte;
            rest = others;
        }
        let (_, place) = table.split_at_mut(byte as usize);
        if let [place, ..] = place {
            *place = found;
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// How many bytes at the start are in a table.
pub(super) fn prefix(bytes: &[u8], table: &[bool; 256]) -> usize {
    let is_out = |b: &u8| !table.get(usize::from(*b)).copied().unwrap_or_default();
    bytes.iter().position(is_out).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_printable(b: u8) -> bool {
        b.is_ascii_graphic() || b == b' '
    }

    fn is_letter(b: u8) -> bool {
        b.is_ascii_alphabetic() || b == b'-'
    }

    proptest! {
        #[test]
        fn finds_what_is_found_byte_by_byte(
            bytes in prop::collection::vec(prop_oneof![40 => b'A'..b'z', 4 => Just(b'-'), 1 => any::<u8>()], 0..100),
        ) {
            let length = |is: fn(u8) -> bool| bytes.iter().take_while(|b| is(**b)).count();
            prop_assert_eq!(printable(&bytes), length(is_printable));
            prop_assert_eq!(letters(&bytes), length(is_letter));
        }
    }

    #[test]
    fn every_byte_is_told_apart_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut bytes = [b'x'; 20];
                bytes.iter_mut().skip(at).take(1).for_each(|place| *place = byte);
                let length = |yes| if yes { 20 } else { at };
                assert_eq!(printable(&bytes), length(is_printable(byte)), "{byte} at {at}");
                assert_eq!(letters(&bytes), length(is_letter(byte)), "{byte} at {at}");
            }
        }
    }
}
