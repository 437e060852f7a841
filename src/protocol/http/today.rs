//! How most replies begin: the clock is looked at once a turn, the date is written once a second.

use std::time::SystemTime;

use super::reply::{self, DATE};
use crate::shared::Shared;
use crate::time::Time;

/// How most replies begin; the date, at its end, is that of another day.
const START: &[u8; 75] = b"HTTP/1.1 200 OK\r\nServer: switchboard\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

/// See the module.
#[derive(Debug)]
pub(super) struct Today {
    at: Time,
    second: u64,
    start: [u8; START.len()],
}

impl Default for Today {
    fn default() -> Self {
        Self { at: Time::NEVER, second: u64::MAX, start: *START }
    }
}

impl Today {
    /// As it is at this moment.
    #[inline]
    pub(super) fn at(&mut self, now: Time, shared: &Shared) -> &Self {
        if self.at != now {
            self.at = now;
            self.renew(shared.wall_clock());
        }
        self
    }

    /// Which second that is, since 1970.
    #[inline]
    pub(super) fn second(&self) -> u64 {
        self.second
    }

    /// A reply of status 200 up to its date, which is the last of it.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// The date, as `Date` has it, with its line end.
    pub(super) fn date(&self) -> [u8; DATE] {
        let mut date = [b' '; DATE];
        date.iter_mut().zip(self.start.iter().skip(START.len() - DATE)).for_each(|(to, from)| *to = *from);
        date
    }

    fn renew(&mut self, now: SystemTime) {
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.second != second {
            self.second = second;
            let place = self.start.iter_mut().skip(START.len() - DATE);
            place.zip(reply::date_bytes(now)).for_each(|(to, from)| *to = from);
        }
    }
}
