//! Between a worker and whoever leads it: commands one way, how it goes the other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::Waker;

use super::job::{Command, Snapshot};

/// Rings when a worker has done something that is waited for.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *lock(&self.rung) = true;
        self.condition.notify_all();
    }

    /// Waits for it, but no longer than this.
    pub(super) fn wait(&self, at_most: Duration) {
        let rung = lock(&self.rung);
        let waited = self.condition.wait_timeout_while(rung, at_most, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// One worker's.
#[derive(Debug)]
pub(super) struct Mailbox {
    commands: Mutex<VecDeque<Command>>,
    /// Whether there are any: looked at every turn, without the lock.
    waiting: AtomicBool,
    latest: Mutex<Snapshot>,
    waker: Waker,
    bell: Arc<Bell>,
}

impl Mailbox {
    pub(super) fn new(waker: Waker, bell: Arc<Bell>) -> Self {
        Self {
            commands: Mutex::default(),
            waiting: AtomicBool::new(false),
            latest: Mutex::default(),
            waker,
            bell,
        }
    }

    /// Gives the worker something to do.
    pub(super) fn send(&self, command: Command) {
        lock(&self.commands).push_back(command);
        self.waiting.store(true, Ordering::Release);
        // It looks by itself too, at its next tick.
        let _ = self.waker.wake();
    }

    #[inline]
    pub(super) fn has_commands(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    pub(super) fn next_command(&self) -> Option<Command> {
        let mut commands = lock(&self.commands);
        let next = commands.pop_front();
        self.waiting.store(!commands.is_empty(), Ordering::Release);
        next
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        let mut latest = lock(&self.latest);
        let news = snapshot.done != latest.done || snapshot.spent != latest.spent;
        *latest = snapshot;
        drop(latest);
        if news {
            self.bell.ring();
        }
    }

    /// Adds what it last said to a sum.
    pub(super) fn add_to(&self, sum: &mut Snapshot) {
        sum.add(&lock(&self.latest));
    }
}

/// A worker that died has left what it had counted.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
