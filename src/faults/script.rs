//! What is to go wrong with one connection.

use std::time::Duration;

use fastrand::Rng;

use super::{Amount, Faults, Latency};
use crate::mutation::{Mutant, is_planted};

/// Numbers of neighbouring connections are far apart in what is drawn from them: a large odd number, the
/// fractional part of the golden ratio.
const APART: u64 = 0x9e37_79b9_7f4a_7c15;

/// See the module.
#[derive(Debug)]
pub struct Script {
    rng: Rng,
    latency: Option<Latency>,
    chunk: Option<Amount>,
    /// How it ends, and after how many bytes.
    end: Option<(u64, End)>,
    written: u64,
    /// The next write: how long it waits, and what it has at the most. Drawn once, however often an engine
    /// asks: that is a matter of the moment.
    piece: Option<(Duration, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Reset,
    Truncate,
    Stall,
}

/// What to do instead of writing what one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write this many bytes at the most, when this time has passed since it was first asked.
    Write(Duration, usize),
    /// Reset the connection.
    Reset,
    /// End it.
    Truncate,
    /// Write nothing, ever again.
    Stall,
}

impl Script {
    /// The script of the connection of this number, counted from 0; `None` if it is to be refused.
    pub fn new(faults: &Faults, number: u64) -> Option<Self> {
        let seed = if is_planted(Mutant::SeedIgnored) { 0 } else { faults.seed };
        let mut rng = Rng::with_seed(seed ^ number.wrapping_mul(APART));
        if rng.f64() < faults.refuse {
            return None;
        }
        // Always in this order, so that one more setting changes nothing of what the others bring.
        let ends = [
            (faults.reset_after, End::Reset),
            (faults.truncate, End::Truncate),
            (faults.stall_after, End::Stall),
        ];
        let ends = ends.map(|(after, end)| {
            let drawn = after.unwrap_or(Amount { least: 0, most: 0 }).draw(&mut rng);
            let drawn = drawn + u64::from(is_planted(Mutant::CutOneLate));
            after.map(|_| (drawn, end))
        });
        let end = ends.into_iter().flatten().min_by_key(|(after, _)| *after);
        Some(Self { rng, latency: faults.latency, chunk: faults.chunk, end, written: 0, piece: None })
    }

    /// What to do with `wanted` bytes, more than none.
    pub fn next(&mut self, wanted: usize) -> Step {
        let left = match self.end {
            Some((after, End::Reset)) if self.written >= after => return Step::Reset,
            Some((after, End::Truncate)) if self.written >= after => return Step::Truncate,
            Some((after, End::Stall)) if self.written >= after => return Step::Stall,
            Some((after, _)) => after - self.written,
            None => u64::MAX,
        };
        let Self { rng, latency, chunk, piece, .. } = self;
        let (wait, most) = *piece.get_or_insert_with(|| {
            let wait = latency.map_or(Duration::ZERO, |latency| latency.draw(rng));
            let chunk = chunk.filter(|_| !is_planted(Mutant::ChunkIgnored));
            (wait, chunk.map_or(u64::MAX, |chunk| chunk.draw(rng)))
        });
        Step::Write(wait, usize::try_from(most.min(left)).unwrap_or(usize::MAX).min(wanted))
    }

    /// Whether what is written goes out in pieces.
    pub fn is_cut(&self) -> bool {
        self.chunk.is_some()
    }

    /// So much was written.
    pub fn wrote(&mut self, n: usize) {
        self.written += n as u64;
        self.piece = None;
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }
}
