//! What the reactor needs from a network. `mio` and the kernel are one implementation; a simulated
//! network is another, so that lost wake-ups can be found in the very loop that ships.
//!
//! Readiness is edge-triggered, as `mio` has it: told once, remembered by the reactor.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;

use super::control::Command;
use crate::helper::Job;
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::service::{Address, Service};
use crate::time::Time;

/// The last generation that a connection may have: a network may need some numbers for other sources.
pub const LAST_GENERATION: u32 = u32::MAX - 16;

/// Who an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A connection, if it still lives.
    Conn(ConnId),
    /// The listener of this index.
    Listener(usize),
    /// The datagram socket of this index.
    Datagrams(usize),
    /// [`Net::command`] has something to say.
    Control,
    /// Something has ended that is served elsewhere: see [`Net::look_elsewhere`].
    Elsewhere,
    /// [`Net::job_done`] has something to say.
    Jobs,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Who it is for.
    pub source: Source,
    /// There is something to read, the end or an error included.
    pub readable: bool,
    /// There is room to write, or an error to be told of.
    pub writable: bool,
    /// The peer will send no more: read until 0 comes, no second event will.
    pub read_closed: bool,
}

/// A datagram that was received into the caller's buffer.
#[derive(Debug, Clone)]
pub struct Datagram<A> {
    /// Its length in bytes.
    pub len: usize,
    /// Who sent it.
    pub peer: Peer,
    /// Whether it was sent to this host alone, not to a broadcast or multicast address.
    pub unicast: bool,
    /// How to reach the sender, from the address it wrote to.
    pub way_back: A,
}

/// A connection that was served elsewhere, and has ended.
#[derive(Debug, Clone, Copy)]
pub struct Gone {
    /// The index of its service.
    pub service: usize,
    /// Where it was from.
    pub source: Option<IpAddr>,
    /// Bytes read from the peer.
    pub read: u64,
    /// Bytes written to it.
    pub written: u64,
}

/// Who serves a connection that was let in.
#[derive(Debug)]
pub enum Accepted<S> {
    /// The one who accepted it.
    Here(S, Peer),
    /// Another process.
    Elsewhere,
    /// This process, which is a new one made for it, and is to do nothing else.
    Alone,
}

/// See the module. Errors are the kernel's: `AGAIN` means "not now", and there will be an event. Two are
/// those of a network that does [wrong](crate::faults) on purpose, and no kernel's: `SHUTDOWN`, nothing more
/// is sent, and the peer has been told so; `CONNABORTED`, closing resets the connection.
pub trait Net {
    /// A connected stream; dropping it closes it.
    type Stream;
    /// A listening socket.
    type Listener;
    /// A datagram socket.
    type Socket;
    /// The way back to the sender of a datagram.
    type WayBack;
    /// The way to everybody on a network.
    type Outlet;

    /// The present moment.
    fn now(&self) -> Time;

    /// Waits for events, at most `timeout` (for ever without one), and puts them into `ready`.
    ///
    /// # Errors
    /// The poll itself failed; an interruption is no error.
    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()>;

    /// Takes a waiting connection. `PROTO` is one that was closed, since nobody can say whose it is.
    fn accept(&mut self, listener: &Self::Listener) -> Result<(Self::Stream, Peer), Errno>;

    /// Says who serves a connection of the service of this index, which was let in.
    ///
    /// # Errors
    /// There was no room for it elsewhere; it will be accepted once more.
    fn assign(
        &mut self,
        stream: Self::Stream,
        peer: Peer,
        _service: usize,
    ) -> Result<Accepted<Self::Stream>, Errno> {
        Ok(Accepted::Here(stream, peer))
    }

    /// A connection that has ended elsewhere and has not been named yet, if there is one.
    fn gone_elsewhere(&mut self) -> Option<Gone> {
        None
    }

    /// Who is served elsewhere, by index of the service and source; not those that only pass through there.
    fn inside_elsewhere(&self) -> Vec<(usize, Option<IpAddr>)> {
        Vec::new()
    }

    /// How many connections were taken of which it is not known yet whose they are.
    fn arriving(&self) -> usize {
        0
    }

    /// Closes those of which that is not known: there is no more time for them.
    fn turn_away_arriving(&mut self) {}

