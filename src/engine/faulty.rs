//! A network that does wrong what its services want it to: see [`Faults`]. It stands
//! between the reactor and another network, and only in a daemon that has a service with faults; any other is
//! compiled without it, so that faults cost nothing where there are none.
//!
//! It keeps no bytes. What is to wait is not taken from the reactor, as if the socket were full, and an event
//! comes when it is due. So the high mark of the output bounds what waits here as well.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;

use super::control::Command;
use super::net::{Datagram, Net, Ready, Source};
use crate::faults::{Faults, Script, Step};
use crate::helper::Job;
use crate::mutation::{Mutant, is_planted};
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::service::{Address, Service};
use crate::time::Time;

/// How often it is looked whether a peer has received what it is to have before the reset.
const LOOK: Duration = Duration::from_millis(2);

/// See the module.
#[derive(Debug)]
pub struct Faulty<N> {
    inner: N,
    /// Of each service, by index, with the number of its next connection.
    faults: Vec<(Faults, u64)>,
    /// Who is to be told that there is room, and when.
    due: BinaryHeap<Reverse<(u64, u32, u32)>>,
    now: Time,
    /// How often it was polled.
    turn: u64,
}

/// A stream, and what is to go wrong with it, if anything is.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    play: Option<Box<RefCell<Play>>>,
}

/// How far a connection is in its script.
#[derive(Debug)]
struct Play {
    script: Script,
    id: Option<ConnId>,
    /// When the next write may be made; `None` before that is known.
    opens: Option<Time>,
    /// When an event is due, if one is.
    wakes: Option<Time>,
    /// The turn of the last write.
    wrote_in: u64,
}

impl<N: Net> Faulty<N> {
    /// A network for these services.
    pub fn new(inner: N, services: &[Service]) -> Self {
        let now = inner.now();
        let mut faulty = Self { inner, faults: Vec::new(), due: BinaryHeap::new(), now, turn: 0 };
        faulty.set_services(services);
        faulty
    }

    /// How many of the `wanted` bytes may be written now.
    fn allow(&mut self, wire: &N::Stream, play: &mut Play, wanted: usize) -> Result<usize, Errno> {
        if play.script.is_cut() && play.wrote_in == self.turn {
            // A piece in each turn, so that they do not leave together, and others get theirs.
            return Err(self.wake(play, self.now));
        }
        match play.script.next(wanted) {
            Step::Write(wait, most) => self.delay(play, wait).map(|()| most),
            Step::Stall => Err(Errno::AGAIN),
            Step::Truncate => {
                self.inner.shutdown_write(wire)?;
                Err(Errno::SHUTDOWN)
            }
            Step::Reset
                if !is_planted(Mutant::ResetTooEarly)
                    && self.inner.received(wire).is_some_and(|got| got < play.script.written()) =>
            {
                // To reset it now would destroy what it is to receive.
                Err(self.wake(play, self.now.after(LOOK)))
            }
            Step::Reset => {
                if !is_planted(Mutant::ResetForgotten) {
                    self.inner.abort(wire);
                }
                Err(Errno::CONNABORTED)
            }
        }
    }

    fn delay(&mut self, play: &mut Play, wait: Duration) -> Result<(), Errno> {
        let opens = *play.opens.get_or_insert(self.now.after(wait));
        if opens <= self.now || is_planted(Mutant::LatencyIgnored) {
            Ok(())
        } else {
            Err(self.wake(play, opens))
        }
    }

    /// There will be an event then; the error that says so.
    fn wake(&mut self, play: &mut Play, at: Time) -> Errno {
        let is_due = play.wakes.is_some_and(|wakes| wakes > self.now && wakes <= at);
        if !is_due {
            play.wakes = Some(at);
            self.due.extend(play.id.map(|id| Reverse((at.as_millis(), id.key, id.generation))));
        }
        Errno::AGAIN
    }

    /// Of `wanted` bytes, `most` were offered to the socket.
    fn note(&mut self, play: &mut Play, sent: Result<usize, Errno>, most: usize, wanted: usize) {
        let Ok(n) = sent else { return };
        play.script.wrote(n);
        (play.opens, play.wrote_in) = (None, self.turn);
        if n == most && most < wanted {
            // The socket is not full, so it will not say that it has room.
            let _ = self.wake(play, self.now);
        }
    }

    /// Makes a write of so many bytes, or whatever is to happen instead.
    fn act(
        &mut self,
        wire: &Wire<N::Stream>,
        wanted: usize,
        write: impl FnOnce(&mut N, usize) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let Some(play) = &wire.play else { return write(&mut self.inner, wanted) };
        let mut play = play.borrow_mut();
        let most = self.allow(&wire.stream, &mut play, wanted)?;
        let sent = write(&mut self.inner, most);
        self.note(&mut play, sent, most, wanted);
        sent
    }
}

impl<N: Net> Net for Faulty<N> {
    type Stream = Wire<N::Stream>;
    /// With the index of its service.
    type Listener = (N::Listener, usize);
    type Socket = N::Socket;
    type WayBack = N::WayBack;
    type Outlet = N::Outlet;

