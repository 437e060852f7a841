//! Where connections wait that a proxy passes on, until the [head](crate::proxy) has come that says whose they
//! are. Only then are they accepted, as far as the rest of an engine can tell: gates, limits and logs see who
//! is behind the proxy.
//!
//! The head is looked at without being read, and then read to its last byte and no further: what follows it is
//! the session's, and stays in the kernel until that reads it.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, recv};

use super::sockets;
use crate::access::{Networks, Policy};
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::peer::Peer;
use crate::proxy::{self, Head};
use crate::service::Service;

/// What says of a connection that it is refused here: never of one that was accepted.
pub(super) const REFUSED: Errno = Errno::PROTO;

/// The vestibules of all listeners whose clients come by a proxy.
#[derive(Debug, Default)]
pub(super) struct Vestibules {
    /// By the descriptors of the listeners.
    halls: HashMap<RawFd, Hall>,
    /// Who waits, and at which listener; who came first is before the others.
    waiting: VecDeque<(RawFd, Waiting)>,
}

/// A listener's.
#[derive(Debug)]
struct Hall {
    service: usize,
    /// Under which events are delivered.
    token: Token,
    /// What is asked of whoever connects; `None` if it comes by itself.
    trusted: Option<Networks>,
}

/// A connection whose head has not come yet.
#[derive(Debug)]
struct Waiting {
    stream: OwnedFd,
    peer: Peer,
    until: Instant,
}

impl Vestibules {
    /// A listener of a service; its events, and those of whoever waits, are delivered under the token.
    pub(super) fn add(&mut self, listener: BorrowedFd<'_>, service: usize, token: Token) {
        let hall = Hall { service, token, trusted: None };
        self.halls.insert(listener.as_raw_fd(), hall);
    }

    /// A listener is another service's from now on.
    pub(super) fn hand_over(&mut self, listener: BorrowedFd<'_>, service: usize) {
        self.halls.get_mut(&listener.as_raw_fd()).into_iter().for_each(|hall| hall.service = service);
    }

    /// A listener is closed, and with it whoever still waits.
    pub(super) fn remove(&mut self, listener: BorrowedFd<'_>) {
        self.halls.remove(&listener.as_raw_fd());
        self.waiting.retain(|(at, _)| *at != listener.as_raw_fd());
    }

    /// These are the services from now on.
    pub(super) fn set_services(&mut self, services: &[Service]) {
        for hall in self.halls.values_mut() {
            hall.trusted = services.get(hall.service).and_then(|service| trusted(&service.policy)).cloned();
        }
    }

    /// Closes whoever waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How many wait here.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How long until somebody has waited for too long.
    #[inline]
    pub(super) fn wait(&self) -> Option<Duration> {
        let (_, first) = self.waiting.front()?;
        Some(first.until.saturating_duration_since(Instant::now()))
    }

    /// The tokens of listeners where somebody has waited for too long: to be accepted from, which ends that.
    #[inline]
    pub(super) fn late(&self) -> impl Iterator<Item = Token> {
        let is_late = |it: &&(RawFd, Waiting)| it.1.until <= Instant::now();
        let late = self.waiting.iter().take_while(is_late);
        late.filter_map(|(at, _)| self.halls.get(at)).map(|hall| hall.token)
    }

    /// Takes a connection whose head has come, or which needs none. [`REFUSED`] is one that is closed; with
    /// `is_closed`, only who waits here already is taken.
    pub(super) fn accept(
        &mut self,
        listener: BorrowedFd<'_>,
        flags: SocketFlags,
        registry: &Registry,
        is_closed: bool,
    ) -> Result<(OwnedFd, Peer), Errno> {
        let at = listener.as_raw_fd();
        if let Some(arrived) = self.arrived(at, registry) {
            return arrived;
        }
        let Some(hall) = self.halls.get(&at) else { return sockets::accept(listener, flags) };
        loop {
            if is_closed {
                return Err(Errno::AGAIN);
            }
            let (stream, peer) = sockets::accept(listener, flags)?;
            let Some(trusted) = &hall.trusted else { return Ok((stream, peer)) };
            if !is_trusted(trusted, peer.ip()) {
                log::debug!("{peer} is no proxy that is trusted");
                return Err(REFUSED);
            }
            match look(&stream) {
                Looked::Arrived(source) => return Ok((stream, source.unwrap_or(peer))),
                Looked::Refused => {
                    log::debug!("what {peer} sends first is no head of the PROXY protocol");
                    return Err(REFUSED);
                }
                Looked::Partial => keep(&mut self.waiting, (at, hall.token), stream, peer, registry)?,
            }
        }
    }

