//! Who may write to the terminal, and when.
//!
//! The editor prints only while it is reading a line. Whatever it is given while it is not, it would write
//! wherever the cursor happens to be; so whoever has something to show waits in front of this gate.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a line that is typed may wait for what is on its way to the editor. It passes only when a flood
/// has filled the editor's queue, and then nothing can be written past it.
const SETTLING: Duration = Duration::from_millis(100);
/// How often the editor is told to stop, until it does.
const KICK: Duration = Duration::from_millis(20);

/// What the editor is doing, for those who want to print.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// A line is being read.
    reading: bool,
    /// The editor has the terminal in its mode and has drawn the line.
    editing: bool,
    /// The line is accepted: nothing may be printed until the next one is read.
    accepted: bool,
    /// Somebody is in the middle of giving the editor something to print.
    printing: bool,
    /// What the editor was given last may not have been printed yet.
    unseen: bool,
    /// The editor is to stop after the line that it is reading.
    stopping: bool,
    /// It has, and the terminal is as it was.
    done: bool,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Another line is going to be read; false if none should be.
    pub(super) fn begin_line(&self) -> bool {
        let mut state = self.state();
        (state.editing, state.accepted) = (false, false);
        state.reading = !state.stopping;
        state.reading
    }

    /// The line has been read, and the terminal is as it was.
    pub(super) fn end_line(&self) {
        self.update(|state| {
            (state.reading, state.editing) = (false, false);
            state.done |= state.stopping;
        });
    }

    /// No line will be read any more.
    pub(super) fn end(&self) {
        self.update(|state| state.done = true);
    }

    /// The editor has drawn the line, so it has the terminal, and printed what it was given.
    pub(super) fn drawn(&self) {
        self.update(|state| {
            state.editing = !state.accepted;
            state.unseen = false;
        });
    }

    /// The line is accepted. Returns when nobody is about to print, so that nothing is written between the
    /// end of the editing and the line feed behind the line.
    pub(super) fn accept_line(&self) {
        self.update(|state| (state.editing, state.accepted) = (false, true));
        let _ = self.changed.wait_timeout_while(self.state(), SETTLING, |state| state.printing);
    }

    /// Whether nothing is edited any more.
    pub(super) fn has_ended(&self) -> bool {
        self.state().done
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state().stopping
    }

    /// Waits until the editor can print; false when it has ended.
    pub(super) fn enter(&self) -> bool {
        let closed = |state: &mut State| !state.done && (!state.editing || state.unseen || state.printing);
        let mut state = self.changed.wait_while(self.state(), closed).unwrap_or_else(PoisonError::into_inner);
        if state.done {
            return false;
        }
        (state.printing, state.unseen) = (true, true);
        true
    }

    /// Whoever entered has given the editor what it had.
    pub(super) fn leave(&self) {
        self.update(|state| state.printing = false);
    }

    /// Waits a moment until what was printed last is on the screen.
    pub(super) fn wait_until_seen(&self) {
        let unseen = |state: &mut State| !state.done && state.unseen;
        let _ = self.changed.wait_timeout_while(self.state(), SETTLING, unseen);
    }

    pub(super) fn wait_until_done(&self) {
        drop(self.changed.wait_while(self.state(), |state| !state.done));
    }

    /// Makes the editor end, by the signal that Ctrl-C would be: again and again, because it may come
    /// between two lines, where it ends nothing.
    pub(super) fn stop(&self) {
        self.update(|state| {
            state.stopping = true;
            state.done |= !state.reading;
        });
        while !self.state().done {
            super::signals::interrupt();
            let _ = self.changed.wait_timeout_while(self.state(), KICK, |state| !state.done);
        }
    }
}
