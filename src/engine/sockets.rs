//! The system calls on sockets that every engine makes.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg};
#[cfg(target_os = "linux")]
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::SocketFlags;
#[cfg(target_os = "linux")]
use rustix::net::sockopt::set_tcp_cork;

use super::net::Datagram;
use crate::peer::Peer;

/// Takes a waiting connection of a TCP or Unix listener.
pub(super) fn accept(listener: BorrowedFd<'_>, flags: SocketFlags) -> Result<(OwnedFd, Peer), Errno> {
    let (stream, address) = rustix::net::acceptfrom_with(listener, flags | SocketFlags::CLOEXEC)?;
    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
    Ok((stream, address.map_or(Peer::Unix, Peer::from)))
}

/// Whether the peer has sent what nobody has read.
pub(super) fn has_unread(stream: impl AsFd) -> bool {
    rustix::io::ioctl_fionread(stream).is_ok_and(|n| n > 0)
}

/// Whether input has an end, be it the peer's or one that was made here, and whatever is to be read before it.
#[cfg(target_os = "linux")]
pub(super) fn is_input_ended(stream: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(stream, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Nothing is known of that.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_input_ended(_stream: BorrowedFd<'_>) -> bool {
    false
}

/// How many bytes the peer's kernel has acknowledged: what was written, less what waits in this machine.
/// None where that is not known, as for Unix sockets.
#[cfg(target_os = "linux")]
pub(super) fn received(stream: BorrowedFd<'_>) -> Option<u64> {
    Some(nix::sys::socket::getsockopt(&stream, tcp::Info).ok()?.bytes_acked)
}

/// Whether the peer itself has ended what it sends. Where input was ended on this side, a read cannot tell.
#[cfg(target_os = "linux")]
pub(super) fn is_peer_done(stream: BorrowedFd<'_>) -> bool {
    nix::sys::socket::getsockopt(&stream, tcp::Info).is_ok_and(|info| info.state == tcp::CLOSE_WAIT)
}

/// Nothing is known of that.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_peer_done(_stream: BorrowedFd<'_>) -> bool {
    false
}

/// Nothing is known of that.
#[cfg(not(target_os = "linux"))]
pub(super) fn received(_stream: BorrowedFd<'_>) -> Option<u64> {
    None
}

/// Whether the peer may still send, though a read says that its end has come: that was made by this end.
#[cfg(target_os = "linux")]
pub(super) fn may_still_send(stream: BorrowedFd<'_>) -> bool {
    nix::sys::socket::getsockopt(&stream, tcp::Info).is_ok_and(|info| info.state == tcp::ESTABLISHED)
}

/// Whether this end has said that it sends no more. To end its input as well would have the kernel reset the
/// connection when more comes.
#[cfg(target_os = "linux")]
pub(super) fn is_output_ended(stream: BorrowedFd<'_>) -> bool {
    let is_sending = |state| matches!(state, tcp::ESTABLISHED | tcp::CLOSE_WAIT);
    nix::sys::socket::getsockopt(&stream, tcp::Info).is_ok_and(|info| !is_sending(info.state))
}

/// Nothing is known of that.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_output_ended(_stream: BorrowedFd<'_>) -> bool {
    false
}

/// Nothing is known of that.
#[cfg(not(target_os = "linux"))]
pub(super) fn may_still_send(_stream: BorrowedFd<'_>) -> bool {
    false
}

/// An option of sockets that nix does not have.
#[cfg(target_os = "linux")]
mod tcp {
    use nix::{getsockopt_impl, libc, sockopt_impl};

    /// The state of a connection of which neither end has said that it is done.
    pub(super) const ESTABLISHED: u8 = 1;
    /// The state of a connection whose peer has ended its side.
    pub(super) const CLOSE_WAIT: u8 = 8;

    /// The kernel's `struct tcp_info` up to the last field that is wanted; the kernel fills in as much of
    /// it as it is asked for. It has had this field since Linux 4.1.
    #[derive(Debug, Clone, Copy)]
    #[repr(C)]
    // The macro makes it part of a public trait's implementation.
    #[allow(unreachable_pub)]
    pub struct State {
        pub(super) state: u8,
        options: [u8; 7],
        before: [u64; 14],
        pub(super) bytes_acked: u64,
    }

