//! A network in memory: edges are told once, sockets have windows, time passes when a test says so.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use super::super::super::control::Command;
use super::super::super::net::{Datagram, Net, Ready, Source};
use crate::helper::Job;
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::time::Time;

/// One connection, seen from between its ends.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) peer: Peer,
    inbox: VecDeque<u8>,
    ended: bool,
    reset: bool,
    window: usize,
    /// A write found the window too small: there will be an edge when it opens.
    blocked: bool,
    pub(super) id: Option<ConnId>,
    /// What the server has sent.
    pub(super) outbox: Vec<u8>,
    pub(super) reads: usize,
    pub(super) writes: usize,
    /// The server has said that it will send no more, or has closed.
    pub(super) shut: bool,
    pub(super) closed: bool,
    /// It was closed on unread input: a kernel would have sent a reset, and the peer lost what it had
    /// not read yet.
    pub(super) destroyed: bool,
    /// Closing it resets it.
    pub(super) aborted: bool,
    /// So many writes are interrupted.
    pub(super) interrupted: usize,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) wires: Vec<Wire>,
    pub(super) backlog: VecDeque<usize>,
    pub(super) accept_error: Option<Errno>,
    pub(super) accepts: usize,
    pub(super) commands: VecDeque<Command>,
    pub(super) events: Vec<Ready>,
    /// Jobs that nobody has done yet.
    pub(super) jobs: VecDeque<(ConnId, Job)>,
    done: VecDeque<ConnId>,
    /// What others on the network send.
    pub(super) datagrams: VecDeque<(Vec<u8>, SocketAddr)>,
    /// What was answered to one of them.
    pub(super) sent_back: Vec<Vec<u8>>,
    /// What was sent to all of them.
    pub(super) sent_out: Vec<String>,
}

/// The network and the test's hand on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sim(Rc<RefCell<World>>);

impl Sim {
    pub(super) fn world(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }

    /// The operator asks for an end.
    pub(super) fn drain(&self) {
        let mut world = self.world();
        world.commands.push_back(Command::Drain);
        let source = Source::Control;
        world.events.push(Ready { source, readable: true, writable: false, read_closed: false });
    }

    /// A peer connects; its socket takes `window` bytes before it blocks.
    pub(super) fn connect(&self, window: usize) -> usize {
        let mut world = self.world();
        let wire = world.wires.len();
        world.wires.push(Wire {
            inbox: VecDeque::new(),
            ended: false,
            reset: false,
            window,
            blocked: false,
            id: None,
            peer: Peer::V4([127, 0, 0, 1].into(), 40_000),
            outbox: Vec::new(),
            reads: 0,
            writes: 0,
            shut: false,
            closed: false,
            destroyed: false,
            aborted: false,
            interrupted: 0,
        });
        world.backlog.push_back(wire);
        world.events.push(event(Source::Listener(0), true, false, false));
        wire
    }

    /// The same from another address.
    pub(super) fn connect_from(&self, peer: Peer, window: usize) -> usize {
        let wire = self.connect(window);
        self.world().wires[wire].peer = peer;
        wire
    }

    pub(super) fn send(&self, wire: usize, bytes: &[u8]) {
        self.world().wires[wire].inbox.extend(bytes);
        self.edge(wire, true, false, false);
    }

    pub(super) fn finish(&self, wire: usize) {
        self.world().wires[wire].ended = true;
        self.edge(wire, true, false, true);
    }

    pub(super) fn reset(&self, wire: usize) {
        self.world().wires[wire].reset = true;
        self.edge(wire, true, true, true);
    }

    /// The peer reads: its window opens by `n` bytes.
    pub(super) fn make_room(&self, wire: usize, n: usize) {
        let mut world = self.world();
        let it = &mut world.wires[wire];
        it.window += n;
        let blocked = std::mem::take(&mut it.blocked);
        drop(world);
        if blocked {
            self.edge(wire, false, true, false);
        }
    }

    /// Does the job that has waited longest; false if there is none.
    pub(super) fn work(&self) -> bool {
        let Some((id, job)) = self.world().jobs.pop_front() else { return false };
        job.run();
        let mut world = self.world();
        world.done.push_back(id);
        world.events.push(event(Source::Jobs, true, false, false));
        true
    }

    pub(super) fn text(&self, wire: usize) -> String {
        String::from_utf8_lossy(&self.world().wires[wire].outbox).into_owned()
    }

    fn edge(&self, wire: usize, readable: bool, writable: bool, read_closed: bool) {
        let mut world = self.world();
        if let (Some(id), false) = (world.wires[wire].id, world.wires[wire].closed) {
            world.events.push(event(Source::Conn(id), readable, writable, read_closed));
        }
    }
}

fn event(source: Source, readable: bool, writable: bool, read_closed: bool) -> Ready {
    Ready { source, readable, writable, read_closed }
}

