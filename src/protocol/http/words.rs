//! Looking at eight bytes at a time: most of a request's head is looked at only for what ends it.
//!
//! In the words below, a byte is marked at its highest bit. What an addition carries or a subtraction
//! borrows, and so may mark wrongly, lies above the first byte that is marked: only that one counts.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// How many bytes at the start are printable ASCII.
#[inline]
pub(super) fn printable(bytes: &[u8]) -> usize {
    let unprintable = |word: u64| {
        let low = word.wrapping_sub(ONES * u64::from(b' '));
        let del = word.wrapping_add(ONES);
        (low | del | word) & HIGH
    };
    let is_printable = |b: &u8| matches!(b, b' '..=b'~');
    first(bytes, unprintable).unwrap_or_else(|at| at + count(bytes, at, is_printable))
}

/// How many bytes at the start are letters of ASCII or hyphens.
#[inline]
pub(super) fn letters(bytes: &[u8]) -> usize {
    let others = |word: u64| {
        let small = word | (ONES * 0x20);
        let from = |first: u8| small.wrapping_add(ONES * u64::from(0x80 - first));
        let not_hyphen = (word ^ (ONES * u64::from(b'-'))).wrapping_add(!HIGH);
        ((!from(b'a') | from(b'z' + 1)) & not_hyphen | word) & HIGH
    };
    let is_letter = |b: &u8| b.is_ascii_alphabetic() || *b == b'-';
    first(bytes, others).unwrap_or_else(|at| at + count(bytes, at, is_letter))
}

/// The place of the first byte that is marked, or of the bytes that make no whole word.
#[inline]
fn first(bytes: &[u8], mark: impl Fn(u64) -> u64) -> Result<usize, usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let marked = mark(u64::from_le_bytes(*word));
        if marked != 0 {
            return Ok(at + marked.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    Err(at)
}

/// How many bytes from a place on are as they should be.
fn count(bytes: &[u8], at: usize, is: impl Fn(&u8) -> bool) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|b| is(b)).count()
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
    let is_in = |b: &u8| table.get(usize::from(*b)).copied().unwrap_or_default();
    bytes.iter().take_while(|b| is_in(b)).count()
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
            bytes in prop::collection::vec(prop_oneof![40 => b'A'..b'z', 4 => Just(b'-'), 1 => any::<u8>()], 0..40),
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
