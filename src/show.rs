//! Shows people on stdout what peers sent, and never waits for them.
//!
//! On a terminal every byte is escaped, so that no peer can move the cursor; elsewhere it is exact.
//! A terminal that is stopped, or a pipe nobody reads, must not stop the loop: what the descriptor does
//! not take at once is dropped, and how much was dropped is said as soon as it takes something again.

use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use crate::escape::Escaped;
use crate::mutation::{Mutant, is_planted};

/// A pipe that is ready takes this much without blocking (POSIX: `PIPE_BUF`).
const PIECE: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct Show {
    target: Target,
    dropped: Mutex<u64>,
}

#[derive(Debug)]
enum Target {
    Stdout { terminal: bool },
    Nowhere,
}

impl Show {
    /// To the process's standard output.
    pub fn stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { target: Target::Stdout { terminal }, dropped: Mutex::new(0) }
    }

    /// To nobody: for tests and benches.
    pub fn nowhere() -> Self {
        Self { target: Target::Nowhere, dropped: Mutex::new(0) }
    }

    /// Shows a heading, as a line, and bytes; either may be empty.
    pub fn show(&self, heading: &str, bytes: &[u8]) {
        let terminal = match self.target {
            Target::Stdout { terminal } => terminal,
            Target::Nowhere => return,
        };
        let mut text = Vec::with_capacity(heading.len() + bytes.len() + 2);
        if !heading.is_empty() {
            text.extend_from_slice(heading.as_bytes());
            text.push(b'\n');
        }
        if terminal && !bytes.is_empty() {
            text.extend_from_slice(Escaped::new(bytes).keeping_newlines().to_string().as_bytes());
            if !bytes.ends_with(b"\n") {
                text.push(b'\n');
            }
        } else {
            text.extend_from_slice(bytes);
        }
        self.write(&text);
    }

    fn write(&self, text: &[u8]) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let stdout = std::io::stdout().lock();
        if *dropped > 0 && takes_output(stdout.as_fd()) {
            let note = format!("[{} bytes were not shown: nobody read them]\n", *dropped);
            if write_whole(stdout.as_fd(), note.as_bytes()) {
                *dropped = 0;
            }
        }
        let mut pieces = text.chunks(PIECE);
        while let Some(piece) = pieces.next() {
            if !takes_output(stdout.as_fd()) || !write_whole(stdout.as_fd(), piece) {
                *dropped += (piece.len() + pieces.map(<[u8]>::len).sum::<usize>()) as u64;
                return;
            }
        }
    }
}

/// Opens a terminal on stdout or stderr anew, so that writing to it fails where it would block: one that
/// is ready for some bytes need not be ready for a line. To set `O_NONBLOCK` on what is open would set
/// it for the shell and everybody else on that terminal.
pub fn unblock_terminals() {
    let anew = |fd: BorrowedFd<'_>| -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open(format!("/dev/fd/{}", fd.as_raw_fd()), flags, Mode::empty())
    };
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    if is_planted(Mutant::OutputAwaited) {
        return;
    }
    // Where it cannot be opened, that of another user perhaps, the check before each line has to do.
    if let (true, Ok(own)) = (stdout.is_terminal(), anew(stdout.as_fd())) {
        let _ = rustix::stdio::dup2_stdout(own);
    }
    if let (true, Ok(own)) = (stderr.is_terminal(), anew(stderr.as_fd())) {
        let _ = rustix::stdio::dup2_stderr(own);
    }
}

/// Whether the descriptor would take a line now: a pipe whose reader is gone would not.
pub(crate) fn takes_output(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    is_planted(Mutant::OutputAwaited)
        || poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
            && fds.first().is_some_and(|fd| fd.revents() == PollFlags::OUT)
}

/// Writes past any buffer of the standard library, so that nothing is left to block on later.
fn write_whole(fd: BorrowedFd<'_>, bytes: &[u8]) -> bool {
    let mut left = bytes;
    while !left.is_empty() {
        match rustix::io::write(fd, left) {
            Ok(n) if n > 0 => left = left.get(n..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            _ => return false,
        }
    }
    let _ = std::io::stdout().flush();
    true
}
