//! How many bytes a connection has moved, in twelve bytes instead of sixteen: there are thousands of them.

/// Bytes that were read and written. Each count is good for 256 TiB, and begins anew after that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    read: u32,
    written: u32,
    read_high: u16,
    written_high: u16,
}

impl Moved {
    #[inline]
    pub(super) fn read(self) -> u64 {
        whole(self.read, self.read_high)
    }

    #[inline]
    pub(super) fn written(self) -> u64 {
        whole(self.written, self.written_high)
    }

    #[inline]
    pub(super) fn add_read(&mut self, n: usize) {
        add(&mut self.read, &mut self.read_high, n);
    }

    #[inline]
    pub(super) fn add_written(&mut self, n: usize) {
        add(&mut self.written, &mut self.written_high, n);
    }
}

#[inline]
fn whole(low: u32, high: u16) -> u64 {
    u64::from(high) << u32::BITS | u64::from(low)
}

/// An addition with its carry, which is two instructions. No system call moves 4 GiB.
#[inline]
fn add(low: &mut u32, high: &mut u16, n: usize) {
    let (sum, carried) = low.overflowing_add(u32::try_from(n).unwrap_or(u32::MAX));
    *low = sum;
    *high = high.wrapping_add(u16::from(carried));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_four_gibibytes_are_counted() {
        let mut moved = Moved::default();
        for _ in 0..3 {
            moved.add_read(0xf000_0000);
        }
        moved.add_written(7);
        assert_eq!((moved.read(), moved.written()), (3 * 0xf000_0000, 7));
        assert_eq!(size_of::<Moved>(), 12);
    }
}
