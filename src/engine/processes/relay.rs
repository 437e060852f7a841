//! Passing the bytes of a client to the parent and back: nothing of the protocol is here. Each way has one
//! buffer and is read only when that is empty, so whoever does not read is passed on to whoever writes.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::super::sockets;
use crate::limits;

/// One way.
#[derive(Debug)]
struct Way<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    buffer: Vec<u8>,
    /// What of the buffer has been passed.
    passed: usize,
    /// Nothing more will come.
    ended: bool,
}

/// Why nothing can be passed any more.
#[derive(Debug, PartialEq, Eq)]
enum Broken {
    /// The one who sends has reset the connection.
    Sender,
    /// The one who receives has closed it.
    Receiver,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides were done.
    Done,
    /// The client has reset its connection.
    Reset,
}

/// Passes bytes until both are done. The end of one way is passed on as such: the other goes on.
pub(super) fn run(client: BorrowedFd<'_>, parent: BorrowedFd<'_>) -> End {
    let (mut up, mut down) = (Way::new(client, parent), Way::new(parent, client));
    loop {
        match (up.pass(), down.pass()) {
            (Ok(()), Ok(())) => {}
            (Err(Broken::Sender), _) | (_, Err(Broken::Receiver)) => return End::Reset,
            // The parent has closed, and all that it had to say is on its way or will be now.
            (Err(Broken::Receiver), _) | (_, Err(Broken::Sender)) => return finish(&mut down, client),
        }
        if up.ended && down.ended {
            return End::Done;
        }
        let mut fds =
            [up.waits_for(), down.waits_for(), PollFd::from_borrowed_fd(parent, PollFlags::empty())];
        if !matches!(poll(&mut fds, None), Ok(1..)) {
            continue;
        }
        let [client_is, _, parent_is] = &fds;
        // Told of whether it was asked for or not, so never waited for again.
        if parent_is.revents().contains(PollFlags::HUP) {
            return finish(&mut down, client);
        }
        if up.ended && client_is.revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return End::Reset;
        }
    }
}

/// What the parent said last goes to the client, as long as it takes anything.
fn finish(down: &mut Way<'_>, client: BorrowedFd<'_>) -> End {
    while !down.ended {
        let mut fds = [down.waits_for()];
        if poll(&mut fds, timeout(limits::FINISH_PROGRESS).as_ref()) != Ok(1) || down.pass().is_err() {
            return End::Done;
        }
    }
    linger(client);
    End::Done
}

/// Closing while input is unread would make the kernel reset the connection, and what was sent last would
/// be lost.
fn linger(client: BorrowedFd<'_>) {
    let until = Instant::now() + limits::LINGER;
    let mut buffer = vec![0; limits::READ_BUFFER];
    while sockets::has_unread(client) {
        if !matches!(recv(client, &mut *buffer, RecvFlags::DONTWAIT), Ok((1.., _))) {
            return;
        }
        let mut fds = [PollFd::from_borrowed_fd(client, PollFlags::IN)];
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || poll(&mut fds, timeout(left).as_ref()) != Ok(1) {
            return;
        }
    }
}

fn timeout(duration: std::time::Duration) -> Option<Timespec> {
    duration.try_into().ok()
}

impl<'a> Way<'a> {
    fn new(from: BorrowedFd<'a>, to: BorrowedFd<'a>) -> Self {
        Self { from, to, buffer: Vec::with_capacity(limits::READ_BUFFER), passed: 0, ended: false }
    }

    /// Passes what can be passed without waiting, once.
    fn pass(&mut self) -> Result<(), Broken> {
        if !self.has_more() && !self.ended {
            self.buffer.clear();
            self.passed = 0;
            match recv(self.from, spare_capacity(&mut self.buffer), RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    self.ended = true;
                    let _ = shutdown(self.to, Shutdown::Write);
                }
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return Err(Broken::Sender),
            }
        }
        if self.has_more() {
            let waiting = self.buffer.get(self.passed..).unwrap_or_default();
            match send(self.to, waiting, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => self.passed += n,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return Err(Broken::Receiver),
            }
        }
        Ok(())
    }

    /// Whether something that was received is still to be sent.
    fn has_more(&self) -> bool {
        self.passed < self.buffer.len()
    }

    /// What must happen before there is more to pass.
    fn waits_for(&self) -> PollFd<'a> {
        if self.has_more() {
            PollFd::from_borrowed_fd(self.to, PollFlags::OUT)
        } else if self.ended {
            // An error only.
            PollFd::from_borrowed_fd(self.from, PollFlags::empty())
        } else {
            PollFd::from_borrowed_fd(self.from, PollFlags::IN)
        }
    }
}
