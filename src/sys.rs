//! What the program needs of the system and no safe interface offers: for an engine of processes `fork`,
//! `_exit`, and what signals do in a child; for a restart the descriptors that a process is born with. The only unsafe code of the program; `tests/tidy.rs` sees to that.
//!
//! A child is made by a process of one thread only: the copy of a lock that another thread held would
//! never be given back.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::unistd::ForkResult;

/// Which of the two a process is after [`fork`].
#[derive(Debug)]
pub(crate) enum Fork {
    /// The one that was there before.
    Parent(rustix::process::Pid),
    /// Its copy.
    Child(Newborn),
}

/// A child that hears no signal yet, and whose handlers are its parent's.
#[derive(Debug)]
pub(crate) struct Newborn {
    /// What its parent had blocked.
    mask: SigSet,
}

/// What TERM does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Term<'a> {
    /// It ends a wait; see [`is_told_to_stop`].
    EndsWait,
    /// It ends the input of a socket, so that a read that waits returns; see [`is_told_to_stop`].
    EndsInput(BorrowedFd<'a>),
    /// Nothing.
    Ignored,
}

/// The socket whose input TERM ends.
static SOCKET: AtomicI32 = AtomicI32::new(-1);
/// USR2 has come.
static LEAVING: AtomicBool = AtomicBool::new(false);
/// TERM has come.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Makes a copy of the process. No signal reaches the child before [`Newborn::obey`]: it would be taken by
/// its parent's handlers, and told to the parent.
///
/// # Errors
/// There is no room for another process (`AGAIN`, `NOMEM`), or this one has several threads.
pub(crate) fn fork() -> Result<Fork, Errno> {
    if threads() > 1 {
        return Err(Errno::EINVAL);
    }
    let mut mask = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
    // SAFETY: the child may do whatever its parent may, for there is no other thread whose locks it could
    // find taken; that was looked at above, and this one is the only one that could start another. Where it
    // cannot be looked at (no /proc), it holds because the engine that forks starts no thread: its jobs are done
    // where they are, and the operator is heard by the one poll.
    let forked = unsafe { nix::unistd::fork() };
    if let Ok(ForkResult::Child) = forked {
        return Ok(Fork::Child(Newborn { mask }));
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
    match forked? {
        ForkResult::Parent { child } => {
            rustix::process::Pid::from_raw(child.as_raw()).map(Fork::Parent).ok_or(Errno::ESRCH)
        }
        ForkResult::Child => Err(Errno::ECHILD),
    }
}

impl Newborn {
    /// Gives signals their meaning in a child. Ctrl-C is its parent's business, which tells it by TERM.
    pub(crate) fn obey(self, term: Term<'_>) -> Result<(), Errno> {
        for signal in [Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGCHLD] {
            let before = handle(signal, SigHandler::SigDfl)?;
            // As `nohup` has it.
            if matches!(before, SigHandler::SigIgn) {
                handle(signal, SigHandler::SigIgn)?;
            }
        }
        for signal in [Signal::SIGINT, Signal::SIGUSR1] {
            handle(signal, SigHandler::SigIgn)?;
        }
        handle(Signal::SIGUSR2, SigHandler::Handler(note_leaving))?;
        handle(
            Signal::SIGTERM,
            match term {
                Term::EndsWait => SigHandler::Handler(note_told),
                Term::Ignored => SigHandler::SigIgn,
                Term::EndsInput(socket) => {
                    SOCKET.store(socket.as_raw_fd(), Ordering::SeqCst);
                    SigHandler::Handler(end_input)
                }
            },
        )?;
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)
    }
}

/// Whether TERM has come to a process that heeds it by [`Term::EndsInput`] or [`Term::EndsWait`].
pub(crate) fn is_told_to_stop() -> bool {
    TOLD.load(Ordering::SeqCst)
}

/// Whether USR2 has come to a child, by which its parent says that TERM will.
pub(crate) fn is_leaving() -> bool {
    LEAVING.load(Ordering::SeqCst)
}

/// Ends the process at once: nothing that its parent has left to do at its own end is done here.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: it does not return, and touches no memory.
    unsafe { libc::_exit(code) }
}

fn handle(signal: Signal, handler: SigHandler) -> Result<SigHandler, Errno> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the only handlers that are ever given are the three below, which do nothing but what a handler may:
    // they store to atomics, make system calls and leave `errno` as it was. They are functions, so they are there
    // as long as the process.
    unsafe { sigaction(signal, &action) }.map(|before| before.handler())
}

/// The handler of USR2.
extern "C" fn note_leaving(_: libc::c_int) {
    LEAVING.store(true, Ordering::SeqCst);
}

/// The handler of TERM where an interruption is enough.
extern "C" fn note_told(_: libc::c_int) {
    TOLD.store(true, Ordering::SeqCst);
}

/// The handler of TERM. A connection that waits for input sees its end and asks [`is_told_to_stop`]. Where
/// input is unread nobody is waiting, and it will be asked before the next read; to end the input would make
/// the kernel reset the connection when more comes.
extern "C" fn end_input(_: libc::c_int) {
    TOLD.store(true, Ordering::SeqCst);
    let errno = Errno::last_raw();
    let (socket, mut unread) = (SOCKET.load(Ordering::SeqCst), 0);
    // SAFETY: two system calls on a descriptor, which need not be valid; the first writes to `unread`, which
    // is of the type that it wants. Neither takes a lock or memory of this process. The number stays the
    // socket's: a child opens nothing once that is closed.
    unsafe {
        if libc::ioctl(socket, libc::FIONREAD, &raw mut unread) == 0 && unread == 0 {
            libc::shutdown(socket, libc::SHUT_RD);
        }
    }
    Errno::set_raw(errno);
}

/// How many threads the process has, where that can be known cheaply.
fn threads() -> usize {
    // The hard links of the directory are itself, its parent and a directory per thread.
    rustix::fs::stat("/proc/self/task")
        .map_or(1, |stat| usize::try_from(stat.st_nlink).unwrap_or(0).saturating_sub(2).max(1))
}

/// Takes over a descriptor that the process was started with, and closes it in programs that it starts
/// itself. To be called before anything else could have opened one of that number.
///
/// # Errors
/// There is no such descriptor, it is one of the three that every program has, or one that the process has
/// opened itself or taken over before.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it touches no memory, and a number that is no descriptor is an error.
    let flags = Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // What a process is born with has not been closed at its birth. Nearly all that is opened by safe code would be.
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "this program has opened it itself"));
    }
    // SAFETY: as above.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, as the calls above have shown. Nobody else owns it: this is called before anything else
    // could have opened one of that number, as the flag has shown as well, and gives it away once, because the
    // flag is set from now on.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_has_opened_is_not_taken_over() {
        let own = std::fs::File::open("/dev/null").unwrap();
        let refused = adopt(own.as_raw_fd()).map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(io::ErrorKind::AlreadyExists));
        assert!(adopt(libc::STDERR_FILENO).is_err());
        assert!(adopt(RawFd::MAX).is_err());
    }

    #[test]
    fn what_it_was_born_with_is_taken_over_once() {
        let own = std::fs::File::open("/dev/null").unwrap();
        // As `exec` would leave it.
        let born = nix::unistd::dup(&own).unwrap();
        let number = std::os::fd::IntoRawFd::into_raw_fd(born);
        let taken = adopt(number).unwrap();
        assert_eq!(adopt(number).map_err(|error| error.kind()).err(), Some(io::ErrorKind::AlreadyExists));
        drop(taken);
    }
}
