//! UDP: a datagram in, at most one datagram out. Or, for a service that speaks to everybody on a network, no
//! answer at all, but what the members of its room say.

use rustix::io::Errno;

use super::super::datagram::Exchange;
use super::super::net::Net;
use super::super::outlet::Speaker;
use super::Reactor;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::room::{Fed, Rooms};
use crate::service::Service;
use crate::time::Time;

/// A socket and the session that answers on it.
#[derive(Debug)]
pub(super) struct Datagrams<S, O> {
    pub(super) socket: S,
    exchange: Exchange,
    pub(super) service: u16,
    outlet: Option<(O, Speaker)>,
    /// Datagrams wait, as far as is known.
    waiting: bool,
}

impl<S, O> Datagrams<S, O> {
    pub(super) fn socket(&self) -> &S {
        &self.socket
    }

    /// Datagrams wait, as far as is known.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }
}

impl<N: Net> Reactor<N> {
    /// Answers what comes to a datagram socket of the service of this index, from now on.
    /// With an outlet its session is a member of a room, and what it hears leaves there.
    pub fn add_datagrams(&mut self, socket: N::Socket, service: u16, outlet: Option<N::Outlet>) {
        let Some(session) = self.context.services.get(usize::from(service)).map(Service::session) else {
            return;
        };
        let mut exchange = Exchange::new(session);
        let outlet = outlet.map(|outlet| {
            exchange.open(Speaker::id(self.datagrams.next()), &self.context.shared, self.context.now);
            let (own, chat) = self.context.net.ports(&outlet);
            (outlet, Speaker::new(own, chat))
        });
        self.datagrams.add(Datagrams { socket, exchange, service, outlet, waiting: true });
        self.datagrams_wait = true;
    }

    /// Sends out what the room has for the datagram socket of this index. The room offers it once; what must
    /// wait for the next turn, or the next second, is seen to by [`Reactor::speak_again`].
    pub(super) fn speak(&mut self, index: usize, rooms: &mut Rooms) {
        let now = self.context.now;
        let Some(it) = self.datagrams.get_mut(index) else { return };
        let (Some((outlet, speaker)), Some(member)) = (&mut it.outlet, it.exchange.member()) else { return };
        let net = &mut self.context.net;
        let fed = rooms.feed(member, now, |lines| {
            // UDP may lose a datagram, and there may be no network just now.
            speaker.speak(lines, now, |datagram| {
                let _ = net.send_out(outlet, datagram);
            })
        });
        if fed != Fed::All {
            let due = if speaker.may_send(now) { now } else { Speaker::next_second(now) };
            self.speaking_due = self.speaking_due.min(due);
        }
    }

    /// When the time has come, sends out what had to wait.
    pub(super) fn speak_again(&mut self, rooms: &mut Rooms) {
        if self.speaking_due <= self.context.now {
            self.speaking_due = Time::NEVER;
            for index in 0..self.datagrams.end() {
                self.speak(index, rooms);
            }
        }
    }

    /// Answers by the options that the services have by now. Who speaks to a network stays in its room.
    pub(super) fn renew_datagrams(&mut self) {
        for it in self.datagrams.iter_mut().filter(|it| it.outlet.is_none()) {
            if let Some(service) = self.context.services.get(usize::from(it.service)) {
                it.exchange = Exchange::new(service.session());
            }
        }
    }

    pub(super) fn note_datagrams(&mut self, index: usize) {
        if let Some(datagrams) = self.datagrams.get_mut(index) {
            datagrams.waiting = true;
            self.datagrams_wait = true;
        }
    }

    /// Answers on every socket until it is empty or has had its share of the turn.
    pub(super) fn answer_datagrams(&mut self) {
        if !self.datagrams_wait {
            return;
        }
        for index in 0..self.datagrams.end() {
            for _ in 0..limits::DATAGRAMS_PER_TURN {
                if !self.answer_datagram(index) {
                    break;
                }
            }
        }
        self.datagrams_wait = self.datagrams.iter().any(Datagrams::is_waiting);
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
        if !self.doors.hears(it.service.into(), datagram.peer.ip(), context.now) {
            return true;
        }
        let len = if is_planted(Mutant::DatagramCut) { datagram.len.min(1500) } else { datagram.len };
        let bytes = self.buffer.get(..len).unwrap_or_default();
        if let Some((_, speaker)) = &mut it.outlet {
            if speaker.hears(bytes, &datagram.peer, context.now) {
                let _ = it.exchange.reply(bytes, &datagram.peer, &context.shared, context.now);
            }
            return true;
        }
        if !self.guard.allows(&datagram.peer, datagram.unicast, context.now) {
            return true;
        }
        if let Some(reply) = it.exchange.reply(bytes, &datagram.peer, &context.shared, context.now) {
            // UDP may lose a reply; a full socket buffer is one way.
            let _ = context.net.send_back(&it.socket, reply, &datagram.way_back);
        }
        true
    }
}
