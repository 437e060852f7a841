//! Between what the difference of two clocks must lie.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

/// Nanoseconds of a second.
const SECOND: i128 = 1_000_000_000;

/// The server's clock minus ours: at least the one, at most the other. Nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    least: i128,
    most: i128,
}

impl Bounds {
    /// The server told a whole second, at some moment between `asked` and `answered` on our clock. Its
    /// clock stood at that second or up to one further.
    pub(super) fn new(server: i64, asked: SignedDuration, answered: SignedDuration) -> Self {
        let server = i128::from(server) * SECOND;
        Self { least: server - answered.as_nanos(), most: server + SECOND - asked.as_nanos() }
    }

    /// What both leave possible; `None` if they contradict each other.
    pub(super) fn both(self, other: Self) -> Option<Self> {
        let (least, most) = (self.least.max(other.least), self.most.min(other.most));
        (least <= most).then_some(Self { least, most })
    }

    /// The best guess.
    pub(super) fn middle(self) -> SignedDuration {
        duration(i128::midpoint(self.least, self.most))
    }

    /// How far off the best guess may be.
    pub(super) fn uncertainty(self) -> SignedDuration {
        duration((self.most - self.least) / 2)
    }

    /// Whether the clocks may well agree.
    pub(super) fn has_zero(self) -> bool {
        self.least <= 0 && self.most >= 0
    }

    /// How long from `now` until the server's second flips if the best guess is right. An answer at that
    /// moment tells whether the guess is too high or too low.
    pub(super) fn until_flip(self, now: SignedDuration) -> Duration {
        let server = now.as_nanos() + i128::midpoint(self.least, self.most);
        let left = SECOND - server.rem_euclid(SECOND);
        Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (middle, uncertainty) = (self.middle().as_secs_f64(), self.uncertainty().as_secs_f64());
        write!(f, "{middle:+.3} s ± {uncertainty:.3} s")
    }
}

fn duration(nanoseconds: i128) -> SignedDuration {
    let seconds = i64::try_from(nanoseconds / SECOND).unwrap_or_default();
    SignedDuration::new(seconds, i32::try_from(nanoseconds % SECOND).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: i64) -> SignedDuration {
        SignedDuration::from_millis(n)
    }

    /// What a server says that is ahead by `offset`, asked at `now`, answering after half the delay.
    fn asked(now: i64, offset: i64, delay: i64) -> Bounds {
        Bounds::new((now + delay / 2 + offset).div_euclid(1000), ms(now), ms(now + delay))
    }

    #[test]
    fn one_answer_is_good_to_half_a_second_and_half_the_delay() {
        let bounds = Bounds::new(100, ms(99_000), ms(99_020));
        assert_eq!((bounds.middle(), bounds.uncertainty()), (ms(1490), ms(510)));
        assert_eq!(bounds.to_string(), "+1.490 s ± 0.510 s");
        assert!(!bounds.has_zero());
    }

    #[test]
    fn asking_at_the_flip_halves_what_is_possible_each_time() {
        for offset in [0, 1, 250, 999, -1, -333, 86_400_123] {
            let (mut now, mut bounds) = (1_000_000_237, asked(1_000_000_237, offset, 2));
            for _ in 0..9 {
                now += i64::try_from(bounds.until_flip(ms(now)).as_millis()).unwrap();
                bounds = bounds.both(asked(now, offset, 2)).unwrap();
            }
            assert!(bounds.uncertainty() <= ms(4), "{offset}: {bounds}");
            let error = (bounds.middle() - ms(offset)).abs();
            assert!(error <= bounds.uncertainty(), "{offset}: {bounds}");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        assert_eq!(asked(1000, 0, 2).both(asked(2000, 5000, 2)), None);
    }
}
