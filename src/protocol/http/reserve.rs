//! The memory that the large listings of a site take together, whoever reads them how slowly: it has a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits;
use crate::mutation::{Mutant, is_planted};

/// What is taken, of [`limits::LISTINGS_BYTES`].
#[derive(Debug, Default)]
pub(super) struct Reserve(AtomicUsize);

/// There is no room for more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A share of it, given back when dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    reserve: Arc<Reserve>,
    bytes: usize,
}

impl Reserved {
    /// Nothing yet.
    pub(super) fn of(reserve: &Arc<Reserve>) -> Self {
        Self { reserve: Arc::clone(reserve), bytes: 0 }
    }

    /// Has so many bytes from now on.
    ///
    /// # Errors
    /// There are not so many more; it has what it had.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), Full> {
        let resized = |all: usize| {
            let all = all.saturating_sub(self.bytes) + bytes;
            let fits = all <= limits::LISTINGS_BYTES || is_planted(Mutant::ReserveUnbounded);
            (bytes <= self.bytes || fits).then_some(all)
        };
        let was = self.reserve.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, resized);
        was.map_err(|_| Full)?;
        self.bytes = bytes;
        Ok(())
    }

    /// How much it has.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let _ = self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_so_much_and_no_more() {
        let reserve = Arc::default();
        let (mut a, mut b) = (Reserved::of(&reserve), Reserved::of(&reserve));
        assert_eq!(a.resize(limits::LISTINGS_BYTES - 100), Ok(()));
        assert_eq!((b.resize(100), b.resize(101), b.bytes()), (Ok(()), Err(Full), 100));
        assert_eq!((a.resize(1000), b.resize(2000)), (Ok(()), Ok(())));
        drop(a);
        assert_eq!(reserve.0.load(Ordering::Relaxed), 2000);
        drop(b);
        assert_eq!(reserve.0.load(Ordering::Relaxed), 0);
    }
}
