//! From services and places to sockets that listen.
//!
//! What the user named must be had, else the program does not start. A default of the program gives
//! way: its service is refused with the reason, and the others start.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use log::debug;

use crate::config::Origin;
use crate::inherit::{self, Inherited};
use crate::lan;
use crate::mutation::{Mutant, is_planted};
use crate::service::{Address, Listener, Service};

mod again;
mod holder;
mod reason;
mod socket;
#[cfg(test)]
mod tests;
mod unix;

pub use again::{Again, Before, again};
pub use unix::SocketFiles;

/// Why a socket of a client's own was not to be had, in a line that helps.
pub(crate) fn why_not(address: Address, error: io::Error) -> String {
    reason::reason(&Failure { address, error }, None)
}

/// How often another port is tried when port 0 gave one that is not free everywhere.
const TRIES: usize = 32;

/// A place where a service is to listen.
#[derive(Debug, Clone)]
pub struct Place {
    /// Index of the service.
    pub service: usize,
    /// Where.
    pub at: At,
    /// Who says so.
    pub origin: Origin,
}

/// What a place is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// One port number on every one of these addresses; 0 for any that is free on all of them.
    Port {
        /// The addresses.
        hosts: Vec<Host>,
        /// The port.
        port: u16,
        /// Whether to listen over TCP.
        tcp: bool,
        /// Whether to receive over UDP.
        udp: bool,
    },
    /// A Unix stream socket.
    Unix(PathBuf),
    /// Everybody on a network, over UDP.
    Lan(lan::Place),
}

impl At {
    /// Whether others than this machine can reach it.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Port { hosts, .. } => hosts.iter().any(|host| !host.ip.to_canonical().is_loopback()),
            Self::Unix(_) => false,
            Self::Lan(_) => true,
        }
    }
}

/// An address to bind to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// The address.
    pub ip: IpAddr,
    /// Whether it does not matter if this machine has no such address.
    pub optional: bool,
}

/// What has come of the places.
#[derive(Debug, Default)]
pub struct Bound {
    /// The sockets, in the order of the places; those of a port with TCP first.
    pub listeners: Vec<Listener>,
    /// The defaults that gave way.
    pub refused: Vec<Refused>,
}

/// A place that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Index of the service.
    pub service: usize,
    /// Why, in a few words: `port 8080 is taken by python3 (pid 4242)`.
    pub reason: String,
}

/// A place that the user named could not be had, or none could.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// One socket that was not to be had.
#[derive(Debug)]
struct Failure {
    address: Address,
    error: io::Error,
}

/// Has the kernel complete this many connections per listener before they are accepted.
///
/// # Errors
/// The system's.
pub fn set_backlog(listeners: &[Listener], backlog: u16) -> io::Result<()> {
    for listener in listeners.iter().filter(|listener| !matches!(listener.address, Address::Udp(_))) {
        // Listening once more changes nothing but this.
        rustix::net::listen(&listener.socket, backlog.into())?;
    }
    Ok(())
}

/// Binds every place, where it is not inherited. A service that was given sockets has these and no others.
///
/// # Errors
/// A place that the user named could not be had, or no place could.
pub fn bind(services: &[Service], places: &[Place], inherited: &mut Inherited) -> Result<Bound, Error> {
    let mut bound = Bound::default();
    for (service, socket) in inherited.take_given() {
        let (address, socket) = (socket.address, socket.socket);
        bound.listeners.push(Listener { service, address, socket, outlet: None, given: true });
    }
    let has_given = |place: &&Place| bound.listeners.iter().any(|listener| listener.service == place.service);
    let mut order: Vec<&Place> = places.iter().filter(|place| !has_given(place)).collect();
    // What was named comes first, so that a default gives way to it.
    order.sort_by_key(|place| place.origin == Origin::Default);
    for place in order {
        let name = services.get(place.service).map_or("", |service| service.name.as_str());
        match bind_place(&place.at, &mut |wanted| inherited.claim(name, wanted)) {
            Ok(sockets) => {
                bound.listeners.extend(sockets.into_iter().map(|socket| socket.listener(place.service)));
            }
            Err(failure) => bound.refuse(services, place, &failure)?,
        }
    }
    if bound.listeners.is_empty() {
        let reasons = bound.refused.iter().map(|refused| refused.to_string(services));
        return Err(Error(reasons.collect::<Vec<_>>().join("\n")));
    }
    bound.listeners.sort_by_key(|listener| listener.service);
    bound.refused.sort_by_key(|refused| refused.service);
    Ok(bound)
}

impl Bound {
    fn refuse(&mut self, services: &[Service], place: &Place, failure: &Failure) -> Result<(), Error> {
        let ours = self.listeners.iter().find(|listener| clash(&listener.address, &failure.address));
        let ours =
            ours.and_then(|listener| services.get(listener.service)).map(|service| service.name.as_str());
        let reason = reason::reason(failure, ours);
        let refused = Refused { service: place.service, reason };
        if reason::is_missing(&failure.error) {
            // Only an address that was named can be missing, and it is missing for every service.
            return Err(Error(refused.to_string(services)));
        }
        let is_named = place.origin != Origin::Default && !is_planted(Mutant::NamedGivesWay);
        if is_named || is_planted(Mutant::DefaultInsists) {
            return Err(Error(format!("{}: {}", place.origin, refused.to_string(services))));
        }
        self.refused.push(refused);
        Ok(())
    }
}

