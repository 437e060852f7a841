//! UTF-8 that comes in pieces: what is wrong shows with the first byte that cannot be right.

/// The beginning of a character whose rest has not come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Utf8 {
    begun: [u8; 4],
    length: u8,
}

impl Utf8 {
    /// Looks at the next piece; whether the text can still be UTF-8.
    pub(super) fn accepts(&mut self, mut piece: &[u8]) -> bool {
        while self.length > 0 {
            let Some((next, rest)) = piece.split_first() else { return true };
            piece = rest;
            let at = usize::from(self.length);
            let Some(place) = self.begun.get_mut(at) else { return false };
            *place = *next;
            match std::str::from_utf8(self.begun.get(..=at).unwrap_or_default()) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => self.length += 1,
            }
        }
        let Err(error) = std::str::from_utf8(piece) else { return true };
        let begun = piece.get(error.valid_up_to()..).unwrap_or_default();
        for (place, byte) in self.begun.iter_mut().zip(begun) {
            *place = *byte;
        }
        self.length = u8::try_from(begun.len().min(3)).unwrap_or(0);
        error.error_len().is_none()
    }

    /// Whether the text may end here.
    pub(super) fn is_whole(self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of the bytes are taken one by one until they cannot be UTF-8 any more.
    fn taken(bytes: &[u8]) -> usize {
        let mut utf8 = Utf8::default();
        bytes.iter().position(|byte| !utf8.accepts(&[*byte])).unwrap_or(bytes.len())
    }

    #[test]
    fn the_first_impossible_byte_is_noticed() {
        for (bytes, good) in [
            (&b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80"[..], 6),
            (b"\xf4\x90", 1),
            (b"a\x80", 1),
            (b"\xc0\xaf", 0),
            (b"\xf0\x9f\xa6\x80", 4),
            (b"\xe2\x82a", 2),
        ] {
            assert_eq!(taken(bytes), good, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_what_the_whole_gives(
            bytes in prop_oneof![any::<Vec<u8>>(), any::<String>().prop_map(String::into_bytes)],
            cuts in proptest::collection::vec(1..5_usize, 0..40),
        ) {
            let (mut utf8, mut rest, mut good) = (Utf8::default(), bytes.as_slice(), true);
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                good = good && utf8.accepts(piece);
                rest = after;
            }
            good = good && utf8.accepts(rest) && utf8.is_whole();
            prop_assert_eq!(good, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
