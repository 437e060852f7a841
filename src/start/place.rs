//! A spot of the start table: listeners that belong together, and the line to try there.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::lan;
use crate::bind::Bound;
use crate::protocol::{Row, Transport};
use crate::service::Address;

/// One port of a service, over whatever transports and addresses; or a Unix socket.
#[derive(Debug)]
pub(super) enum Spot {
    Port {
        /// The first address.
        at: SocketAddr,
        tcp: bool,
        udp: bool,
    },
    Unix(PathBuf),
}

impl Spot {
    /// The spots of a service: a port counts once, whatever number of addresses it is bound on.
    pub(super) fn all(bound: &Bound, service: usize) -> Vec<Self> {
        let mut spots: Vec<Self> = Vec::new();
        for listener in bound.listeners.iter().filter(|listener| listener.service == service) {
            match &listener.address {
                Address::Unix(path) => spots.push(Self::Unix(path.clone())),
                Address::Tcp(at) => Self::add(&mut spots, *at, true),
                Address::Udp(at) => Self::add(&mut spots, *at, false),
            }
        }
        spots
    }

    fn add(spots: &mut Vec<Self>, new: SocketAddr, over_tcp: bool) {
        for spot in spots.iter_mut() {
            if let Self::Port { at, tcp, udp } = spot
                && at.port() == new.port()
            {
                *tcp |= over_tcp;
                *udp |= !over_tcp;
                return;
            }
        }
        spots.push(Self::Port { at: new, tcp: over_tcp, udp: !over_tcp });
    }

    /// What it is served on.
    pub(super) fn transport(&self) -> &'static str {
        match self {
            Self::Port { tcp: true, udp: true, .. } => "tcp+udp",
            Self::Port { tcp: true, .. } => "tcp",
            Self::Port { .. } => "udp",
            Self::Unix(_) => "unix",
        }
    }

    /// The port without the address.
    pub(super) fn short(&self) -> String {
        match self {
            Self::Port { at, .. } => at.port().to_string(),
            Self::Unix(_) => self.to_string(),
        }
    }

    /// A command that shows the service.
    pub(super) fn try_it(&self, row: &Row) -> String {
        match self {
            Self::Unix(path) if row.try_it.starts_with("curl") => {
                format!("curl --unix-socket {} http://localhost/", path.display())
            }
            Self::Unix(path) => format!("nc -U {}", path.display()),
            Self::Port { at, .. } if row.transport == Transport::Lan => {
                row.try_it.replace("{port}", &at.port().to_string()).replace("{lan}", &network(at.ip()))
            }
            Self::Port { at, tcp: false, .. } => format!("nc -u {} {}", host(at.ip()), at.port()),
            Self::Port { at, .. } => {
                let ip = lan::usable(at.ip());
                row.try_it
                    .replace("{address}", &SocketAddr::new(ip, at.port()).to_string())
                    .replace("{host}", &host(ip))
                    .replace("{port}", &at.port().to_string())
            }
        }
    }
}

/// The flags of a client that name the network behind an address.
fn network(ip: IpAddr) -> String {
    match ip {
        ip if ip.is_unspecified() => String::new(),
        ip if ip.is_multicast() => format!(" --group {ip}"),
        ip => format!(" --broadcast {ip}"),
    }
}

/// An address as a command's argument.
fn host(ip: IpAddr) -> String {
    lan::usable(ip).to_string()
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { at, .. } => at.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}