    sockopt_impl!(
        /// What the kernel knows of a TCP connection.
        Info,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        State
    );
}

/// Writes `first`, then `second` if there is any. With `more`, what is written waits for what follows it, a
/// file or the end, so that both go into one packet.
#[inline]
pub(super) fn write(stream: BorrowedFd<'_>, first: &[u8], second: &[u8], more: bool) -> Result<usize, Errno> {
    if second.is_empty() {
        #[cfg(target_os = "linux")]
        if more {
            return rustix::net::send(stream, first, rustix::net::SendFlags::MORE);
        }
        return rustix::io::write(stream, first);
    }
    rustix::io::writev(stream, &[IoSlice::new(first), IoSlice::new(second)])
}

/// Pieces of files of this many bytes are worth two more system calls.
#[cfg(target_os = "linux")]
const CORKED: usize = 128 * 1024;

/// Sends part of a file from the page cache, without a copy through this process.
#[cfg(target_os = "linux")]
pub(super) fn send_file(
    stream: BorrowedFd<'_>,
    file: &File,
    mut offset: u64,
    len: usize,
) -> Result<usize, Errno> {
    // Corked, the kernel makes full packets of a long piece; without, it sends what each of its steps of
    // 64 KiB gives. See docs/performance.md. Unix sockets have no cork, and need none.
    let corked = len >= CORKED && set_tcp_cork(stream, true).is_ok();
    let sent = rustix::fs::sendfile(stream, file, Some(&mut offset), len);
    if corked {
        let _ = set_tcp_cork(stream, false);
    }
    sent
}

/// Sends part of a file through a buffer.
#[cfg(not(target_os = "linux"))]
pub(super) fn send_file(
    stream: BorrowedFd<'_>,
    file: &File,
    offset: u64,
    len: usize,
) -> Result<usize, Errno> {
    use std::os::unix::fs::FileExt;
    let mut piece = [0; 16 * 1024];
    let piece = piece.get_mut(..len).unwrap_or(&mut piece);
    let n = file.read_at(piece, offset).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    rustix::io::write(stream, piece.get(..n).unwrap_or_default())
}

/// How to answer a datagram: to its sender, from the address it was sent to.
#[derive(Debug, Clone)]
pub struct WayBack {
    to: SockaddrStorage,
    from: Option<Destination>,
}

/// Where a datagram was sent to.
#[derive(Debug, Clone, Copy)]
enum Destination {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

/// Receives a datagram, if one has come, and notes where it was sent to.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Datagram<WayBack>, Errno> {
    let mut control = cmsg_space!(in_pktinfo, in6_pktinfo);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )
    .map_err(errno)?;
    let to = message.address.ok_or(Errno::INVAL)?;
    let peer = socket_address(&to).map(Peer::from).ok_or(Errno::INVAL)?;
    let from = message.cmsgs().map_err(errno)?.find_map(|message| match message {
        // Which interface a reply leaves by is the routing table's to say.
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Destination::V4(in_pktinfo { ipi_ifindex: 0, ..info }))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Destination::V6(info)),
        _ => None,
    });
    let unicast = from.is_none_or(Destination::is_unicast);
    Ok(Datagram { len: message.bytes, peer, unicast, way_back: WayBack { to, from } })
}

/// Sends a datagram back the way its request came.
pub(super) fn send_back(socket: BorrowedFd<'_>, datagram: &[u8], way: &WayBack) -> Result<(), Errno> {
    let slices = [IoSlice::new(datagram)];
    let control = way.from.as_ref().map(|from| match from {
        Destination::V4(info) => ControlMessage::Ipv4PacketInfo(info),
        Destination::V6(info) => ControlMessage::Ipv6PacketInfo(info),
    });
    sendmsg(socket.as_fd().as_raw_fd(), &slices, control.as_slice(), MsgFlags::MSG_DONTWAIT, Some(&way.to))
        .map(|_| ())
        .map_err(errno)
}

impl Destination {
    /// For IPv4 the kernel tells both where the datagram was sent and which of our addresses that is:
    /// they differ for a broadcast.
    fn is_unicast(self) -> bool {
        match self {
            Self::V4(info) => info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr,
            Self::V6(info) => !IpAddr::from(info.ipi6_addr.s6_addr).is_multicast(),
        }
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(std::net::SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id()).into())
}

fn errno(error: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(error as i32)
}
