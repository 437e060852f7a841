//! A service: a named instance of a protocol, with its options and the places where it listens.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::access::Policy;
use crate::lan::Outlet;
use crate::protocol::{Options, Row, Session};

/// See the module.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name: unique, and what `--only`, `--port` and `--set` call it.
    pub name: String,
    /// The protocol's row.
    pub row: &'static Row,
    /// The options of the protocol.
    pub options: Options,
    /// Who may use it, and how much of it.
    pub policy: Policy,
}

impl Service {
    /// What it does with the options that it has, in a few words.
    pub fn does(&self) -> &'static str {
        self.options.does().unwrap_or(self.row.does)
    }

    /// The state machine of a new connection.
    pub fn session(&self) -> Session {
        self.options.session()
    }
}

/// An address of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// UDP.
    Udp(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl Address {
    /// The port, if it is one of UDP.
    pub fn udp_port(&self) -> Option<u16> {
        match self {
            Self::Udp(address) => Some(address.port()),
            _ => None,
        }
    }

    /// `tcp`, `udp` or `unix`.
    pub fn transport(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Udp(_) => "udp",
            Self::Unix(_) => "unix",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Udp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Where a service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Index of the service in the list that the engine is given.
    pub service: usize,
    /// Where.
    pub address: Address,
    /// See [`Listener::given`].
    pub given: bool,
}

/// A bound socket of a service: listening (TCP, Unix) or receiving (UDP), and not blocking.
#[derive(Debug)]
pub struct Listener {
    /// Index of the service in the list that the engine is given.
    pub service: usize,
    /// Where it is really bound: port 0 has become a port.
    pub address: Address,
    /// The socket.
    pub socket: OwnedFd,
    /// For a service that speaks to everybody on a network: where that leaves.
    pub outlet: Option<Outlet>,
    /// It was bound by whoever started the program, and its file, if it has one, is not ours to remove.
    pub given: bool,
}

impl Listener {
    /// A socket that is this program's own.
    pub fn new(service: usize, address: Address, socket: OwnedFd) -> Self {
        Self { service, address, socket, outlet: None, given: false }
    }

    /// Where it listens.
    pub fn spot(&self) -> Spot {
        Spot { service: self.service, address: self.address.clone(), given: self.given }
    }
}