/// The server's end of a wire.
#[derive(Debug)]
pub(super) struct Stream {
    sim: Sim,
    wire: usize,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut world = self.sim.world();
        let it = &mut world.wires[self.wire];
        it.closed = true;
        it.shut = true;
        it.destroyed = !it.inbox.is_empty() && !it.reset;
    }
}

impl Net for Sim {
    type Stream = Stream;
    type Listener = ();
    type Socket = ();
    type WayBack = ();
    type Outlet = u16;

    fn now(&self) -> Time {
        Time::from_millis(self.world().now)
    }

    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let mut world = self.world();
        ready.append(&mut world.events);
        if ready.is_empty() {
            let timeout = timeout.ok_or_else(|| io::Error::other("asleep for ever"))?;
            world.now += u64::try_from(timeout.as_millis()).unwrap();
        }
        Ok(())
    }

    fn accept(&mut self, (): &()) -> Result<(Stream, Peer), Errno> {
        let mut world = self.world();
        world.accepts += 1;
        if let Some(error) = world.accept_error {
            return Err(error);
        }
        let wire = world.backlog.pop_front().ok_or(Errno::AGAIN)?;
        let peer = world.wires[wire].peer.clone();
        drop(world);
        Ok((Stream { sim: self.clone(), wire }, peer))
    }

    fn watch(&mut self, stream: &Stream, id: ConnId) -> io::Result<()> {
        let mut world = self.world();
        let it = &mut world.wires[stream.wire];
        it.id = Some(id);
        let (readable, closed) = (!it.inbox.is_empty() || it.ended || it.reset, it.ended || it.reset);
        world.events.push(event(Source::Conn(id), readable, true, closed));
        Ok(())
    }

    fn read(&mut self, stream: &Stream, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut world = self.world();
        let it = &mut world.wires[stream.wire];
        it.reads += 1;
        if it.reset {
            return Err(Errno::CONNRESET);
        }
        if it.inbox.is_empty() {
            return if it.ended { Ok(0) } else { Err(Errno::AGAIN) };
        }
        let n = buffer.len().min(it.inbox.len());
        for (to, from) in buffer.iter_mut().zip(it.inbox.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }

    fn write(&mut self, stream: &Stream, first: &[u8], second: &[u8], _: bool) -> Result<usize, Errno> {
        let bytes = [first, second].concat();
        let mut world = self.world();
        let it = &mut world.wires[stream.wire];
        it.writes += 1;
        if it.interrupted > 0 {
            it.interrupted -= 1;
            return Err(Errno::INTR);
        }
        if it.reset || it.shut {
            return Err(Errno::PIPE);
        }
        let n = bytes.len().min(it.window);
        it.blocked |= n < bytes.len();
        it.window -= n;
        it.outbox.extend(&bytes[..n]);
        if n == 0 { Err(Errno::AGAIN) } else { Ok(n) }
    }

    fn send_file(&mut self, stream: &Stream, file: &File, offset: u64, len: usize) -> Result<usize, Errno> {
        let mut bytes = vec![0; len];
        let n = file.read_at(&mut bytes, offset).unwrap();
        if n == 0 { Ok(0) } else { self.write(stream, &bytes[..n], &[], false) }
    }

    fn has_unread(&self, stream: &Stream) -> bool {
        !self.world().wires[stream.wire].inbox.is_empty()
    }

    fn shutdown_write(&mut self, stream: &Stream) -> Result<(), Errno> {
        self.world().wires[stream.wire].shut = true;
        Ok(())
    }

    fn abort(&mut self, stream: &Stream) {
        self.world().wires[stream.wire].aborted = true;
    }

    fn receive(&mut self, (): &(), buffer: &mut [u8]) -> Result<Datagram<()>, Errno> {
        let (bytes, from) = self.world().datagrams.pop_front().ok_or(Errno::AGAIN)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(Datagram { len: bytes.len(), peer: from.into(), unicast: true, way_back: () })
    }

    fn send_back(&mut self, (): &(), datagram: &[u8], (): &()) -> Result<(), Errno> {
        self.world().sent_back.push(datagram.to_vec());
        Ok(())
    }

    fn start_job(&mut self, id: ConnId, job: Job) {
        self.world().jobs.push_back((id, job));
    }

    fn job_done(&mut self) -> Option<ConnId> {
        self.world().done.pop_front()
    }

    /// What is sent out comes back, as broadcasts do.
    fn send_out(&mut self, own_port: &u16, datagram: &[u8]) -> Result<(), Errno> {
        let mut world = self.world();
        world.sent_out.push(String::from_utf8(datagram.to_vec()).unwrap());
        let own = SocketAddr::from(([192, 0, 2, 1], *own_port));
        world.datagrams.push_back((datagram.to_vec(), own));
        world.events.push(Ready {
            source: Source::Datagrams(0),
            readable: true,
            writable: false,
            read_closed: false,
        });
        Ok(())
    }

    fn ports(&self, own_port: &u16) -> (u16, u16) {
        (*own_port, 40_000)
    }

    fn command(&mut self) -> Option<Command> {
        self.world().commands.pop_front()
    }
}
