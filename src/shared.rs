//! What all connections share: the clock on the wall, the rooms, the people's terminal, the journals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};
use jiff::tz::TimeZone;

use crate::directory::Entry;
use crate::journal::Journal;
use crate::observer::Observer;
use crate::ration::Ration;
use crate::room::Rooms;
use crate::show::Show;

/// See the module. Locked inside where an engine of several threads needs it; echo never touches it.
#[derive(Debug)]
pub struct Shared {
    clock: fn() -> SystemTime,
    zone: TimeZone,
    rooms: Mutex<Rooms>,
    /// The rooms may have changed since an engine last fed their members.
    rooms_stirred: AtomicBool,
    /// Told when a room has something new, for engines whose members wait in threads.
    pub(crate) room_changed: Condvar,
    show: Show,
    /// What is noted of connections.
    pub observer: Observer,
    /// What long work may do in a turn.
    pub ration: Ration,
    web_address: OnceLock<String>,
    directory: Mutex<Arc<Vec<Entry>>>,
    /// Journals that got lines in this turn.
    journals: Mutex<Vec<Arc<Journal>>>,
    has_lines: AtomicBool,
    stop: AtomicBool,
    leaving: AtomicBool,
}

impl Shared {
    /// The real clock, the system's time zone.
    pub fn new(show: Show) -> Self {
        Self::with_clock(SystemTime::now, TimeZone::system(), show)
    }

    /// A clock and a zone of one's own: for tests.
    pub fn with_clock(clock: fn() -> SystemTime, zone: TimeZone, show: Show) -> Self {
        Self {
            clock,
            rooms: Mutex::new(Rooms::new(clock, zone.clone())),
            rooms_stirred: AtomicBool::new(false),
            zone,
            room_changed: Condvar::new(),
            show,
            observer: Observer::default(),
            ration: Ration::default(),
            web_address: OnceLock::new(),
            directory: Mutex::default(),
            journals: Mutex::default(),
            has_lines: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
        }
    }

    /// The time of day.
    pub fn wall_clock(&self) -> SystemTime {
        (self.clock)()
    }

    /// The local time as strftime `%c` of the POSIX locale: `Sat Nov 21 01:07:09 2026`.
    pub fn local_time(&self) -> String {
        let now = Timestamp::try_from(self.wall_clock()).unwrap_or(Timestamp::UNIX_EPOCH);
        let now = now.to_zoned(self.zone.clone());
        let config = Config::new().custom(PosixCustom::new());
        BrokenDownTime::from(&now).to_string_with_config(&config, "%c").unwrap_or_default()
    }

    /// The chat rooms.
    pub fn rooms(&self) -> MutexGuard<'_, Rooms> {
        let rooms = self.lock_rooms();
        self.rooms_stirred.store(true, Ordering::Relaxed);
        rooms
    }

    /// Whether anybody had the rooms since [`Shared::calm_rooms`]: if not, an engine need not look at them.
    #[inline]
    pub fn are_rooms_stirred(&self) -> bool {
        self.rooms_stirred.load(Ordering::Relaxed)
    }

    /// The rooms, for an engine that will feed all who lack something.
    pub fn calm_rooms(&self) -> MutexGuard<'_, Rooms> {
        let rooms = self.lock_rooms();
        self.rooms_stirred.store(false, Ordering::Relaxed);
        rooms
    }

    fn lock_rooms(&self) -> MutexGuard<'_, Rooms> {
        // A thread that panicked in the middle of a change has left a room that still works.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows people what a peer sent: a heading and the bytes, either may be empty.
    pub fn show(&self, heading: &str, bytes: &[u8]) {
        self.show.show(heading, bytes);
    }

    /// Adds a line to a journal; it is written when the turn ends.
    pub fn note(&self, journal: &Arc<Journal>, write: impl FnOnce(&mut Vec<u8>)) {
        if journal.add(write) {
            self.journals().push(Arc::clone(journal));
            self.has_lines.store(true, Ordering::Release);
        }
    }

    /// Writes what was noted, and renews what long work may do: an engine calls this at the end of every turn.
    #[inline]
    pub fn end_turn(&self) {
        self.ration.renew();
        // A plain load, so that it costs nothing where nothing is noted.
        if self.has_lines.load(Ordering::Acquire) {
            self.write_journals();
        }
    }

    fn write_journals(&self) {
        if self.has_lines.swap(false, Ordering::AcqRel) {
            for journal in std::mem::take(&mut *self.journals()) {
                journal.flush();
            }
        }
    }

    /// Has the daemon stop as if the operator had asked for it: a service has done what it was run for.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether [`Shared::stop`] was called.
    pub fn is_stop_due(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// A drain begins: a session that can say to its peer that this connection is not to be used again, may.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether [`Shared::leave`] was called.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    fn journals(&self) -> MutexGuard<'_, Vec<Arc<Journal>>> {
        self.journals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the daemon's web page is: `127.0.0.1:8080`.
    pub fn web_address(&self) -> Option<&str> {
        self.web_address.get().map(String::as_str)
    }

    /// Says where the web page is; only the first time counts.
    pub fn set_web_address(&self, address: String) {
        let _ = self.web_address.set(address);
    }
}

impl Shared {
    /// Everything that listens.
    pub fn directory(&self) -> Arc<Vec<Entry>> {
        Arc::clone(&self.directory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says what listens.
    pub fn set_directory(&self, entries: Vec<Entry>) {
        *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(entries);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// Sat Nov 21 01:07:09 2026, UTC.
    fn fixed() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_223_229)
    }

    pub(crate) fn shared() -> Shared {
        Shared::with_clock(fixed, TimeZone::UTC, Show::nowhere())
    }

    #[test]
    fn local_time_is_that_of_strftime() {
        assert_eq!(shared().local_time(), "Sat Nov 21 01:07:09 2026");
    }
}
