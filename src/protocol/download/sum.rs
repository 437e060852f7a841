//! The checksum of a file, a slice at a time. Everything here may wait for the disk, so that it belongs
//! into a [`Job`](crate::helper::Job).

use std::os::unix::fs::FileExt;

use crate::checksum::Checksum;
use crate::limits;
use crate::out::FileRange;

/// Bytes read at once.
const PIECE: u64 = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Sum {
    range: FileRange,
    at: u64,
    sum: Checksum,
    problem: Option<&'static str>,
}

impl Sum {
    pub(super) fn new(range: FileRange) -> Self {
        Self { range, at: 0, sum: Checksum::default(), problem: None }
    }

    /// Reads the next slice.
    pub(super) fn read_on(mut self) -> Self {
        let mut buffer = vec![0; usize::try_from(PIECE).unwrap_or_default()];
        let until = self.range.len.min(self.at + limits::SUM_PER_JOB);
        while self.at < until && self.problem.is_none() {
            let wanted = usize::try_from(PIECE.min(until - self.at)).unwrap_or_default();
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            match self.range.file.read_at(piece, self.at) {
                Ok(0) => self.problem = Some("the file has become shorter"),
                Ok(n) => {
                    self.sum.update(piece.get(..n).unwrap_or_default());
                    self.at += n as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => self.problem = Some("the file cannot be read"),
            }
        }
        self
    }

    /// Whether there is nothing left to read.
    pub(super) fn is_over(&self) -> bool {
        self.at >= self.range.len || self.problem.is_some()
    }

    /// The length and the checksum.
    pub(super) fn result(self) -> Result<(u64, String), &'static str> {
        self.problem.map_or_else(|| Ok((self.range.len, self.sum.digits())), Err)
    }
}
