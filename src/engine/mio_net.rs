//! The real network: mio's poll, and system calls on descriptors.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};

use super::control::{Command, Control};
use super::net::{Datagram, LAST_GENERATION, Net, Ready, Source};
use super::sockets::{self, WayBack};
use crate::helper::{Helper, Job};
use crate::lan::Outlet;
use crate::limits;
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::time::Time;

/// Generations of connections stay below these, which name the other sources.
const LISTENER: u32 = u32::MAX;
const DATAGRAMS: u32 = u32::MAX - 1;
const CONTROL: u32 = u32::MAX - 2;
const JOBS: u32 = u32::MAX - 3;
const ELSEWHERE: u32 = u32::MAX - 4;

/// See the module.
#[derive(Debug)]
pub struct MioNet {
    poll: Poll,
    events: Events,
    started: Instant,
    control: Control,
    helper: Helper,
}

impl MioNet {
    /// A poll that listens to the operator so far.
    pub fn new(mut control: Control) -> io::Result<Self> {
        let poll = Poll::new()?;
        control.register(poll.registry(), token(Source::Control))?;
        let events = Events::with_capacity(limits::EVENTS_PER_POLL);
        let waker = Waker::new(poll.registry(), token(Source::Jobs))?;
        // A wake-up that fails is one that is due already.
        let helper = Helper::new(move || drop(waker.wake()));
        Ok(Self { poll, events, started: Instant::now(), control, helper })
    }

    /// Has events of some other source delivered under a name of the reactor.
    pub fn watch_other(&mut self, other: &mut impl mio::event::Source, source: Source) -> io::Result<()> {
        self.poll.registry().register(other, token(source), Interest::READABLE)
    }

    /// Ends listening to the operator, in a process that is not the operator's to control.
    pub fn abandon_control(&mut self) {
        self.control.abandon();
    }

    /// Asks for the events of a listener or a datagram socket: readable only, for a datagram socket
    /// that is writable says so with every datagram.
    pub fn watch_socket(&mut self, socket: &OwnedFd, source: Source) -> io::Result<()> {
        let fd = socket.as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&fd), token(source), Interest::READABLE)
    }
}

impl Net for MioNet {
    type Stream = OwnedFd;
    type Listener = OwnedFd;
    type Socket = OwnedFd;
    type WayBack = WayBack;
    type Outlet = Outlet;

    fn now(&self) -> Time {
        Time::since_start(self.started.elapsed())
    }

    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let esc = self.control.wait();
        let timeout = timeout.into_iter().chain(esc).min();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        ready.extend(self.events.iter().map(|event| {
            // An error is found by reading or writing, whichever is tried.
            let failed = event.is_error();
            let read_closed = failed || event.is_read_closed();
            Ready {
                source: source(event.token()),
                readable: read_closed || event.is_readable(),
                writable: failed || event.is_writable(),
                read_closed,
            }
        }));
        // Asked whatever else there is: a busy poll is never empty.
        if self.control.wait().is_some_and(|wait| wait.is_zero()) {
            ready.push(Ready {
                source: Source::Control,
                readable: true,
                writable: false,
                read_closed: false,
            });
        }
        Ok(())
    }

    fn accept(&mut self, listener: &OwnedFd) -> Result<(OwnedFd, Peer), Errno> {
        let (stream, peer) = sockets::accept(listener.as_fd(), SocketFlags::NONBLOCK)?;
        Ok((stream, peer))
    }

    fn watch(&mut self, stream: &OwnedFd, id: ConnId) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), token(Source::Conn(id)), both)
    }

    fn read(&mut self, stream: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
        rustix::io::read(stream, buffer)
    }

    fn write(&mut self, stream: &OwnedFd, first: &[u8], second: &[u8], more: bool) -> Result<usize, Errno> {
        sockets::write(stream.as_fd(), first, second, more)
    }

    fn send_file(&mut self, stream: &OwnedFd, file: &File, offset: u64, len: usize) -> Result<usize, Errno> {
        sockets::send_file(stream.as_fd(), file, offset, len)
    }

    fn received(&self, stream: &OwnedFd) -> Option<u64> {
        sockets::received(stream.as_fd())
    }

    fn has_unread(&self, stream: &OwnedFd) -> bool {
        sockets::has_unread(stream)
    }

    fn shutdown_write(&mut self, stream: &OwnedFd) -> Result<(), Errno> {
        rustix::net::shutdown(stream, Shutdown::Write)
    }

    fn receive(&mut self, socket: &OwnedFd, buffer: &mut [u8]) -> Result<Datagram<WayBack>, Errno> {
        sockets::receive(socket.as_fd(), buffer)
    }

    fn send_back(&mut self, socket: &OwnedFd, datagram: &[u8], to: &WayBack) -> Result<(), Errno> {
        sockets::send_back(socket.as_fd(), datagram, to)
    }

    fn start_job(&mut self, id: ConnId, job: Job) {
        self.helper.start(id, job);
    }

    fn job_done(&mut self) -> Option<ConnId> {
        self.helper.done()
    }

    fn send_out(&mut self, outlet: &Outlet, datagram: &[u8]) -> Result<(), Errno> {
        outlet.send(datagram).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    fn ports(&self, outlet: &Outlet) -> (u16, u16) {
        (outlet.own_port(), outlet.chat_port())
    }

    fn command(&mut self) -> Option<Command> {
        self.control.command()
    }
}

/// A source as the number that travels through the kernel: generation above, key below.
fn token(source: Source) -> Token {
    let (generation, key) = match source {
        Source::Conn(id) => (id.generation, id.key as usize),
        Source::Listener(index) => (LISTENER, index),
        Source::Datagrams(index) => (DATAGRAMS, index),
        Source::Control => (CONTROL, 0),
        Source::Jobs => (JOBS, 0),
        Source::Elsewhere => (ELSEWHERE, 0),
    };
    Token((generation as usize) << 32 | key)
}

fn source(token: Token) -> Source {
    let index = token.0 & 0xffff_ffff;
    let generation = u32::try_from(token.0 >> 32).unwrap_or(CONTROL);
    match generation {
        LISTENER => Source::Listener(index),
        DATAGRAMS => Source::Datagrams(index),
        CONTROL => Source::Control,
        JOBS => Source::Jobs,
        ELSEWHERE => Source::Elsewhere,
        generation => Source::Conn(ConnId { key: u32::try_from(index).unwrap_or(u32::MAX), generation }),
    }
}

// The token holds a generation and a key side by side.
const _: () = assert!(usize::BITS >= 64);
const _: () = assert!(LAST_GENERATION < ELSEWHERE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_their_source() {
        let conn = Source::Conn(ConnId { key: u32::MAX - 1, generation: LAST_GENERATION });
        let all =
            [Source::Listener(3), Source::Datagrams(0), Source::Control, Source::Elsewhere, Source::Jobs];
        for it in all.into_iter().chain([conn]) {
            assert_eq!(source(token(it)), it);
        }
    }
}
