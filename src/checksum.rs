//! SHA-256 of what passes by, as the digits that `sha256sum` shows.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The checksum of the bytes so far.
#[derive(Debug, Clone, Default)]
pub struct Checksum(Sha256);

impl Checksum {
    /// Digits of a checksum.
    pub const DIGITS: usize = 64;

    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all of them: 64 hexadecimal digits, in lower case.
    pub fn digits(self) -> String {
        let mut text = String::with_capacity(Self::DIGITS);
        for byte in self.0.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two examples of FIPS 180-4's test values.
    #[test]
    fn checksums_are_those_of_the_standard() {
        let mut sum = Checksum::default();
        assert!(sum.clone().digits().starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
        sum.update(b"a");
        sum.update(b"bc");
        assert_eq!(sum.digits(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
