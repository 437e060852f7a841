//! What the operator wants: signals, and Esc on the terminal.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2};
use signal_hook_mio::v1_0::Signals;

use super::keyboard::Keyboard;
use super::successor::{Outcome, Succession};
use crate::mutation::{Mutant, is_planted};
use crate::supervisor::{self, News};

/// What the operator wants of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Finish what is owed, then stop.
    Drain,
    /// The same, but another process has the sockets and serves whoever waits there.
    HandOver,
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
    /// The poll that events are delivered by, and under which token.
    registered: Option<(Registry, Token)>,
    succession: Option<Succession>,
    /// A successor serves, or a drain has begun for another reason.
    draining: bool,
    /// How often the supervisor wants to hear that the loop turns, and when next.
    alive: Option<(Duration, Instant)>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Control {
    /// Takes INT, TERM, TSTP, CONT, USR1 and USR2, and the terminal if there is one.
    pub fn new() -> io::Result<Self> {
        let signals = Signals::new([SIGINT, SIGTERM, SIGTSTP, SIGCONT, SIGUSR1, SIGUSR2])?;
        let (keyboard, waiting) = (Keyboard::default(), VecDeque::new());
        let mut control = Self {
            signals,
            keyboard,
            asked: false,
            reloads: false,
            waiting,
            registered: None,
            succession: None,
            draining: false,
            alive: None,
        };
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

    /// USR2 has a successor started from now on.
    pub fn take_restarts(&mut self, succession: Succession) {
        self.succession = Some(succession);
    }

    /// Everything is served from now on: whoever waits for that is told.
    pub fn serves(&mut self) {
        // A predecessor tells the supervisor, which listens to it alone so far.
        if !self.succession.as_mut().is_some_and(Succession::serves) {
            supervisor::tell(News::Ready);
        }
        self.alive = supervisor::alive_every().map(|every| (every, Instant::now() + every));
    }

    /// A drain begins: the sockets must be open nowhere in this process.
    pub fn drains(&mut self) {
        if !std::mem::replace(&mut self.draining, true) {
            supervisor::tell(News::Stopping);
        }
        if let Some(succession) = &mut self.succession {
            succession.end();
        }
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
        self.registered = Some((registry.try_clone()?, token));
        // A standard input that cannot be polled, such as a file, is no keyboard.
        let _ = Keyboard::register(registry, token);
        Ok(())
    }

    /// How long until there is something to look at without an event: a lone Esc counts, a successor has
    /// taken too long, the supervisor is to hear something.
    #[inline]
    pub fn wait(&self) -> Option<Duration> {
        let due = lesser(self.keyboard.esc_due(), self.alive.map(|(_, next)| next));
        let due = due.map(|due| due.saturating_duration_since(Instant::now()));
        lesser(due, self.succession.as_ref().and_then(Succession::wait))
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
                SIGUSR2 => self.restart(),
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
        self.look_at_successor();
        self.say_alive();
        if stop {
            let asked = std::mem::replace(&mut self.asked, true);
            if asked && !is_planted(Mutant::SecondSignalLost) {
                self.waiting.push_back(Command::Quit);
            } else if !self.draining {
                // A successor that is starting would be left alone with the sockets.
                self.drains();
                self.waiting.push_back(Command::Drain);
            }
        }
    }

    fn restart(&mut self) {
        let (Some(succession), Some((registry, token))) = (&mut self.succession, &self.registered) else {
            return;
        };
        if self.draining {
            return log::warn!("no restart: this process is stopping");
        }
        // The successor finds the terminal as it was, and leaves it so.
        self.keyboard.give_back_terminal();
        if let Err(reason) = succession.start(registry, *token) {
            log::error!("no restart: {reason}; this process goes on");
            self.take_terminal();
        }
    }

    fn look_at_successor(&mut self) {
        match self.succession.as_mut().and_then(Succession::outcome) {
            None => {}
            Some(Outcome::Serves(pid)) => {
                log::info!("process {pid} has taken over");
                supervisor::tell(News::Successor(pid));
                // The supervisor goes by that one now.
                self.draining = true;
                self.drains();
                self.waiting.push_back(Command::HandOver);
            }
            Some(Outcome::Failed(reason)) => {
                log::error!("no restart: {reason}; this process goes on");
                self.take_terminal();
            }
        }
    }

    fn say_alive(&mut self) {
        if let Some((every, next)) = &mut self.alive
            && *next <= Instant::now()
        {
            *next = Instant::now() + *every;
            supervisor::tell(News::Alive);
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

/// The lesser of what there is.
#[inline]
pub(super) fn lesser<T: Ord + Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.zip(other).map(|(one, other)| one.min(other)).or(one).or(other)
}
