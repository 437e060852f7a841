//! One client at a time: accept one, serve it to its end, accept the next. It is how a first server is
//! written, and the measure of all others.
//!
//! Its loop is `Server::run`. One thread has it, over all the listeners of all the services, in turn, so
//! that no service can keep the others from ever being next; whoever comes meanwhile waits in the kernel's
//! backlog. Beside it is only what answers no client that connects: the main thread, which listens to the
//! operator, and a thread for each datagram socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use mio::{Events, Poll, Token, Waker};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::pipe::PipeFlags;

use super::blocking::{Host, STACK};
use super::control::Control;
use super::datagram::Guard;
use super::reload::Reload;
use super::threads::{Client, State};
use super::vestibule;
use super::{Setup, sockets};
use crate::limits;
use crate::service::{Address, Listener};

const CONTROL: Token = Token(0);
const CONNECTION_ENDED: Token = Token(1);

/// See the module.
#[derive(Debug)]
struct Server {
    state: Arc<State>,
    listeners: Vec<Listener>,
    /// Its other end is closed when no more is to be accepted.
    stop: OwnedFd,
    /// The listener that is looked at first.
    first: usize,
    /// Number of the next connection.
    next: u32,
    /// There was no descriptor for another connection.
    full: bool,
    /// That was said, and people have been waiting ever since.
    said: bool,
}

/// Serves until the operator stops it.
pub(super) fn serve(setup: Setup) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), CONNECTION_ENDED)?;
    let udp_ports = setup.udp_ports();
    let Setup { services, listeners, shared, grace, mut control, mut reload, .. } = setup;
    control.register(poll.registry(), CONTROL)?;
    let state = State::new(services, shared, waker);
    let mut streams = Vec::new();
    for listener in listeners {
        if matches!(listener.address, Address::Udp(_)) {
            state.answer_datagrams(listener, Guard::new(udp_ports.clone()))?;
        } else {
            streams.push(listener);
        }
    }
    let (stop, accepting) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let (first, next) = (0, 0);
    let server =
        Server { state: Arc::clone(&state), listeners: streams, stop, first, next, full: false, said: false };
    thread::Builder::new().stack_size(STACK).spawn(move || server.run())?;
    control.serves();
    wait_for_operator(&state, &mut poll, &mut control, &mut reload)?;
    drop(accepting);
    control.drains();
    state.drain(&mut poll, &mut control, grace)
}

/// Waits until the operator, or a service that has done its work once, wants to stop.
fn wait_for_operator(
    state: &Arc<State>,
    poll: &mut Poll,
    control: &mut Control,
    reload: &mut Reload,
) -> io::Result<()> {
    let mut events = Events::with_capacity(8);
    loop {
        match poll.poll(&mut events, control.wait()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        if state.obey(control, reload)? || state.shared().is_stop_due() {
            return Ok(());
        }
    }
}

impl Server {
    fn run(mut self) {
        while self.wait() {
            let Some(client) = self.accept() else { continue };
            let Some(entered) = self.state.enter(self.next, &client) else { continue };
            self.state.serve(self.next, client, entered);
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Waits until somebody wants to connect; false when no more is to be accepted.
    fn wait(&self) -> bool {
        let mut fds = vec![PollFd::new(&self.stop, PollFlags::IN)];
        let pause = Timespec::try_from(limits::ACCEPT_PAUSE).ok().filter(|_| self.full);
        if !self.full {
            fds.extend(self.listeners.iter().map(|it| PollFd::new(&it.socket, PollFlags::IN)));
        }
        let _ = poll(&mut fds, pause.as_ref());
        !self.state.is_draining() && fds.first().is_none_or(|stop| stop.revents().is_empty())
    }

    /// Accepts the next, of whichever service; the one after it will be of another if one waits there.
    fn accept(&mut self) -> Option<Client> {
        self.full = false;
        for at in 0..self.listeners.len() {
            let at = (self.first + at) % self.listeners.len();
            let listener = self.listeners.get(at)?;
            match sockets::accept(listener.socket.as_fd(), SocketFlags::empty()) {
                Ok((stream, peer)) => {
                    self.first = at + 1;
                    self.said = false;
                    let service = listener.service;
                    let policy = self.state.services().get(service).map(|it| it.policy.clone());
                    let Ok(peer) = vestibule::wait_for_head(&stream, peer, &policy.unwrap_or_default())
                    else {
                        self.state.refuse_proxy(service);
                        return None;
                    };
                    return Some(Client { stream: Arc::new(stream), peer, service });
                }
                Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    self.full = true;
                    if !std::mem::replace(&mut self.said, true) {
                        log::warn!("not accepting for now: {error}");
                    }
                    return None;
                }
                // Nobody waits here, or has gone already.
                Err(_) => {}
            }
        }
        None
    }
}
