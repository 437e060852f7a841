//! What an engine of processes needs of the system and no safe interface offers: `fork`, `_exit`, and what
//! signals do in a child. The only unsafe code of the program; `tests/tidy.rs` sees to that.
//!
//! A child is made by a process of one thread only: the copy of a lock that another thread held would
//! never be given back.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};
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
    /// It ends the process.
    Ends,
    /// It ends the input of a socket, so that a read that waits returns; see [`is_told_to_stop`].
    EndsInput(BorrowedFd<'a>),
    /// Nothing.
    Ignored,
}

/// The socket whose input TERM ends.
static SOCKET: AtomicI32 = AtomicI32::new(-1);
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
    // find taken; that was looked at above, and this one is the only one that could start another.
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
        handle(Signal::SIGINT, SigHandler::SigIgn)?;
        handle(
            Signal::SIGTERM,
            match term {
                Term::Ends => SigHandler::SigDfl,
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

/// Whether TERM has come to a process that heeds it by [`Term::EndsInput`].
pub(crate) fn is_told_to_stop() -> bool {
    TOLD.load(Ordering::SeqCst)
}

/// Ends the process at once: nothing that its parent has left to do at its own end is done here.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: it does not return, and touches no memory.
    unsafe { libc::_exit(code) }
}

fn handle(signal: Signal, handler: SigHandler) -> Result<SigHandler, Errno> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the only handler that is ever given is `end_input`, which does nothing but what a handler may.
    unsafe { sigaction(signal, &action) }.map(|before| before.handler())
}

/// The handler of TERM. A connection that waits for input sees its end and asks [`is_told_to_stop`]. Where
/// input is unread nobody is waiting, and it will be asked before the next read; to end the input would make
/// the kernel reset the connection when more comes.
extern "C" fn end_input(_: libc::c_int) {
    TOLD.store(true, Ordering::SeqCst);
    let errno = Errno::last_raw();
    let (socket, mut unread) = (SOCKET.load(Ordering::SeqCst), 0);
    // SAFETY: two system calls on a descriptor, which need not be valid; the first writes to `unread`, which
    // is of the type that it wants. Neither takes a lock or memory of this process.
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
