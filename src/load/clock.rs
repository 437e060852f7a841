//! The clock of the load generator: nanoseconds, the same for all of its processes.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds, mostly since the machine's start.
pub type Nanos = u64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;
/// One millisecond.
pub const MILLI: Nanos = 1_000_000;

/// Now. It never goes backwards; it does not come from the time of day.
#[inline]
pub fn now() -> Nanos {
    read(ClockId::Monotonic)
}

/// Processor time that this thread has used.
pub fn busy() -> Nanos {
    read(ClockId::ThreadCPUTime)
}

#[inline]
fn read(clock: ClockId) -> Nanos {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or_default() * SECOND + u64::try_from(time.tv_nsec).unwrap_or_default()
}
