//! The real network: mio's poll, and system calls on descriptors.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};
use socket2::SockRef;

use super::control::{Command, Control, lesser};
use super::net::{Datagram, LAST_GENERATION, Net, Ready, Source};
use super::sockets::{self, WayBack};
use super::vestibule::Vestibules;
use crate::helper::{Helper, Job};
use crate::lan::Outlet;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::service::{Address, Service};
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
    vestibules: Vestibules,
    /// Nothing more is taken from a listener.
    is_closed: bool,
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
        let vestibules = Vestibules::default();
        Ok(Self { poll, events, started: Instant::now(), control, helper, vestibules, is_closed: false })
    }

    /// Has events of some other source delivered under a name of the reactor.
    pub fn watch_other(&mut self, other: &mut impl mio::event::Source, source: Source) -> io::Result<()> {
        self.poll.registry().register(other, token(source), Interest::READABLE)
    }

    /// Ends listening to the operator, in a process that is not the operator's to control.
    pub fn abandon_control(&mut self) {
        self.control.abandon();
    }

    /// Asks for the events of the listener of this index, which is a service's.
    pub fn watch_listener(&mut self, socket: &OwnedFd, index: usize, service: usize) -> io::Result<()> {
        let source = Source::Listener(index);
        self.vestibules.add(socket.as_fd(), service, token(source));
        self.watch_socket(socket, source)
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
        if is_planted(Mutant::WallClockTrusted) {
            let wall = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            // Since 2023, so that it has room in a deadline.
            return Time::since_start(wall.saturating_sub(Duration::from_secs(1_672_531_200)));
        }
        Time::since_start(self.started.elapsed())
    }

    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = lesser(lesser(timeout, self.control.wait()), self.vestibules.wait());
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
        let is_due = self.control.wait().is_some_and(|wait| wait.is_zero());
        let due = is_due.then_some(Source::Control).into_iter().chain(self.vestibules.late().map(source));
        ready.extend(due.map(|source| Ready { source, readable: true, writable: false, read_closed: false }));
        Ok(())
    }

    fn adopt(&mut self, socket: OwnedFd, service: usize, source: Source) -> io::Result<OwnedFd> {
        self.vestibules.add(socket.as_fd(), service, token(source));
        self.watch_socket(&socket, source).map(|()| socket)
    }

    fn hand_over(&mut self, listener: &mut OwnedFd, service: usize) {
        self.vestibules.hand_over(listener.as_fd(), service);
    }

    fn leave(&mut self, listener: &OwnedFd) {
        self.vestibules.remove(listener.as_fd());
    }

    fn adopt_datagrams(&mut self, socket: OwnedFd, source: Source) -> io::Result<OwnedFd> {
        self.watch_socket(&socket, source).map(|()| socket)
    }

    fn listens_at(&self, listener: &OwnedFd) -> Option<Address> {
        let address = SockRef::from(listener).local_addr().ok()?;
        let path = || address.as_pathname().map(|path| Address::Unix(path.to_owned()));
        address.as_socket().map(Address::Tcp).or_else(path)
    }

    fn receives_at(&self, socket: &OwnedFd) -> Option<Address> {
        SockRef::from(socket).local_addr().ok()?.as_socket().map(Address::Udp)
    }

    fn accept(&mut self, listener: &OwnedFd) -> Result<(OwnedFd, Peer), Errno> {
        let (registry, flags) = (self.poll.registry(), SocketFlags::NONBLOCK);
        self.vestibules.accept(listener.as_fd(), flags, registry, self.is_closed)
    }

    fn watch(&mut self, stream: &OwnedFd, id: ConnId) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), token(Source::Conn(id)), both)
    }

    #[inline]
    fn read(&mut self, stream: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
        rustix::io::read(stream, buffer)
    }

    #[inline]
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

    fn abort(&mut self, stream: &OwnedFd) {
        // A Unix socket has no reset: its peer sees an end.
        let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
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

    fn arriving(&self) -> usize {
        self.vestibules.waiting()
    }

    fn turn_away_arriving(&mut self) {
        self.vestibules.clear();
    }

    fn set_services(&mut self, services: &[Service]) {
        self.vestibules.set_services(services);
    }

    fn serves(&mut self) {
        self.control.serves();
    }

    fn stop_listening(&mut self, listeners: &[&OwnedFd], sockets: &[&OwnedFd]) {
        for socket in listeners.iter().chain(sockets) {
            let _ = self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd()));
        }
        self.is_closed = true;
        self.control.drains();
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
