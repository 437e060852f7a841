//! One TCP or UDP socket, bound.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use crate::limits;
use crate::service::Address;

/// Opens a socket that listens or receives, and does not block; gives the address that it really has.
///
/// # Errors
/// The system's.
pub(super) fn open(wanted: &Address) -> io::Result<(SocketAddr, OwnedFd)> {
    let socket = match wanted {
        Address::Tcp(address) => tcp(*address)?,
        Address::Udp(address) => udp(*address)?,
        Address::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    Ok((address, socket.into()))
}

fn tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = new(address, Type::STREAM, Protocol::TCP)?;
    // A restart must not wait for the last run's connections to be forgotten.
    socket.set_reuse_address(true)?;
    // Inherited by what is accepted: a reply goes out at once, without a call per connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::BACKLOG)?;
    Ok(socket)
}

fn udp(address: SocketAddr) -> io::Result<Socket> {
    // Without SO_REUSEADDR: over UDP that would share the port with another program.
    let socket = new(address, Type::DGRAM, Protocol::UDP)?;
    // Before anything can come: a datagram that waits since before is told to have had no destination, which
    // looks like a broadcast.
    want_destination(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Asks the kernel to say, with each datagram, which of our addresses it was sent to.
fn want_destination(socket: &Socket, address: SocketAddr) -> nix::Result<()> {
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true),
    }
}

fn new(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    // socket2 sets close-on-exec.
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
