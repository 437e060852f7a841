//! The clock of the load generator: nanoseconds, the same for all of its processes.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds, mostly since the machine's start.
pub type Nanos = u64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;
/// One millisecond.
pub const MILLI: Nanos = 1_000_000;

/// Now. It never goes backwards; it does not come from the time of day.
#[inline]
pub fn now() -> Nanos {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Processor time that this thread has used.
pub fn busy() -> Nanos {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

#[inline]
fn read(clock: ClockId) -> Nanos {
    // These clocks are on every Linux.
    let Ok(time) = clock_gettime(clock) else { return 0 };
    time.tv_sec().cast_unsigned() * SECOND + time.tv_nsec().cast_unsigned()
}
