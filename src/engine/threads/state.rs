//! What the threads of one process know.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Waker};
use rustix::net::Shutdown;

use super::super::blocking::{self, Connection, Host, Moved};
use super::super::control::{Command, Control};
use super::super::datagram::Guard;
use super::super::doors::{Doors, Left};
use super::super::patience::Patience;
use super::super::reload::Reload;
use super::super::{announce_drain, announce_end, sockets, stopped_at_once};
use crate::access::Refusal;
use crate::limits;
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::service::{Listener, Service};
use crate::shared::Shared;
use crate::time::Time;

/// See the module.
#[derive(Debug)]
pub(in crate::engine) struct State {
    services: Mutex<Arc<Vec<Service>>>,
    /// Who is let in.
    doors: Mutex<Doors>,
    shared: Arc<Shared>,
    started: Instant,
    draining: AtomicBool,
    /// Held while a datagram is answered.
    answering: RwLock<()>,
    /// Another process has the sockets.
    handed_over: AtomicBool,
    /// The main thread waits for connections to end: for room, or for all of them.
    ends_awaited: AtomicBool,
    /// The sockets of open connections: to tell their threads of a drain.
    open: Mutex<HashMap<u32, Guest>>,
    /// When the main thread will look at the rooms, in milliseconds.
    rooms_due: AtomicU64,
    /// Wakes the main thread.
    waker: Waker,
}

