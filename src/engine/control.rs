//! What the operator wants: signals, and Esc on the terminal.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1};
use signal_hook_mio::v1_0::Signals;

use super::keyboard::Keyboard;

/// What the operator wants of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Finish what is owed, then stop.
    Drain,
    /// Stop now: asked a second time.
    Quit,
    /// Read the configuration again.
    Reload,
    /// Write to the log how things are.
    Dump,
}

/// Listens to signals and the keyboard. Dropping it restores the terminal.
pub struct Control {
    signals: Signals,
    keyboard: Keyboard,
    asked: bool,
    /// HUP has the configuration read again.
    reloads: bool,
    waiting: VecDeque<Command>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Control {
    /// Takes INT, TERM, TSTP, CONT and USR1, and the terminal if there is one.
    pub fn new() -> io::Result<Self> {
        let signals = Signals::new([SIGINT, SIGTERM, SIGTSTP, SIGCONT, SIGUSR1])?;
        let (keyboard, waiting) = (Keyboard::default(), VecDeque::new());
        let mut control = Self { signals, keyboard, asked: false, reloads: false, waiting };
        control.take_terminal();
        Ok(control)
    }

    /// Takes HUP as well, which has the configuration read again; unless it is ignored, as `nohup` has it.
    ///
    /// # Errors
    /// The system's.
    pub fn take_reloads(&mut self) -> io::Result<()> {
        if !is_ignored(SIGHUP) {
            self.signals.add_signal(SIGHUP)?;
            self.reloads = true;
        }
        Ok(())
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

    /// What the operator wants now, if anything; ask until there is nothing.
    pub fn command(&mut self) -> Option<Command> {
        self.look();
        self.waiting.pop_front()
    }

    fn look(&mut self) {
        let mut stop = self.keyboard.is_esc_pressed();
        let mut continued = false;
        let signals: Vec<_> = self.signals.pending().collect();
        for signal in signals {
            match signal {
                SIGUSR1 => self.waiting.push_back(Command::Dump),
                SIGHUP if self.reloads && !Keyboard::is_hung_up() => self.waiting.push_back(Command::Reload),
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
        if stop {
            let asked = std::mem::replace(&mut self.asked, true);
            self.waiting.push_back(if asked { Command::Quit } else { Command::Drain });
        }
    }
}

/// Whether the process was started with a signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
