//! Waiting for a descriptor, for a time, or for Ctrl-C, whichever is first.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use super::Error;

/// What a wait ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// The descriptor at this place of the list has input, or its end, or an error.
    At(usize),
    /// Ctrl-C was pressed (or the process was asked to terminate).
    Interrupted,
    /// The time is over.
    TimedOut,
}

/// Ctrl-C, as something to wait for: a client that owes a summary then ends with it.
#[derive(Debug)]
pub struct Interrupt {
    signalled: UnixStream,
}

impl Interrupt {
    /// From now on Ctrl-C no longer ends the process by itself.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn watch() -> Result<Self, Error> {
        let watch = || {
            let (signalled, writer) = UnixStream::pair()?;
            pipe::register(SIGINT, writer.try_clone()?)?;
            pipe::register(SIGTERM, writer)?;
            Ok(Self { signalled })
        };
        watch().map_err(|error| Error::File { what: "watching for Ctrl-C".to_owned(), error })
    }

    /// Waits until one of `fds` has something to read, for a signal, or until `deadline` if there is one.
    ///
    /// # Errors
    /// The descriptors are not to be waited for.
    pub fn wait(&self, fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> io::Result<Ready> {
        self.poll(&mut fds.iter().map(|fd| (*fd, PollFlags::IN)), deadline)
    }

    /// The same for any events of each descriptor.
    ///
    /// # Errors
    /// As for [`Interrupt::wait`].
    pub fn poll(
        &self,
        fds: &mut dyn Iterator<Item = (BorrowedFd<'_>, PollFlags)>,
        deadline: Option<Instant>,
    ) -> io::Result<Ready> {
        Ok(self.poll_all(fds, deadline)?.first().copied().unwrap_or(Ready::TimedOut))
    }

    /// The same, and tells everything that is ready: who serves several must not serve one only. Empty
    /// when the time is over.
    ///
    /// # Errors
    /// As for [`Interrupt::wait`].
    pub fn poll_all(
        &self,
        fds: &mut dyn Iterator<Item = (BorrowedFd<'_>, PollFlags)>,
        deadline: Option<Instant>,
    ) -> io::Result<Vec<Ready>> {
        let mut polled = vec![PollFd::new(&self.signalled, PollFlags::IN)];
        polled.extend(fds.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match poll(&mut polled, left.map(timespec).as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let ready = polled.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|(at, _)| at.checked_sub(1).map_or(Ready::Interrupted, Ready::At)).collect())
    }

    /// Waits for one descriptor.
    ///
    /// # Errors
    /// As for [`Interrupt::wait`].
    pub fn wait_for(&self, fd: &impl AsFd, deadline: Option<Instant>) -> io::Result<Ready> {
        self.wait(&[fd.as_fd()], deadline)
    }
}

/// Does something that has no deadline of its own, such as asking the resolver, in a thread that is left
/// behind when the time is over; `None` then.
pub fn in_time<T: Send + 'static>(timeout: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more once the time is over.
        let _ = sender.send(work());
    });
    receiver.recv_timeout(timeout).ok()
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
