//! Who is at the other end.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

/// The address of a peer, kept from the moment of accepting: after a reset the kernel no longer tells.
/// An IPv4 address, the common case, takes no memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// TCP or UDP over IPv4.
    V4(Ipv4Addr, u16),
    /// TCP or UDP over IPv6.
    V6(Box<SocketAddrV6>),
    /// A Unix socket: its clients have no address.
    Unix,
}

impl Peer {
    /// The address without the port; `None` for a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::V4(ip, _) => Some((*ip).into()),
            Self::V6(address) => Some((*address.ip()).into()),
            Self::Unix => None,
        }
    }

    /// The port; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        match self {
            Self::V4(_, port) => *port,
            Self::V6(address) => address.port(),
            Self::Unix => 0,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(*v4.ip(), v4.port()),
            SocketAddr::V6(v6) => Self::V6(Box::new(v6)),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip, port) => write!(f, "{ip}:{port}"),
            Self::V6(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

const _: () = assert!(size_of::<Peer>() <= 16);
