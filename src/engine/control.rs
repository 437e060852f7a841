//! What the operator wants: signals, and Esc on the terminal.

use std::io;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook_mio::v1_0::Signals;

use super::keyboard::Keyboard;

/// What the operator wants of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Finish what is owed, then stop.
    Drain,
    /// Stop now: asked a second time.
    Quit,
}

/// Listens to signals and the keyboard. Dropping it restores the terminal.
pub struct Control {
    signals: Signals,
    keyboard: Keyboard,
    asked: bool,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Control {
    /// Takes INT, TERM, TSTP and CONT, and the terminal if there is one.
    pub fn new() -> io::Result<Self> {
        let signals = Signals::new([SIGINT, SIGTERM, SIGTSTP, SIGCONT])?;
        let mut control = Self { signals, keyboard: Keyboard::default(), asked: false };
        control.take_terminal();
        Ok(control)
    }

    /// While the terminal is changed, signals that end the program must not leave it so. Without a
    /// terminal they are left alone: `nohup` has one ignored.
    fn take_terminal(&mut self) {
        if self.keyboard.take_terminal() {
            for signal in [SIGQUIT, SIGHUP] {
                let _ = self.signals.add_signal(signal);
            }
        }
    }

    /// Whether Esc is listened to: not without a terminal, and not in its background.
    pub fn has_keyboard(&self) -> bool {
        self.keyboard.has_terminal()
    }

    /// Leaves the terminal alone, in a copy of the process: it is its parent's to restore.
    pub fn abandon(&mut self) {
        self.keyboard.abandon();
    }

    /// Has events of both delivered under `token`.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.signals, token, Interest::READABLE)?;
        // A standard input that cannot be polled, such as a file, is no keyboard.
        let _ = Keyboard::register(registry, token);
        Ok(())
    }

    /// How long until a lone Esc counts.
    pub fn wait(&self) -> Option<Duration> {
        self.keyboard.esc_due().map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// What the operator wants now, if anything.
    pub fn command(&mut self) -> Option<Command> {
        let mut stop = self.keyboard.is_esc_pressed();
        let mut continued = false;
        for signal in self.signals.pending() {
            match signal {
                SIGTSTP | SIGQUIT | SIGHUP => {
                    // Stopped or ended like any program, but with the terminal as it was found.
                    self.keyboard.give_back_terminal();
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                SIGCONT => continued = true,
                _ => stop = true,
            }
        }
        if continued {
            self.take_terminal();
        }
        if !stop {
            return None;
        }
        Some(if std::mem::replace(&mut self.asked, true) { Command::Quit } else { Command::Drain })
    }
}
