//! The second thread of a room's member: it writes what the others say, and waits when the member's
//! socket does, so that nobody else has to.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::Shutdown;

use crate::protocol::ConnId;
use crate::room::{Fed, MemberId};
use crate::shared::Shared;
use crate::time::Time;

/// How often to look whether the other thread is through.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    inner: Arc<Inner>,
    thread: JoinHandle<u64>,
}

#[derive(Debug)]
struct Inner {
    stream: Arc<OwnedFd>,
    member: MemberId,
    /// The connection.
    id: ConnId,
    /// The member has left; set before it leaves, so that whoever takes its number is never fed here.
    gone: AtomicBool,
    /// It took nothing for so long that it was given up.
    expelled: AtomicBool,
    /// Something was written, since this was last asked.
    wrote: AtomicBool,
    /// Whose turn it is to write, so that no line lands inside another.
    turn: Mutex<()>,
}

impl Writer {
    /// Starts the thread; without one, the member hears nothing but its own replies.
    pub(super) fn start(
        shared: &Arc<Shared>,
        stream: &Arc<OwnedFd>,
        (member, id): (MemberId, ConnId),
    ) -> Option<Self> {
        let inner = Arc::new(Inner {
            stream: Arc::clone(stream),
            member,
            id,
            gone: AtomicBool::new(false),
            expelled: AtomicBool::new(false),
            wrote: AtomicBool::new(false),
            turn: Mutex::new(()),
        });
        let (shared, own) = (Arc::clone(shared), Arc::clone(&inner));
        let thread = thread::Builder::new().stack_size(super::STACK).spawn(move || own.run(&shared));
        match thread {
            Ok(thread) => Some(Self { inner, thread }),
            Err(error) => {
                log::warn!("no second thread for a member: {error}");
                None
            }
        }
    }

    /// The lock to hold while writing to the member's socket.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.inner.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same; `None` if the member has not read what is being written for so long that it will not.
    pub(super) fn turn_within(&self, wait: Duration) -> Option<MutexGuard<'_, ()>> {
        let until = Instant::now() + wait;
        loop {
            match self.inner.turn.try_lock() {
                Ok(turn) => return Some(turn),
                Err(TryLockError::Poisoned(turn)) => return Some(turn.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => return None,
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// Says that the member is about to leave.
    pub(super) fn stop(&self) {
        self.inner.gone.store(true, Ordering::SeqCst);
    }

    /// Waits for the thread after [`Writer::stop`]; returns how many bytes it wrote.
    pub(super) fn join(self, shared: &Shared) -> u64 {
        shared.room_changed.notify_all();
        self.thread.join().unwrap_or(0)
    }

    /// Whether anything was written since this was last asked.
    pub(super) fn has_written(&self) -> bool {
        self.inner.wrote.swap(false, Ordering::Relaxed)
    }

    /// Whether the member was given up because it took nothing.
    pub(super) fn has_expelled(&self) -> bool {
        self.inner.expelled.load(Ordering::SeqCst)
    }
}

impl Inner {
    fn run(&self, shared: &Shared) -> u64 {
        let quiet = shared.rooms().quiet_reader(self.member);
        let mut written = 0;
        let mut lines = Vec::new();
        while self.wait_for_lines(shared, &mut lines) {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = self.write(&lines, quiet) {
                if error == Errno::AGAIN {
                    self.expelled.store(true, Ordering::SeqCst);
                    shared.rooms().count_expelled();
                }
                // The other thread is waiting for input: it will find the end.
                let _ = rustix::net::shutdown(&*self.stream, Shutdown::Both);
                break;
            }
            self.wrote.store(true, Ordering::Relaxed);
            written += lines.len() as u64;
            lines.clear();
        }
        written
    }

    /// Waits until there is something to write; false when the member has left.
    fn wait_for_lines(&self, shared: &Shared, lines: &mut Vec<u8>) -> bool {
        let mut rooms = shared.rooms();
        while !self.gone.load(Ordering::SeqCst) {
            if !rooms.is_held_by(self.member, self.id) {
                if rooms.author(self.member).is_some() {
                    // It goes on over another connection: the other thread finds the end of this one.
                    let _ = rustix::net::shutdown(&*self.stream, Shutdown::Read);
                }
                return false;
            }
            // Nothing blocks here, so no time is looked at.
            // All of it, so that nothing is left half taken: a private reply may come before the next.
            while Fed::More
                == rooms.feed(self.member, Time::START, |bytes| {
                    lines.extend_from_slice(bytes);
                    bytes.len()
                })
            {}
            if !lines.is_empty() {
                return true;
            }
            rooms = shared.room_changed.wait(rooms).unwrap_or_else(PoisonError::into_inner);
        }
        false
    }

    fn write(&self, mut lines: &[u8], quiet: Duration) -> Result<(), Errno> {
        let mut progress = Instant::now();
        while !lines.is_empty() {
            match rustix::io::write(self.stream.as_fd(), lines) {
                Ok(n) => {
                    lines = lines.get(n..).unwrap_or_default();
                    progress = Instant::now();
                }
                // The socket's time-out, which is there to look at deadlines.
                Err(Errno::AGAIN) if !quiet.is_zero() && progress.elapsed() >= quiet => {
                    return Err(Errno::AGAIN);
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