impl Refused {
    fn to_string(&self, services: &[Service]) -> String {
        let name = services.get(self.service).map_or("", |service| service.name.as_str());
        format!("service {name}: {}", self.reason)
    }
}

/// Whether one of our sockets is what keeps another from being bound.
fn clash(ours: &Address, wanted: &Address) -> bool {
    match (ours, wanted) {
        (Address::Tcp(a), Address::Tcp(b)) | (Address::Udp(a), Address::Udp(b)) => {
            let any = a.ip().is_unspecified() || b.ip().is_unspecified();
            a.port() == b.port() && (a.ip() == b.ip() || (any && a.is_ipv4() == b.is_ipv4()))
        }
        (Address::Unix(a), Address::Unix(b)) => a == b,
        _ => false,
    }
}

/// A socket that was to be had.
#[derive(Debug)]
struct Socket {
    address: Address,
    socket: OwnedFd,
    outlet: Option<lan::Outlet>,
}

impl Socket {
    fn listener(self, service: usize) -> Listener {
        Listener { service, address: self.address, socket: self.socket, outlet: self.outlet, given: false }
    }
}

type Sockets = Vec<Socket>;

/// How a socket is asked for that a predecessor had.
type Claim<'a> = dyn FnMut(&Address) -> Option<inherit::Socket> + 'a;

fn bind_place(at: &At, claim: &mut Claim<'_>) -> Result<Sockets, Failure> {
    let (hosts, port, tcp, udp) = match at {
        At::Unix(path) => {
            let address = Address::Unix(path.clone());
            let claimed = claim(&address).map(|it| Ok(it.socket));
            return match claimed.unwrap_or_else(|| unix::listen(path)) {
                Ok(socket) => Ok(vec![Socket { address, socket, outlet: None }]),
                Err(error) => Err(Failure { address, error }),
            };
        }
        At::Lan(place) => return bind_lan(place),
        At::Port { hosts, port, tcp, udp } => (hosts, *port, *tcp, *udp),
    };
    let mut result = bind_port(hosts, port, (tcp, udp), claim);
    for _ in 1..TRIES {
        match &result {
            Err(failure) if port == 0 && failure.error.kind() == io::ErrorKind::AddrInUse => {
                result = bind_port(hosts, port, (tcp, udp), claim);
            }
            _ => break,
        }
    }
    result
}

/// Binds one port on all hosts; the first of them chooses if it is 0.
fn bind_port(
    hosts: &[Host],
    mut port: u16,
    (tcp, udp): (bool, bool),
    claim: &mut Claim<'_>,
) -> Result<Sockets, Failure> {
    let mut sockets = Sockets::new();
    let transports = [(tcp, Address::Tcp as fn(SocketAddr) -> Address), (udp, Address::Udp)];
    for make in transports.into_iter().filter_map(|(wanted, make)| wanted.then_some(make)) {
        for host in hosts {
            let wanted = make(SocketAddr::new(host.ip, port));
            if let Some(claimed) = claim(&wanted) {
                port = port_of(&claimed.address);
                sockets.push(Socket { address: claimed.address, socket: claimed.socket, outlet: None });
                continue;
            }
            match socket::open(&wanted) {
                Ok((address, socket)) => {
                    port = address.port();
                    sockets.push(Socket { address: make(address), socket, outlet: None });
                }
                Err(error)
                    if host.optional
                        && reason::is_missing(&error)
                        && !is_planted(Mutant::OptionalInsists) =>
                {
                    debug!("{} {wanted} is left out: {error}", wanted.transport());
                }
                Err(error) => return Err(Failure { address: wanted, error }),
            }
        }
    }
    if sockets.is_empty() {
        let address = make_up(hosts, port);
        return Err(Failure { address, error: io::ErrorKind::AddrNotAvailable.into() });
    }
    Ok(sockets)
}

fn port_of(address: &Address) -> u16 {
    match address {
        Address::Tcp(at) | Address::Udp(at) => at.port(),
        Address::Unix(_) => 0,
    }
}

fn bind_lan(place: &lan::Place) -> Result<Sockets, Failure> {
    let wanted = Address::Udp((Ipv4Addr::UNSPECIFIED, place.port).into());
    let bound = place.open().map_err(io::Error::other).and_then(|lan| {
        lan.receiving.set_nonblocking(true)?;
        let address = Address::Udp(lan.receiving.local_addr()?);
        Ok(Socket { address, socket: lan.receiving.into(), outlet: Some(lan.outlet) })
    });
    bound.map(|socket| vec![socket]).map_err(|error| Failure { address: wanted, error })
}

/// An address to name when there was none to bind.
fn make_up(hosts: &[Host], port: u16) -> Address {
    let ip = hosts.first().map_or(Ipv4Addr::LOCALHOST.into(), |host| host.ip);
    Address::Tcp(SocketAddr::new(ip, port))
}
