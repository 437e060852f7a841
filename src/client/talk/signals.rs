//! Signals, as far as a terminal in the editor's mode needs them: it must be given back as it was.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::super::Error;
use super::{Event, Events, Screen};

/// Ctrl-C while no line is being read: noted, and fatal no more.
///
/// # Errors
/// The system's.
pub(super) fn note_interrupts() -> io::Result<Arc<AtomicBool>> {
    let noted = Arc::default();
    signal_hook::flag::register(SIGINT, Arc::clone(&noted))?;
    Ok(noted)
}

/// Makes the editor stop reading its line.
pub(super) fn interrupt() {
    // Sending a signal to oneself is always allowed.
    let _ = kill_process(getpid(), Signal::INT);
}

/// Has the conversation told of the signals that end programs, where there is a terminal to restore.
pub(super) fn watch(screen: &Screen, tell: &Events) -> Result<(), Error> {
    if !screen.is_edited() {
        return Ok(());
    }
    let failed = |error| Error::File { what: "watching for signals".into(), error };
    let mut signals = Signals::new([SIGTERM, SIGHUP]).map_err(failed)?;
    let tell = tell.clone();
    super::start("signals", move || {
        for signal in signals.forever() {
            if tell.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    })
}

/// Ends the program the way the signal would have, so that its parent sees which it was.
pub(super) fn obey(signal: i32) -> Result<(), Error> {
    let ended = signal_hook::low_level::emulate_default_handler(signal);
    ended.map_err(|error| Error::File { what: "ending".into(), error })
}
