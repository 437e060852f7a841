//! Setting this machine's clock, which is everybody's on it.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_settime};

use super::{Bounds, Error, since_epoch};
use crate::client::output::Output;

/// Sets it by the middle of the bounds, or says what that would do.
pub(super) fn clock(bounds: Bounds, dry_run: bool) -> Result<(), Error> {
    let mut output = Output::new();
    if bounds.has_zero() {
        return output.line("clock   left as it is: it may well be right already; more --samples tell more");
    }
    let (from, to) = times(bounds);
    let by = format!("{:+.3} s", bounds.middle().as_secs_f64());
    if dry_run {
        return output.line(format_args!(
            "clock   would be set by {by}, from {} to {}",
            show(from),
            show(to)
        ));
    }
    set(to)?;
    output.line(format_args!("clock   set by {by}, from {} to {}", show(from), show(to)))
}

/// The time it is, and the time it should be.
fn times(bounds: Bounds) -> (SignedDuration, SignedDuration) {
    let now = since_epoch(SystemTime::now());
    (now, now.saturating_add(bounds.middle()))
}

fn show(time: SignedDuration) -> String {
    let time = Timestamp::from_duration(time).unwrap_or_default();
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn set(time: SignedDuration) -> Result<(), Error> {
    if time.is_negative() {
        return Err(Error::Wrong("the clock is not set: no clock goes back before 1970".to_owned()));
    }
    let time = Timespec { tv_sec: time.as_secs(), tv_nsec: time.subsec_nanos().into() };
    clock_settime(ClockId::Realtime, time).map_err(refused)
}

fn refused(error: Errno) -> Error {
    match error {
        Errno::PERM => Error::Wrong(
            "the clock is not set: that needs the capability CAP_SYS_TIME; run it with sudo, and outside of a container"
                .to_owned(),
        ),
        error => Error::File { what: "the clock is not set".to_owned(), error: error.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_needed() {
        let said = refused(Errno::PERM).to_string();
        assert!(
            said.contains("CAP_SYS_TIME") && said.contains("sudo") && said.lines().count() == 1,
            "{said}"
        );
    }

    #[test]
    fn what_is_set_is_now_and_the_offset() {
        let hour = SignedDuration::from_hours(1);
        let bounds = Bounds::new(3600, SignedDuration::ZERO, SignedDuration::ZERO);
        let (from, to) = times(bounds);
        assert_eq!(to - from, hour + SignedDuration::from_millis(500));
    }
}
