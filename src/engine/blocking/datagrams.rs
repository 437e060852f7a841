//! A datagram socket by blocking calls: one thread or process for the socket, never one for a datagram.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::super::datagram::{Exchange, Guard};
use super::super::sockets;
use super::Host;
use crate::limits;
use crate::service::Service;

/// Answers what comes to a socket of the service of this index, until there is a drain; what comes then is
/// another process's, if that has the socket as well. While it waits, whoever runs this may end it.
pub(in crate::engine) fn answer(host: &impl Host, socket: &OwnedFd, service: usize, mut guard: Guard) {
    let mut services = host.services();
    let Some(session) = services.get(service).map(Service::session) else { return };
    let mut exchange = Exchange::new(session);
    let mut buffer = vec![0; limits::READ_BUFFER];
    loop {
        let busy = host.answers();
        if host.is_draining() {
            return;
        }
        let datagram = match sockets::receive(socket.as_fd(), &mut buffer) {
            Ok(datagram) => datagram,
            Err(Errno::AGAIN) => {
                drop(busy);
                // Not in the call that receives, by making it one that waits: that would hold for all who
                // have the socket.
                let _ = poll(&mut [PollFd::new(socket, PollFlags::IN)], None);
                continue;
            }
            // An earlier reply was refused (ICMP), or the like: of no concern to the next datagram.
            Err(_) => continue,
        };
        let by_now = host.services();
        if !Arc::ptr_eq(&services, &by_now) {
            services = by_now;
            exchange = services.get(service).map_or(exchange, |it| Exchange::new(it.session()));
        }
        let now = host.now();
        if !host.hears(service, datagram.peer.ip()) || !guard.allows(&datagram.peer, datagram.unicast, now) {
            continue;
        }
        let bytes = buffer.get(..datagram.len).unwrap_or_default();
        if let Some(reply) = exchange.reply(bytes, &datagram.peer, host.shared(), now) {
            // UDP may lose a reply; a full socket buffer is one way.
            let _ = sockets::send_back(socket.as_fd(), reply, &datagram.way_back);
        }
        host.shared().end_turn();
    }
}
