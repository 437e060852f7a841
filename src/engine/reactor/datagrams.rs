//! UDP: a datagram in, at most one datagram out.

use rustix::io::Errno;

use super::super::datagram::Exchange;
use super::super::net::Net;
use super::Reactor;
use crate::limits;

/// A socket and the session that answers on it.
#[derive(Debug)]
pub(super) struct Datagrams<S> {
    socket: S,
    exchange: Exchange,
    /// Datagrams wait, as far as is known.
    waiting: bool,
}

impl<N: Net> Reactor<N> {
    /// Answers what comes to a datagram socket of the service of this index, from now on.
    pub fn add_datagrams(&mut self, socket: N::Socket, service: u16) {
        if let Some(service) = self.services.get(usize::from(service)) {
            let exchange = Exchange::new(service.session());
            self.datagrams.push(Datagrams { socket, exchange, waiting: true });
        }
    }

    pub(super) fn note_datagrams(&mut self, index: usize) {
        if let Some(datagrams) = self.datagrams.get_mut(index) {
            datagrams.waiting = true;
        }
    }

    pub(super) fn datagrams_wait(&self) -> bool {
        self.datagrams.iter().any(|datagrams| datagrams.waiting)
    }

    /// Answers on every socket until it is empty or has had its share of the turn.
    pub(super) fn answer_datagrams(&mut self) {
        for index in 0..self.datagrams.len() {
            for _ in 0..limits::DATAGRAMS_PER_TURN {
                if !self.answer_datagram(index) {
                    break;
                }
            }
        }
    }

    /// Answers one datagram; false when there is none.
    fn answer_datagram(&mut self, index: usize) -> bool {
        let context = &mut self.context;
        let Some(it) = self.datagrams.get_mut(index).filter(|it| it.waiting) else { return false };
        let datagram = match context.net.receive(&it.socket, &mut self.buffer) {
            Ok(datagram) => datagram,
            Err(Errno::AGAIN) => {
                it.waiting = false;
                return false;
            }
            // An earlier reply was refused (ICMP), or the like: of no concern to the next datagram.
            Err(_) => return true,
        };
        if !self.guard.allows(&datagram.peer, datagram.unicast, context.now) {
            return true;
        }
        let bytes = self.buffer.get(..datagram.len).unwrap_or_default();
        if let Some(reply) = it.exchange.reply(bytes, &datagram.peer, &context.shared, context.now) {
            // UDP may lose a reply; a full socket buffer is one way.
            let _ = context.net.send_back(&it.socket, reply, &datagram.way_back);
        }
        true
    }
}
