//! Monotonic time as the reactor counts it: whole milliseconds since the engine started.
//!
//! Handlers never read a clock. They are given a [`Time`], so a test or a simulator can let a year
//! pass in a microsecond.

use std::time::Duration;

/// A moment, in milliseconds since the engine started. It never goes backwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Time(u64);

impl Time {
    /// The moment the engine started.
    pub const START: Self = Self(0);
    /// A moment that does not come: the deadline of whoever waits without one.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `ms` milliseconds after the start.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// The moment this long after the start, rounded down. In 64 bits: it is asked every turn.
    pub fn since_start(elapsed: Duration) -> Self {
        Self(elapsed.as_secs() * 1000 + u64::from(elapsed.subsec_millis()))
    }

    /// Milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment plus `wait`, rounded up to a whole millisecond so that nothing fires early.
    pub fn after(self, wait: Duration) -> Self {
        // In 64 bits: this is done several times a turn, and a division of 128 bits is slow.
        let ms = wait.as_secs().saturating_mul(1000);
        let ms = ms.saturating_add(u64::from(wait.subsec_nanos().div_ceil(1_000_000)));
        Self(self.0.saturating_add(ms))
    }

    /// How long until this moment, seen from `now`; zero when it has passed, `None` for [`Time::NEVER`].
    pub fn since(self, now: Self) -> Option<Duration> {
        (self != Self::NEVER).then(|| Duration::from_millis(self.0.saturating_sub(now.0)))
    }
}

/// A [`Time`] in five bytes, for what there are thousands of. What lies more than 34 years after the start
/// is [`Time::NEVER`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    low: [u8; 4],
    high: u8,
}

impl From<Time> for Due {
    #[inline]
    fn from(time: Time) -> Self {
        // Of NEVER, all bits stay set.
        let ms = if time.0 >> 40 == 0 { time.0 } else { u64::MAX };
        let [a, b, c, d, high, ..] = ms.to_le_bytes();
        Self { low: [a, b, c, d], high }
    }
}

impl From<Due> for Time {
    #[inline]
    fn from(due: Due) -> Self {
        let ms = u64::from(due.high) << 32 | u64::from(u32::from_le_bytes(due.low));
        if ms == u64::MAX >> 24 { Self::NEVER } else { Self(ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_rounds_up_and_saturates() {
        let t = Time::from_millis(10);
        assert_eq!(t.after(Duration::from_micros(1)), Time::from_millis(11));
        assert_eq!(t.after(Duration::from_millis(5)), Time::from_millis(15));
        assert_eq!(t.after(Duration::MAX), Time::NEVER);
    }

    #[test]
    fn five_bytes_hold_a_life_time() {
        for ms in [0, 1, 0xffff_ffff, 1 << 32, (1 << 40) - 2] {
            assert_eq!(Time::from(Due::from(Time(ms))), Time(ms));
        }
        for ms in [(1 << 40) - 1, 1 << 40, 1 << 50, u64::MAX] {
            assert_eq!(Time::from(Due::from(Time(ms))), Time::NEVER, "{ms}");
        }
        assert_eq!(size_of::<Due>(), 5);
    }

    #[test]
    fn never_has_no_distance() {
        assert_eq!(Time::NEVER.since(Time::START), None);
        assert_eq!(Time::START.since(Time::from_millis(9)), Some(Duration::ZERO));
    }
}
