//! A datagram socket by blocking calls: one thread or process for the socket, never one for a datagram.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::super::datagram::{Exchange, Guard};
use super::super::sockets;
use super::Host;
use crate::limits;
use crate::service::Service;

/// Answers what comes to a socket of the service of this index. It ends with the first datagram of a drain;
/// until one comes, whoever runs this has to end it.
pub(in crate::engine) fn answer(host: &impl Host, socket: &OwnedFd, service: usize, mut guard: Guard) {
    let mut services = host.services();
    let Some(session) = services.get(service).map(Service::session) else { return };
    let mut exchange = Exchange::new(session);
    let mut buffer = vec![0; limits::READ_BUFFER];
    // Nobody else uses it: to wait in the call that receives saves asking whether there is anything.
    let _ = rustix::fs::fcntl_getfl(socket)
        .and_then(|flags| rustix::fs::fcntl_setfl(socket, flags - OFlags::NONBLOCK));
    loop {
        // An earlier reply was refused (ICMP), or the like: of no concern to the next datagram.
        let Ok(datagram) = sockets::receive_or_wait(socket.as_fd(), &mut buffer) else { continue };
        if host.is_draining() {
            return;
        }
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
