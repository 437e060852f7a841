//! Bytes a peer has sent, as a handler sees them: it takes what it can use from the front.

use crate::out::Out;

/// Bytes not yet taken. What a handler leaves is offered again, with more behind it.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Input<'a> {
    /// All of `bytes`, none taken.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// What has not been taken.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }

    /// Takes the first `n` bytes, or all there are.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let rest = self.rest();
        let taken = rest.get(..n).unwrap_or(rest);
        self.used += taken.len();
        taken
    }

    /// Takes everything.
    pub fn take_all(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }

    /// Takes everything and queues it as output, without copying where that is possible.
    pub fn pass_to(&mut self, out: &mut Out) {
        let start = self.used;
        let bytes = self.take_all();
        out.pass(start..start + bytes.len(), bytes);
    }

    /// Bytes taken so far.
    pub(crate) fn used(&self) -> usize {
        self.used
    }
}
