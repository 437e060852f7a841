//! Esc stops the daemon (lab D asks for it): only when standard input is a terminal and the daemon is
//! in its foreground, so that a daemon in the background is never stopped for touching the terminal.

use std::io::{self, IsTerminal, stdin};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

const ESC: u8 = 0x1b;
/// Arrow and function keys send Esc and more at once; a person who presses Esc sends nothing after it.
const LONE: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Keyboard {
    /// How the terminal was, while it is changed.
    found: Option<Termios>,
    /// When an Esc that came last will have been alone.
    esc_due: Option<Instant>,
}

impl Keyboard {
    /// Has keys delivered one by one and not shown, if the terminal is ours; only `ICANON` and `ECHO`
    /// are cleared, so Ctrl-C and Ctrl-Z work as ever. Whether it has the terminal now.
    pub(super) fn take_terminal(&mut self) -> bool {
        if self.found.is_some() || !is_ours() {
            return self.found.is_some();
        }
        let Ok(found) = tcgetattr(stdin()) else { return false };
        let mut keys = found.clone();
        keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        if tcsetattr(stdin(), OptionalActions::Now, &keys).is_ok() {
            self.found = Some(found);
        }
        self.found.is_some()
    }

    /// Whether keys are delivered now.
    pub(super) fn has_terminal(&self) -> bool {
        self.found.is_some()
    }

    /// Whether the terminal that the program was started on has gone.
    pub(super) fn is_hung_up() -> bool {
        let stdin = stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
        let polled = poll(&mut fds, Some(&Timespec::default()));
        let is_gone = fds.iter().any(|fd| fd.revents().contains(PollFlags::HUP));
        // Of a terminal only: a pipe whose writer has ended hangs up as well.
        polled.is_ok() && is_gone && rustix::fs::fstat(&stdin).is_ok_and(|stat| is_device(stat.st_mode))
    }

    /// Leaves the terminal as it was found. Not from the background: whoever is in front owns it now.
    pub(super) fn give_back_terminal(&mut self) {
        if let Some(found) = self.found.take()
            && is_ours()
        {
            let _ = tcsetattr(stdin(), OptionalActions::Now, &found);
        }
    }

    /// Leaves the terminal as it is, for good.
    pub(super) fn abandon(&mut self) {
        self.found = None;
    }

    /// Has key presses delivered as events.
    pub(super) fn register(registry: &Registry, token: Token) -> io::Result<()> {
        if !stdin().is_terminal() {
            return Ok(());
        }
        registry.register(&mut SourceFd(&stdin().as_raw_fd()), token, Interest::READABLE)
    }

    /// When a lone Esc counts.
    pub(super) fn esc_due(&self) -> Option<Instant> {
        self.esc_due
    }

    /// Reads the keys that were pressed; whether Esc was, alone.
    pub(super) fn is_esc_pressed(&mut self) -> bool {
        let mut keys = [0; 256];
        while self.found.is_some() && is_ours() && has_input() {
            match rustix::io::read(stdin(), &mut keys) {
                Ok(n) if n > 0 => {
                    let alone = n == 1 && keys.first() == Some(&ESC) && self.esc_due.is_none();
                    self.esc_due = alone.then(|| Instant::now() + LONE);
                }
                _ => break,
            }
        }
        let pressed = self.esc_due.is_some_and(|due| due <= Instant::now());
        if pressed {
            self.esc_due = None;
        }
        pressed
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.give_back_terminal();
    }
}

/// Whether standard input is a terminal whose foreground is this program.
fn is_ours() -> bool {
    stdin().is_terminal() && tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

/// The terminal is shared with other programs, so it is never made non-blocking: look before reading.
fn has_input() -> bool {
    let input = stdin();
    let mut fds = [PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|n| n > 0)
}
/// A terminal that has hung up no longer says that it is one, but it is a device still.
fn is_device(mode: u32) -> bool {
    rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::CharacterDevice
}