impl Host for Arc<State> {
    fn services(&self) -> Arc<Vec<Service>> {
        Arc::clone(&self.services.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn patience(&self, service: usize) -> Patience {
        self.doors().patience(service)
    }

    fn banner(&self, service: usize) -> Option<String> {
        self.doors().banner(service).map(str::to_owned)
    }

    fn hears(&self, service: usize, source: Option<IpAddr>) -> bool {
        let now = self.now();
        self.doors().hears(service, source, now)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn now(&self) -> Time {
        Time::since_start(self.started.elapsed())
    }

    fn answers(&self) -> Option<RwLockReadGuard<'_, ()>> {
        Some(self.answering.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn tell_members(&self) {
        State::tell_members(self);
    }

    fn ask_to_stop(&self) {
        let _ = self.waker.wake();
    }
}

impl State {
    pub(in crate::engine) fn new(services: Vec<Service>, shared: Arc<Shared>, waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            doors: Mutex::new(Doors::new(&services)),
            services: Mutex::new(Arc::new(services)),
            shared,
            started: Instant::now(),
            draining: AtomicBool::new(false),
            answering: RwLock::new(()),
            handed_over: AtomicBool::new(false),
            ends_awaited: AtomicBool::new(false),
            open: Mutex::default(),
            rooms_due: AtomicU64::new(Time::NEVER.as_millis()),
            waker,
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u32, Guest>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections are open.
    pub(in crate::engine) fn connections(&self) -> usize {
        self.open().len()
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the operator wants; true if that is to stop.
    pub(in crate::engine) fn obey(
        self: &Arc<Self>,
        control: &mut Control,
        reload: &mut Reload,
    ) -> io::Result<bool> {
        while let Some(command) = control.command() {
            match command {
                Command::Drain => return Ok(true),
                Command::HandOver => {
                    self.handed_over.store(true, Ordering::SeqCst);
                    return Ok(true);
                }
                Command::Quit => return Err(stopped_at_once()),
                Command::Reload => self.read_again(reload),
                Command::Dump => {
                    log::info!("state: {} open", self.connections());
                    self.doors().lines().for_each(|line| log::info!("state: {line}"));
                }
            }
        }
        Ok(false)
    }

    /// Goes by other services, in the same places, from the next connection on.
    fn read_again(&self, reload: &mut Reload) {
        let Some(services) = reload.services() else { return };
        let inside: Vec<_> = self.open().values().map(|guest| (guest.service, guest.source)).collect();
        self.doors().set_policies(&services, inside.into_iter());
        *self.services.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(services);
    }

    /// Notes a connection that was closed before it was known whose it is.
    pub(in crate::engine) fn refuse_proxy(self: &Arc<Self>, service: usize) {
        let now = self.now();
        self.doors().refuse_proxy(service, now);
    }

    /// A connection begins, if only to be told why it is not let in: from here on its thread is told of a
    /// drain. `None` if it is just to be closed.
    pub(in crate::engine) fn enter(
        self: &Arc<Self>,
        key: u32,
        client: &Client,
    ) -> Option<Result<(), Refusal>> {
        let now = self.now();
        let mut doors = self.doors();
        let entered = doors.enter(client.service, client.peer.ip(), now);
        if entered.is_err() && !doors.may_tell() {
            return None;
        }
        drop(doors);
        let source = client.peer.ip().filter(|_| entered.is_ok());
        let guest = Guest { stream: Arc::clone(&client.stream), service: client.service, source };
        self.open().insert(key, guest);
        if entered.is_ok() {
            self.shared.observer.opened();
        }
        Some(entered)
    }

    /// Has the main thread hear of connections that end, or not; says whether it did before. Nearly always it
    /// has no use for that, and to be told costs it a switch and each connection a system call.
    pub(in crate::engine) fn await_ends(&self, yes: bool) -> bool {
        self.ends_awaited.swap(yes, Ordering::SeqCst)
    }

    /// A connection has ended, as far as who is let in next is concerned.
    pub(in crate::engine) fn forget(&self, key: u32, service: usize, left: &Left) {
        self.doors().leave(service, left);
        self.open().remove(&key);
    }

    /// The same, told to the main thread: the descriptor is free when it hears of it.
    fn leave(&self, key: u32, service: usize, left: &Left) {
        self.forget(key, service, left);
        // Whoever is about to wait says so before it counts: either it counts without this one, or it is told.
        if self.ends_awaited.load(Ordering::SeqCst) {
            let _ = self.waker.wake();
        }
    }

    /// Serves a connection that has entered, from its first to its last moment. Its descriptor is free
    /// before the main thread hears of it.
    pub(in crate::engine) fn serve(self: &Arc<Self>, key: u32, client: Client, entered: Result<(), Refusal>) {
        let Client { stream, peer, service } = client;
        let id = ConnId { key, generation: 0 };
        let (source, was_in) = (peer.ip(), entered.is_ok());
        let connection = Connection::new(Arc::clone(self), id, stream, peer, service);
        let Moved { read, written } = connection.map(|it| it.run(entered)).unwrap_or_default();
        self.leave(key, service, &Left { source, was_in, read, written });
    }

    /// Wakes the members' threads if anything was said, and the main thread if the rooms want something
    /// done earlier than it knows; writes the transcripts.
    pub(super) fn tell_members(&self) {
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
    pub(super) fn tick_rooms(self: &Arc<Self>) -> Option<Duration> {
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

    /// Starts the thread that answers on a datagram socket. It ends with the process.
    pub(in crate::engine) fn answer_datagrams(
        self: &Arc<Self>,
        listener: Listener,
        guard: Guard,
    ) -> io::Result<()> {
        let state = Arc::clone(self);
        let work = move || blocking::datagrams::answer(&state, &listener.socket, listener.service, guard);
        thread::Builder::new().stack_size(blocking::STACK).spawn(work)?;
        Ok(())
    }

    /// Whether another process has the sockets and serves whoever waits there.
    pub(in crate::engine) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::SeqCst)
    }

    /// Has every connection come to its end, when no more is accepted.
    pub(in crate::engine) fn drain(
        &self,
        poll: &mut Poll,
        control: &mut Control,
        grace: Duration,
    ) -> io::Result<()> {
        let start = Instant::now();
        announce_drain(self.connections(), grace);
        self.shared.leave();
        if self.is_handed_over() {
            // Who has connected to this process may be slow to say what it wants, and there is no hurry.
            self.wait_for_end(poll, control, start + limits::HANDOVER_WATCH.min(grace / 2))?;
        }
        self.tell();
        self.wait_for_end(poll, control, start + grace)?;
        // The threads that answer datagrams begin nothing more: here they finish what they have begun.
        drop(self.answering.write());
        announce_end(&self.shared);
        Ok(())
    }

    /// Tells every thread that its peer has nothing more to say.
    fn tell(&self) {
        self.draining.store(true, Ordering::SeqCst);
        let open: Vec<_> = self.open().values().map(|guest| Arc::clone(&guest.stream)).collect();
        for stream in open {
            // Where input is unread, its thread is not waiting for any: it will see by itself. To close
            // that direction would make the kernel reset the connection when more comes.
            // Nor where the output is ended: those have a deadline of their own.
            if !sockets::has_unread(&*stream) && !sockets::is_output_ended(stream.as_fd()) {
                let _ = rustix::net::shutdown(&*stream, Shutdown::Read);
            }
        }
    }

    /// Waits until nobody is left, or the time has come.
    fn wait_for_end(&self, poll: &mut Poll, control: &mut Control, until: Instant) -> io::Result<()> {
        let mut events = Events::with_capacity(1);
        self.await_ends(true);
        while self.connections() > 0 && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            match poll.poll(&mut events, Some(left)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            while let Some(command) = control.command() {
                if command == Command::Quit {
                    return Err(stopped_at_once());
                }
            }
        }
        Ok(())
    }
}

/// What the main thread knows of a connection.
#[derive(Debug)]
struct Guest {
    stream: Arc<OwnedFd>,
    service: usize,
    /// Where it is from, if it was let in.
    source: Option<IpAddr>,
}

/// A connection that was accepted.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Client {
    pub(in crate::engine) stream: Arc<OwnedFd>,
    pub(in crate::engine) peer: Peer,
    /// The index of its service.
    pub(in crate::engine) service: usize,
}
