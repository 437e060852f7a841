//! A thread for each connection: the same sessions behind plain blocking calls.
//!
//! The main thread accepts and listens to the operator. Each connection's thread reads, lets the session
//! work, and writes; the kernel makes it wait. A member of a chat room has a second thread that writes
//! what others say, so that nobody waits for a slow reader but its own two threads.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};

use super::control::{Command, Control};
use super::datagram::{Exchange, Guard};
use super::doors::{Doors, Left};
use super::reload::Reload;
use super::{Setup, sockets};
use crate::conn::Conn;
use crate::limits;
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::service::{Address, Listener, Service};
use crate::shared::Shared;
use crate::time::Time;

mod bridge;
mod worker;
mod writer;

use worker::Worker;

/// Stack of a thread: sessions are small and nothing recurses.
const STACK: usize = 256 * 1024;
const CONTROL: Token = Token(usize::MAX);
const CONNECTION_ENDED: Token = Token(usize::MAX - 1);

/// What all threads know.
#[derive(Debug)]
struct State {
    services: Mutex<Arc<Vec<Service>>>,
    /// Who is let in.
    doors: Mutex<Doors>,
    shared: Arc<Shared>,
    started: Instant,
    draining: AtomicBool,
    /// The sockets of open connections: to tell their threads of a drain.
    open: Mutex<HashMap<u32, Guest>>,
    /// When the main thread will look at the rooms, in milliseconds.
    rooms_due: AtomicU64,
    waker: Waker,
}