    /// These are the services from the next connection on.
    fn set_services(&mut self, _services: &[Service]) {}

    /// How many connections are served elsewhere, those included that only pass through there.
    fn elsewhere(&self) -> usize {
        0
    }

    /// Looks what has ended elsewhere.
    fn look_elsewhere(&mut self) {}

    /// Tells those who serve elsewhere that there will be a drain.
    fn announce_drain_elsewhere(&mut self) {}

    /// Tells those who serve elsewhere of a drain.
    fn drain_elsewhere(&mut self) {}

    /// Takes over a listening socket of the service of this index, whose events are to come from there.
    ///
    /// # Errors
    /// The system's; or this network has none but those that it began with.
    fn adopt(&mut self, _socket: OwnedFd, _service: usize, _source: Source) -> io::Result<Self::Listener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The same for a datagram socket.
    ///
    /// # Errors
    /// See [`Net::adopt`].
    fn adopt_datagrams(&mut self, _socket: OwnedFd, _source: Source) -> io::Result<Self::Socket> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where a listener is, if it may be closed.
    fn listens_at(&self, _listener: &Self::Listener) -> Option<Address> {
        None
    }

    /// Where a datagram socket is, if it may be closed.
    fn receives_at(&self, _socket: &Self::Socket) -> Option<Address> {
        None
    }

    /// A listener is the service's of this index from now on.
    fn hand_over(&mut self, _listener: &mut Self::Listener, _service: usize) {}

    /// A listener is about to be closed.
    fn leave(&mut self, _listener: &Self::Listener) {}

    /// Asks for the events of a stream, once and for all.
    fn watch(&mut self, stream: &Self::Stream, id: ConnId) -> io::Result<()>;

    /// Reads; 0 is the end.
    fn read(&mut self, stream: &Self::Stream, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes `first`, then `second`, which is often empty. `more` says that a file or the end of the stream
    /// follows at once: that can share a packet with these.
    fn write(
        &mut self,
        stream: &Self::Stream,
        first: &[u8],
        second: &[u8],
        more: bool,
    ) -> Result<usize, Errno>;

    /// Sends part of a file; 0 means that the file is shorter than that.
    fn send_file(
        &mut self,
        stream: &Self::Stream,
        file: &File,
        offset: u64,
        len: usize,
    ) -> Result<usize, Errno>;

    /// How many bytes of this stream the peer has received, if the network knows.
    fn received(&self, _stream: &Self::Stream) -> Option<u64> {
        None
    }

    /// Whether there is input that has not been read: closing then would make the kernel send a reset.
    fn has_unread(&self, stream: &Self::Stream) -> bool;

    /// Tells the peer that nothing more will come.
    fn shutdown_write(&mut self, stream: &Self::Stream) -> Result<(), Errno>;

    /// Has a stream reset when it is closed, whatever is on its way.
    fn abort(&mut self, _stream: &Self::Stream) {}

    /// Receives a datagram.
    fn receive(&mut self, socket: &Self::Socket, buffer: &mut [u8])
    -> Result<Datagram<Self::WayBack>, Errno>;

    /// Sends a datagram back.
    fn send_back(&mut self, socket: &Self::Socket, datagram: &[u8], to: &Self::WayBack) -> Result<(), Errno>;

    /// Has a job of a connection done elsewhere. When it is, there is an event.
    fn start_job(&mut self, id: ConnId, job: Job);

    /// A connection whose job is done and that has not been named yet, if there is one.
    fn job_done(&mut self) -> Option<ConnId>;

    /// Sends a datagram to everybody on a network.
    fn send_out(&mut self, outlet: &Self::Outlet, datagram: &[u8]) -> Result<(), Errno>;

    /// The port that what is sent out leaves from, and the one that everybody receives on.
    fn ports(&self, outlet: &Self::Outlet) -> (u16, u16);

    /// What the operator wants, if anything.
    fn command(&mut self) -> Option<Command>;

    /// Everything is served from now on.
    fn serves(&mut self) {}

    /// A drain begins: nobody else is taken from these, which are about to be closed. Another process may have
    /// them as well, and what comes there is to wake nobody here.
    fn stop_listening(&mut self, _listeners: &[&Self::Listener], _sockets: &[&Self::Socket]) {}
}
