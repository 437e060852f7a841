//! A thread for each connection: the same sessions behind plain blocking calls.
//!
//! The main thread accepts and listens to the operator. Each connection's thread reads, lets the session
//! work, and writes; the kernel makes it wait. A member of a chat room has a second thread that writes
//! what others say, so that nobody waits for a slow reader but its own two threads.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::Setup;
use super::blocking::{Host, STACK};
use super::control::Control;
use super::datagram::Guard;
use super::doors::Left;
use super::reload::Reload;
use super::vestibule::{self, Vestibules};
use crate::limits;
use crate::service::{Address, Service};

mod bridge;
mod state;

pub(super) use state::{Client, State};

const CONTROL: Token = Token(usize::MAX);
const CONNECTION_ENDED: Token = Token(usize::MAX - 1);

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
    let state = State::new(services, shared, waker);
    let (mut sockets, mut vestibules) = (Vec::new(), Vestibules::default());
    for listener in listeners {
        if matches!(listener.address, Address::Udp(_)) {
            if listener.outlet.is_some() {
                bridge::start(&state, listener)?;
                continue;
            }
            state.answer_datagrams(listener, Guard::new(udp_ports.clone()))?;
        } else {
            let fd = listener.socket.as_raw_fd();
            vestibules.add(listener.socket.as_fd(), listener.service, Token(sockets.len()));
            poll.registry().register(&mut SourceFd(&fd), Token(sockets.len()), Interest::READABLE)?;
            sockets.push(ListenSocket { socket: listener.socket, service: listener.service, waiting: true });
        }
    }
    control.serves();
    let services = state.services();
    vestibules.set_services(&services);
    let (next, full, said) = (0, false, false);
    let main = MainThread { state, reload, services, sockets, vestibules, capacity, next, full, said };
    main.run(&mut poll, &mut control, grace)
}

#[derive(Debug)]
struct MainThread {
    state: Arc<State>,
    reload: Reload,
    /// Those that the vestibules know of.
    services: Arc<Vec<Service>>,
    sockets: Vec<ListenSocket>,
    vestibules: Vestibules,
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
            let waits = [pause, control.wait(), self.state.tick_rooms(), self.vestibules.wait()];
            match poll.poll(&mut events, waits.into_iter().flatten().min()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            for token in events.iter().map(Event::token).chain(self.vestibules.late()) {
                if let Some(socket) = self.sockets.get_mut(token.0) {
                    socket.waiting = true;
                }
            }
            let stops = self.state.obey(control, &mut self.reload)? || self.state.shared().is_stop_due();
            if stops {
                break;
            }
            let services = self.state.services();
            if !Arc::ptr_eq(&services, &self.services) {
                self.vestibules.set_services(&services);
                self.services = services;
            }
            self.accept_all(poll, false);
        }
        self.stop_listening(poll, control)?;
        self.state.drain(poll, control, grace)
    }

    /// Lets in who waits, unless another process will, and listens no more.
    fn stop_listening(&mut self, poll: &mut Poll, control: &mut Control) -> io::Result<()> {
        let (is_handed_over, until) = (self.state.is_handed_over(), Instant::now() + limits::DRAIN_WATCH);
        for socket in &self.sockets {
            // Another process may have them as well: what comes there is to wake nobody here.
            let _ = poll.registry().deregister(&mut SourceFd(&socket.socket.as_raw_fd()));
        }
        self.accept_all(poll, is_handed_over);
        // The other process cannot serve those that have come as far as a vestibule.
        let mut events = Events::with_capacity(limits::EVENTS_PER_POLL);
        while is_handed_over && self.vestibules.waiting() > 0 && Instant::now() < until {
            match poll.poll(&mut events, Some(limits::DRAIN_WATCH / 10)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            self.sockets.iter_mut().for_each(|socket| socket.waiting = true);
            self.accept_all(poll, true);
        }
        control.drains();
        self.sockets.clear();
        self.vestibules.clear();
        Ok(())
    }

    /// Lets in who waits; nobody who is still in a listener's queue if that `is_closed`.
    fn accept_all(&mut self, poll: &Poll, is_closed: bool) {
        loop {
            self.full = false;
            for index in 0..self.sockets.len() {
                while !self.full && self.accept(index, poll, is_closed) {}
            }
            // Room that was made before anybody was to tell of it is found by looking once more.
            if self.state.await_ends(self.full) || !self.full {
                return;
            }
        }
    }

    /// Accepts one connection; false when there is none, or no room.
    fn accept(&mut self, index: usize, poll: &Poll, is_closed: bool) -> bool {
        let Some(socket) = self.sockets.get_mut(index).filter(|socket| socket.waiting) else { return false };
        if self.state.connections() + self.vestibules.waiting() >= self.capacity {
            self.pause("as many connections as there is room for");
            return false;
        }
        let (listener, flags) = (socket.socket.as_fd(), SocketFlags::empty());
        match self.vestibules.accept(listener, flags, poll.registry(), is_closed) {
            Ok((stream, peer)) => {
                let service = socket.service;
                self.start(Client { stream: Arc::new(stream), peer, service });
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
            Err(vestibule::REFUSED) => {
                self.state.refuse_proxy(socket.service);
                true
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

    fn start(&mut self, client: Client) {
        let key = self.next;
        self.next = self.next.wrapping_add(1);
        let Some(entered) = self.state.enter(key, &client) else { return };
        let state = Arc::clone(&self.state);
        let (source, service) = (client.peer.ip(), client.service);
        let work = move || state.serve(key, client, entered);
        if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(work) {
            self.pause(&format!("no thread for another connection: {error}"));
            let left = Left { source, was_in: entered.is_ok(), read: 0, written: 0 };
            self.state.forget(key, service, &left);
        }
    }
}