    fn now(&self) -> Time {
        self.inner.now()
    }

    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let due = |Reverse((at, ..)): &Reverse<(u64, u32, u32)>| Time::from_millis(*at);
        let wait = self.due.peek().and_then(|first| due(first).since(self.inner.now()));
        self.inner.poll(ready, timeout.into_iter().chain(wait).min())?;
        (self.now, self.turn) = (self.inner.now(), self.turn + 1);
        while let Some(&Reverse((_, key, generation))) = self.due.peek().filter(|it| due(it) <= self.now) {
            self.due.pop();
            let source = Source::Conn(ConnId { key, generation });
            ready.push(Ready { source, readable: false, writable: true, read_closed: false });
        }
        Ok(())
    }

    fn accept(&mut self, (listener, service): &Self::Listener) -> Result<(Self::Stream, Peer), Errno> {
        let (stream, peer) = self.inner.accept(listener)?;
        let Some((faults, count)) = self.faults.get_mut(*service).filter(|(faults, _)| faults.are_any())
        else {
            return Ok((Wire { stream, play: None }, peer));
        };
        let number = *count;
        *count += 1;
        let Some(script) = Script::new(faults, number) else {
            log::debug!("connection {number} of {peer} is refused, as its service wants it");
            self.inner.abort(&stream);
            return Err(Errno::CONNABORTED);
        };
        let play = Play { script, id: None, opens: None, wakes: None, wrote_in: u64::MAX };
        Ok((Wire { stream, play: Some(Box::new(play.into())) }, peer))
    }

    fn set_services(&mut self, services: &[Service]) {
        if !self.faults.is_empty() && is_planted(Mutant::FaultsKept) {
            return;
        }
        self.faults.resize_with(services.len(), Default::default);
        for (service, (faults, _)) in services.iter().zip(&mut self.faults) {
            faults.clone_from(&service.policy.faults);
        }
        self.inner.set_services(services);
    }

    fn adopt(&mut self, socket: OwnedFd, service: usize, source: Source) -> io::Result<Self::Listener> {
        Ok((self.inner.adopt(socket, service, source)?, service))
    }

    fn adopt_datagrams(&mut self, socket: OwnedFd, source: Source) -> io::Result<N::Socket> {
        self.inner.adopt_datagrams(socket, source)
    }

    fn listens_at(&self, (listener, _): &Self::Listener) -> Option<Address> {
        self.inner.listens_at(listener)
    }

    fn receives_at(&self, socket: &N::Socket) -> Option<Address> {
        self.inner.receives_at(socket)
    }

    fn hand_over(&mut self, listener: &mut Self::Listener, service: usize) {
        self.inner.hand_over(&mut listener.0, service);
        listener.1 = service;
    }

    fn leave(&mut self, (listener, _): &Self::Listener) {
        self.inner.leave(listener);
    }

    fn arriving(&self) -> usize {
        self.inner.arriving()
    }

    fn turn_away_arriving(&mut self) {
        self.inner.turn_away_arriving();
    }

    fn serves(&mut self) {
        self.inner.serves();
    }

    fn stop_listening(&mut self, listeners: &[&Self::Listener], sockets: &[&Self::Socket]) {
        let listeners: Vec<_> = listeners.iter().map(|(listener, _)| listener).collect();
        self.inner.stop_listening(&listeners, sockets);
    }

    fn watch(&mut self, wire: &Self::Stream, id: ConnId) -> io::Result<()> {
        if let Some(play) = &wire.play {
            let mut play = play.borrow_mut();
            play.id = Some(id);
            // What was to wait had no name yet.
            self.due.extend(play.wakes.map(|at| Reverse((at.as_millis(), id.key, id.generation))));
        }
        self.inner.watch(&wire.stream, id)
    }

    fn read(&mut self, wire: &Self::Stream, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.inner.read(&wire.stream, buffer)
    }

    fn write(
        &mut self,
        wire: &Self::Stream,
        first: &[u8],
        second: &[u8],
        more: bool,
    ) -> Result<usize, Errno> {
        let wanted = first.len() + second.len();
        self.act(wire, wanted, |net, most| {
            let second = second.get(..most.saturating_sub(first.len())).unwrap_or(second);
            let first = first.get(..most).unwrap_or(first);
            net.write(&wire.stream, first, second, more && most == wanted)
        })
    }

    fn send_file(
        &mut self,
        wire: &Self::Stream,
        file: &File,
        offset: u64,
        len: usize,
    ) -> Result<usize, Errno> {
        self.act(wire, len, |net, most| net.send_file(&wire.stream, file, offset, most))
    }

    fn received(&self, wire: &Self::Stream) -> Option<u64> {
        self.inner.received(&wire.stream)
    }

    fn has_unread(&self, wire: &Self::Stream) -> bool {
        self.inner.has_unread(&wire.stream)
    }

    fn shutdown_write(&mut self, wire: &Self::Stream) -> Result<(), Errno> {
        self.inner.shutdown_write(&wire.stream)
    }

    fn abort(&mut self, wire: &Self::Stream) {
        self.inner.abort(&wire.stream);
    }

    fn receive(&mut self, socket: &N::Socket, buffer: &mut [u8]) -> Result<Datagram<N::WayBack>, Errno> {
        self.inner.receive(socket, buffer)
    }

    fn send_back(&mut self, socket: &N::Socket, datagram: &[u8], to: &N::WayBack) -> Result<(), Errno> {
        self.inner.send_back(socket, datagram, to)
    }

    fn start_job(&mut self, id: ConnId, job: Job) {
        self.inner.start_job(id, job);
    }

    fn job_done(&mut self) -> Option<ConnId> {
        self.inner.job_done()
    }

    fn send_out(&mut self, outlet: &N::Outlet, datagram: &[u8]) -> Result<(), Errno> {
        self.inner.send_out(outlet, datagram)
    }

    fn ports(&self, outlet: &N::Outlet) -> (u16, u16) {
        self.inner.ports(outlet)
    }

    fn command(&mut self) -> Option<Command> {
        self.inner.command()
    }
}