    /// The first of those who wait at a listener of whom it is known what becomes of them.
    fn arrived(&mut self, at: RawFd, registry: &Registry) -> Option<Result<(OwnedFd, Peer), Errno>> {
        let now = Instant::now();
        for index in 0..self.waiting.len() {
            let (listener, Waiting { stream, until, .. }) = self.waiting.get(index)?;
            if *listener != at {
                continue;
            }
            let looked = if *until <= now { Looked::Refused } else { look(stream) };
            if matches!(looked, Looked::Partial) {
                continue;
            }
            let (_, Waiting { stream, peer, .. }) = self.waiting.remove(index)?;
            let Looked::Arrived(source) = looked else { return Some(Err(REFUSED)) };
            let _ = registry.deregister(&mut SourceFd(&stream.as_raw_fd()));
            return Some(Ok((stream, source.unwrap_or(peer))));
        }
        None
    }
}

/// Has somebody wait at a listener until the head has come.
fn keep(
    waiting: &mut VecDeque<(RawFd, Waiting)>,
    (at, token): (RawFd, Token),
    stream: OwnedFd,
    peer: Peer,
    registry: &Registry,
) -> Result<(), Errno> {
    if waiting.iter().filter(|(listener, _)| *listener == at).count() >= limits::PROXY_WAITING {
        return Err(REFUSED);
    }
    let watched = registry.register(&mut SourceFd(&stream.as_raw_fd()), token, Interest::READABLE);
    watched.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let patience = if is_planted(Mutant::HeadAwaited) { 1000 } else { 1 };
    let until = Instant::now() + limits::PROXY_HEAD * patience;
    waiting.push_back((at, Waiting { stream, peer, until }));
    Ok(())
}

/// Who may say whose connection it passes on; `None` if nobody is to.
fn trusted(policy: &Policy) -> Option<&Networks> {
    policy.proxy_protocol.then_some(&policy.proxy_from)
}

/// Whether a proxy is trusted: without a list, one on this machine. Who may open a Unix socket is.
fn is_trusted(trusted: &Networks, source: Option<IpAddr>) -> bool {
    let Some(ip) = source.filter(|_| !is_planted(Mutant::AnyProxyTrusted)) else { return true };
    if trusted.is_empty() { ip.to_canonical().is_loopback() } else { trusted.longest_match(ip).is_some() }
}

/// What is known of a connection.
enum Looked {
    /// Its head has come and was read: it is this peer's, or the proxy's own.
    Arrived(Option<Peer>),
    /// It is still to come.
    Partial,
    /// It is none, or the proxy has gone.
    Refused,
}

fn look(stream: &OwnedFd) -> Looked {
    let mut buffer = [0; proxy::LONGEST];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let came = match recv(stream, &mut buffer, flags) {
        Ok((0, _)) => return Looked::Refused,
        Ok((came, _)) => came,
        Err(Errno::AGAIN | Errno::INTR) => return Looked::Partial,
        Err(_) => return Looked::Refused,
    };
    match Head::parse(buffer.get(..came).unwrap_or_default()) {
        Head::Partial if is_planted(Mutant::HeadInOnePiece) => Looked::Refused,
        Head::Partial => Looked::Partial,
        Head::Wrong => Looked::Refused,
        Head::Whole { length, source } => {
            let head = buffer.get_mut(..length).unwrap_or_default();
            let source = source.filter(|_| !is_planted(Mutant::ProxyTakenForClient));
            // All of it is there: it was just looked at, and nobody else reads.
            match recv(stream, head, RecvFlags::DONTWAIT) {
                Ok((read, _)) if read == length => Looked::Arrived(source.map(Peer::from)),
                _ => Looked::Refused,
            }
        }
    }
}

/// The same for a server that has one client at a time: waits for the head.
pub(super) fn wait_for_head(stream: &OwnedFd, peer: Peer, policy: &Policy) -> Result<Peer, Errno> {
    let Some(trusted) = trusted(policy) else { return Ok(peer) };
    if !is_trusted(trusted, peer.ip()) {
        return Err(REFUSED);
    }
    let until = Instant::now() + limits::PROXY_HEAD;
    let mut seen = 0;
    loop {
        match look(stream) {
            Looked::Arrived(source) => return Ok(source.unwrap_or(peer)),
            Looked::Refused => return Err(REFUSED),
            Looked::Partial => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(REFUSED);
        }
        let unread = rustix::io::ioctl_fionread(stream).unwrap_or(0);
        if unread > 0 && unread == seen {
            // What has come stays unread, so that a poll would not wait for more.
            std::thread::sleep(left.min(Duration::from_millis(5)));
        } else if unread == 0 {
            let timeout = Timespec::try_from(left).ok();
            let _ = poll(&mut [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN)], timeout.as_ref());
        }
        seen = unread;
    }
}
