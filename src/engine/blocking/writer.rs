//! The second thread of a room's member: it writes what the others say, and waits when the member's
//! socket does, so that nobody else has to.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::Shutdown;

use crate::mutation::{Mutant, is_planted};
use crate::protocol::ConnId;
use crate::room::{Fed, MemberId, Rooms};
use crate::shared::Shared;
use crate::time::Time;

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    inner: Arc<Inner>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    stream: Arc<OwnedFd>,
    member: MemberId,
    /// The connection.
    id: ConnId,
    /// How long it waits for a member that takes nothing; zero is for ever.
    quiet: Duration,
    /// The member has left; set before it leaves, so that whoever takes its number is never fed here.
    gone: AtomicBool,
    /// It took nothing for so long that it was given up.
    expelled: AtomicBool,
    /// Something was written, since this was last asked.
    wrote: AtomicBool,
    /// Bytes.
    written: AtomicU64,
    /// Whose turn it is to take lines from the room and to write: no line lands inside another, and none
    /// that was taken waits while something later is written. Who has it may lock the rooms, not the other
    /// way round.
    turn: Mutex<()>,
}

/// The turn to write to a member's socket.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    inner: &'a Inner,
    _guard: MutexGuard<'a, ()>,
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
            quiet: shared.rooms().quiet_reader(member),
            gone: AtomicBool::new(false),
            expelled: AtomicBool::new(false),
            wrote: AtomicBool::new(false),
            written: AtomicU64::new(0),
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

    /// Waits for the turn to write to the member's socket.
    pub(super) fn turn(&self) -> Turn<'_> {
        self.inner.turn()
    }

    /// The same; `None` if the member has not read what is being written for so long that it will not.
    pub(super) fn turn_within(&self, wait: Duration) -> Option<Turn<'_>> {
        let until = Instant::now() + wait;
        loop {
            let turn = self.inner.try_turn();
            if turn.is_some() || Instant::now() >= until {
                return turn;
            }
            thread::sleep(super::LOOK_AGAIN);
        }
    }

    /// Says that the member is about to leave.
    pub(super) fn stop(&self) {
        self.inner.gone.store(true, Ordering::SeqCst);
    }

    /// Waits for the thread after [`Writer::stop`]; returns how many bytes it wrote.
    pub(super) fn join(self, shared: &Shared) -> u64 {
        // It is either before its look at whether it is to stop, or waits already.
        drop(shared.rooms());
        shared.room_changed.notify_all();
        if !is_planted(Mutant::WriterStays) {
            let _ = self.thread.join();
        }
        self.inner.written.load(Ordering::SeqCst)
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

impl Turn<'_> {
    /// Writes what the room has for the member by now.
    pub(super) fn catch_up(&self, shared: &Shared) {
        if is_planted(Mutant::ReplyOvertakes) {
            return;
        }
        let mut lines = Vec::new();
        if self.inner.take(&mut shared.rooms(), &mut lines) && !lines.is_empty() {
            self.inner.pass_on(shared, &lines);
        }
    }
}

impl Inner {
    fn turn(&self) -> Turn<'_> {
        Turn { inner: self, _guard: self.turn.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// The same, if nobody has it.
    fn try_turn(&self) -> Option<Turn<'_>> {
        let guard = match self.turn.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Turn { inner: self, _guard: guard })
    }

    /// The turn, and with it the rooms.
    fn turn_and_rooms<'a>(&'a self, shared: &'a Shared) -> (Turn<'a>, MutexGuard<'a, Rooms>) {
        let turn = self.turn();
        (turn, shared.rooms())
    }

    fn run(&self, shared: &Shared) {
        let mut lines = Vec::new();
        let (mut turn, mut rooms) = self.turn_and_rooms(shared);
        while self.take(&mut rooms, &mut lines) {
            if lines.is_empty() {
                drop(turn);
                rooms = shared.room_changed.wait(rooms).unwrap_or_else(PoisonError::into_inner);
                // Whoever has the turn may want the rooms, so it is not waited for with them locked.
                (turn, rooms) = if let Some(turn) = self.try_turn() {
                    (turn, rooms)
                } else {
                    drop(rooms);
                    self.turn_and_rooms(shared)
                };
            } else {
                drop(rooms);
                if !self.pass_on(shared, &lines) {
                    return;
                }
                lines.clear();
                drop(turn);
                (turn, rooms) = self.turn_and_rooms(shared);
            }
        }
    }

    /// Takes all that the room has for the member; false when it has left.
    fn take(&self, rooms: &mut Rooms, lines: &mut Vec<u8>) -> bool {
        if self.gone.load(Ordering::SeqCst) {
            return is_planted(Mutant::WriterStays);
        }
        if !rooms.is_held_by(self.member, self.id) {
            if rooms.author(self.member).is_some() {
                // It goes on over another connection: the other thread finds the end of this one.
                let _ = rustix::net::shutdown(&*self.stream, Shutdown::Read);
            }
            return false;
        }
        // Nothing blocks here, so no time is looked at.
        while Fed::More
            == rooms.feed(self.member, Time::START, |bytes| {
                lines.extend_from_slice(bytes);
                bytes.len()
            })
        {}
        true
    }

    /// Writes what was taken; false if it cannot be.
    fn pass_on(&self, shared: &Shared, lines: &[u8]) -> bool {
        if let Err(error) = self.write(lines) {
            if error == Errno::AGAIN {
                self.expelled.store(true, Ordering::SeqCst);
                shared.rooms().count_expelled();
            }
            // The other thread is waiting for input: it will find the end.
            let _ = rustix::net::shutdown(&*self.stream, Shutdown::Both);
            return false;
        }
        self.wrote.store(true, Ordering::Relaxed);
        self.written.fetch_add(lines.len() as u64, Ordering::Relaxed);
        true
    }

    fn write(&self, mut lines: &[u8]) -> Result<(), Errno> {
        let mut progress = Instant::now();
        while !lines.is_empty() {
            match rustix::io::write(self.stream.as_fd(), lines) {
                Ok(n) => {
                    lines = lines.get(n..).unwrap_or_default();
                    progress = Instant::now();
                }
                // The socket's time-out, which is there to look at deadlines.
                Err(Errno::AGAIN) if !self.quiet.is_zero() && progress.elapsed() >= self.quiet => {
                    return Err(Errno::AGAIN);
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
