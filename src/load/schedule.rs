//! When the messages of an open loop are due. They come at a fixed rate whatever the server does, and a
//! message's latency counts from when it was due: a server that stalls for a second has kept everybody
//! waiting who would have come in that second, not only the one who was there.

use super::clock::Nanos;

/// A rate, shared by workers that take turns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    start: Nanos,
    /// Nanoseconds between two messages of this worker.
    gap: f64,
    /// Nanoseconds by which this worker is behind the first one.
    offset: f64,
    next: u64,
}

impl Schedule {
    /// `rate` messages a second from all of `workers`, of which this is number `index`.
    pub(super) fn new(start: Nanos, rate: f64, index: u32, workers: u32) -> Self {
        let between = 1e9 / rate;
        let gap = between * f64::from(workers.max(1));
        Self { start, gap, offset: between * f64::from(index), next: 0 }
    }

    /// When the next message is due.
    pub(super) fn due(&self) -> Nanos {
        self.start + to_nanos(self.offset + self.gap * to_f64(self.next))
    }

    /// The next message is on its way.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// Messages that are due and not on their way.
    pub(super) fn behind(&self, now: Nanos) -> u64 {
        let due = self.due();
        if now < due { 0 } else { to_nanos(to_f64(now - due) / self.gap) + 1 }
    }

    /// Goes on from now: what would have been due in a pause is not made up for.
    pub(super) fn resume(&mut self, now: Nanos) {
        (self.start, self.next) = (now, 0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53: a hundred days of nanoseconds")]
fn to_f64(n: u64) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and it saturates")]
fn to_nanos(n: f64) -> u64 {
    n as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_the_rate_and_do_not_drift() {
        let mut schedule = Schedule::new(1000, 3.0, 0, 1);
        assert_eq!(schedule.due(), 1000);
        (0..3_000_000).for_each(|_| schedule.advance());
        assert_eq!(schedule.due(), 1000 + 1_000_000_000_000_000);
    }

    #[test]
    fn workers_take_turns() {
        let mut all: Vec<Nanos> = Vec::new();
        for index in 0..4 {
            let mut schedule = Schedule::new(0, 1000.0, index, 4);
            for _ in 0..5 {
                all.push(schedule.due());
                schedule.advance();
            }
        }
        all.sort_unstable();
        assert_eq!(all, (0..20).map(|n| n * 1_000_000).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_not_sent_in_time_is_still_due_at_its_time() {
        let mut schedule = Schedule::new(0, 1000.0, 0, 1);
        assert_eq!(schedule.behind(0), 1);
        assert_eq!(schedule.behind(199_999_999), 200, "a stall of 200 ms makes 200 messages wait");
        schedule.advance();
        assert_eq!((schedule.due(), schedule.behind(0)), (1_000_000, 0));
        schedule.resume(5_000_000);
        assert_eq!((schedule.due(), schedule.behind(5_000_000)), (5_000_000, 1));
    }
}