impl State {
    fn now(&self) -> Time {
        Time::since_start(self.started.elapsed())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u32, Guest>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The services as they are by now.
    fn services(&self) -> Arc<Vec<Service>> {
        Arc::clone(&self.services.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes by other services, in the same places, from the next connection on.
    fn set_services(&self, services: Vec<Service>, inside: Vec<(usize, Option<IpAddr>)>) {
        self.doors().set_policies(&services, inside.into_iter());
        *self.services.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(services);
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Wakes the members' threads if anything was said, and the main thread if the rooms want something
    /// done earlier than it knows; writes the transcripts.
    fn tell_members(&self) {
        let mut rooms = self.shared.rooms();
        let (pending, due, transcripts) = (rooms.take_pending(), rooms.due(), rooms.take_unwritten());
        drop(rooms);
        if pending {
            self.shared.room_changed.notify_all();
        }
        if due.as_millis() < self.rooms_due.fetch_min(due.as_millis(), Ordering::SeqCst) {
            let _ = self.waker.wake();
        }
        transcripts.iter().for_each(|journal| journal.flush());
    }

    /// Lets the rooms do what is due; returns how long they can wait for the next.
    fn tick_rooms(&self) -> Option<Duration> {
        let now = self.now();
        let due = {
            let mut rooms = self.shared.rooms();
            rooms.tick(now);
            rooms.due()
        };
        self.rooms_due.store(due.as_millis(), Ordering::SeqCst);
        self.tell_members();
        due.since(now)
    }

    /// A connection has ended: its descriptor is free as soon as its thread lets go of it.
    fn leave(&self, key: u32) {
        self.open().remove(&key);
        let _ = self.waker.wake();
    }
}

/// What the main thread knows of a connection.
#[derive(Debug)]
struct Guest {
    stream: Arc<OwnedFd>,
    service: usize,
    source: Option<IpAddr>,
}

/// A listening socket of the main thread.
#[derive(Debug)]
struct ListenSocket {
    socket: OwnedFd,
    service: usize,
    waiting: bool,
}

/// Serves until the operator stops it.
pub(super) fn serve(setup: Setup) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), CONNECTION_ENDED)?;
    let (capacity, udp_ports, grace) = (setup.capacity(), setup.udp_ports(), setup.grace);
    let Setup { services, listeners, shared, mut control, reload, .. } = setup;
    control.register(poll.registry(), CONTROL)?;
    let state = Arc::new(State {
        doors: Mutex::new(Doors::new(&services)),
        services: Mutex::new(Arc::new(services)),
        shared,
        started: Instant::now(),
        draining: AtomicBool::new(false),
        open: Mutex::default(),
        rooms_due: AtomicU64::new(Time::NEVER.as_millis()),
        waker,
    });
    let mut sockets = Vec::new();
    for listener in listeners {
        if let Address::Udp(address) = listener.address {
            if listener.outlet.is_some() {
                bridge::start(&state, listener)?;
                continue;
            }
            sockets::want_destination(&listener.socket, address)?;
            answer_datagrams(Arc::clone(&state), listener, Guard::new(udp_ports.clone()))?;
        } else {
            let fd = listener.socket.as_raw_fd();
            poll.registry().register(&mut SourceFd(&fd), Token(sockets.len()), Interest::READABLE)?;
            sockets.push(ListenSocket { socket: listener.socket, service: listener.service, waiting: true });
        }
    }
    MainThread { state, reload, sockets, capacity, next: 0, full: false, said: false }.run(
        &mut poll,
        &mut control,
        grace,
    )
}

#[derive(Debug)]
struct MainThread {
    state: Arc<State>,
    reload: Reload,
    sockets: Vec<ListenSocket>,
    capacity: usize,
    /// Number of the next connection.
    next: u32,
    /// There was no room for another connection.
    full: bool,
    /// That was said, and people have been waiting ever since.
    said: bool,
}

impl MainThread {
    fn run(mut self, poll: &mut Poll, control: &mut Control, grace: Duration) -> io::Result<()> {
        let mut events = Events::with_capacity(limits::EVENTS_PER_POLL);
        loop {
            let pause = self.full.then_some(limits::ACCEPT_PAUSE);
            let waits = [pause, control.wait(), self.state.tick_rooms()];
            match poll.poll(&mut events, waits.into_iter().flatten().min()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            for event in &events {
                if let Some(socket) = self.sockets.get_mut(event.token().0) {
                    socket.waiting = true;
                }
            }
            if self.obey(control)? || self.state.shared.is_stop_due() {
                break;
            }
            self.accept_all();
        }
        self.drain(poll, &mut events, control, grace)
    }

    /// Does what the operator wants; true if that is to stop.
    fn obey(&mut self, control: &mut Control) -> io::Result<bool> {
        while let Some(command) = control.command() {
            match command {
                Command::Drain => return Ok(true),
                Command::Quit => return Err(super::stopped_at_once()),
                Command::Reload => self.read_again(),
                Command::Dump => {
                    log::info!("state: {} open, a thread for each", self.state.open().len());
                    self.state.doors().lines().for_each(|line| log::info!("state: {line}"));
                }
            }
        }
        Ok(false)
    }

    fn read_again(&mut self) {
        if let Some(services) = self.reload.services() {
            let inside = self.state.open().values().map(|guest| (guest.service, guest.source)).collect();
            self.state.set_services(services, inside);
        }
    }

    fn accept_all(&mut self) {
        self.full = false;
        for index in 0..self.sockets.len() {
            while !self.full && self.accept(index) {}
        }
    }

    /// Accepts one connection; false when there is none, or no room.
    fn accept(&mut self, index: usize) -> bool {
        let Some(socket) = self.sockets.get_mut(index).filter(|socket| socket.waiting) else { return false };
        if self.state.open().len() >= self.capacity {
            self.pause("as many connections as there is room for");
            return false;
        }
        match sockets::accept(socket.socket.as_fd(), SocketFlags::empty()) {
            Ok((stream, peer)) => {
                let service = socket.service;
                self.start(stream, peer, service);
                true
            }
            Err(Errno::AGAIN) => {
                socket.waiting = false;
                self.said = false;
                false
            }
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                self.pause(&error.to_string());
                false
            }
            Err(_) => true,
        }
    }

    fn pause(&mut self, reason: &str) {
        self.full = true;
        if !std::mem::replace(&mut self.said, true) {
            log::warn!("not accepting for now: {reason}");
        }
    }

    fn start(&mut self, stream: OwnedFd, peer: Peer, service: usize) {
        let Some(session) = self.state.services().get(service).map(Service::session) else { return };
        let entered = {
            let mut doors = self.state.doors();
            let entered = doors.enter(service, peer.ip(), self.state.now());
            if entered.is_err() && !doors.may_tell() {
                return;
            }
            entered
        };
        let key = self.next;
        self.next = self.next.wrapping_add(1);
        let stream = Arc::new(stream);
        let guest =
            Guest { stream: Arc::clone(&stream), service, source: peer.ip().filter(|_| entered.is_ok()) };
        self.state.open().insert(key, guest);
        let state = Arc::clone(&self.state);
        let id = ConnId { key, generation: 0 };
        let source = peer.ip();
        let work = move || Worker::new(state, id, stream, (peer, service), Conn::new(session)).run(entered);
        if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(work) {
            self.pause(&format!("no thread for another connection: {error}"));
            let left = Left { source, was_in: entered.is_ok(), read: 0, written: 0 };
            self.state.doors().leave(service, &left);
            self.state.leave(key);
        }
    }

    /// Tells every thread that its peer has nothing more to say, and waits for them.
    fn drain(
        mut self,
        poll: &mut Poll,
        events: &mut Events,
        control: &mut Control,
        grace: Duration,
    ) -> io::Result<()> {
        self.accept_all();
        self.sockets.clear();
        self.state.draining.store(true, Ordering::SeqCst);
        let until = Instant::now() + grace;
        let open: Vec<_> = self.state.open().values().map(|guest| Arc::clone(&guest.stream)).collect();
        super::announce_drain(open.len(), grace);
        for stream in open {
            // Where input is unread, its thread is not waiting for any: it will see by itself. To close
            // that direction would make the kernel reset the connection when more comes.
            if !sockets::has_unread(&*stream) {
                let _ = rustix::net::shutdown(&*stream, Shutdown::Read);
            }
        }
        while !self.state.open().is_empty() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            match poll.poll(events, Some(left)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            while let Some(command) = control.command() {
                if command == Command::Quit {
                    return Err(super::stopped_at_once());
                }
            }
        }
        super::announce_end(&self.state.shared);
        Ok(())
    }
}

/// Starts the thread that answers on a datagram socket. It ends with the process.
fn answer_datagrams(state: Arc<State>, listener: Listener, mut guard: Guard) -> io::Result<()> {
    let mut services = state.services();
    let Some(service) = services.get(listener.service) else { return Ok(()) };
    let mut exchange = Exchange::new(service.session());
    let mut buffer = vec![0; limits::READ_BUFFER];
    let socket = listener.socket;
    let work = move || {
        loop {
            let mut fds = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::IN)];
            let _ = rustix::event::poll(&mut fds, None);
            if state.is_draining() {
                return;
            }
            loop {
                let datagram = match sockets::receive(socket.as_fd(), &mut buffer) {
                    Ok(datagram) => datagram,
                    Err(Errno::AGAIN) => break,
                    Err(_) => continue,
                };
                if !Arc::ptr_eq(&services, &state.services()) {
                    services = state.services();
                    exchange =
                        services.get(listener.service).map_or(exchange, |it| Exchange::new(it.session()));
                }
                let now = state.now();
                if !state.doors().hears(listener.service, datagram.peer.ip(), now) {
                    continue;
                }
                if !guard.allows(&datagram.peer, datagram.unicast, now) {
                    continue;
                }
                let bytes = buffer.get(..datagram.len).unwrap_or_default();
                if let Some(reply) = exchange.reply(bytes, &datagram.peer, &state.shared, now) {
                    let _ = sockets::send_back(socket.as_fd(), reply, &datagram.way_back);
                }
            }
        }
    };
    thread::Builder::new().stack_size(STACK).spawn(work)?;
    Ok(())
}
