//! Listeners that come and go while the reactor runs.

use std::io;

use super::super::net::{Net, Source};
use super::super::reload::Renewed;
use super::Reactor;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::service::{Address, Listener, Spot};

impl<N: Net> Reactor<N> {
    /// Listens where it is to listen from now on: first at the new places, then at the old ones no more.
    /// Who is connected stays.
    pub(super) fn move_listeners(&mut self, renewed: Renewed) {
        let Renewed { kept, opened, .. } = renewed;
        let all: Vec<Spot> = kept.into_iter().chain(opened.iter().map(Listener::spot)).collect();
        self.guard.set_own_ports(all.iter().filter_map(|spot| spot.address.udp_port()).collect());
        for listener in opened {
            let spot = listener.spot();
            match self.listen(listener) {
                Ok(()) => log::info!(
                    "{} listens at {} {}",
                    self.name(&spot),
                    spot.address.transport(),
                    spot.address
                ),
                Err(error) => log::error!("{} cannot listen at {}: {error}", self.name(&spot), spot.address),
            }
        }
        self.leave_others(&all);
    }

    fn name(&self, spot: &Spot) -> &str {
        self.context.services.get(spot.service).map_or("", |service| &service.name)
    }

    fn listen(&mut self, listener: Listener) -> io::Result<()> {
        let service = u16::try_from(listener.service).map_err(io::Error::other)?;
        if let Address::Udp(_) = listener.address {
            let source = Source::Datagrams(self.datagrams.next());
            let socket = self.context.net.adopt_datagrams(listener.socket, source)?;
            self.add_datagrams(socket, service, None);
        } else {
            let source = Source::Listener(self.acceptor.list.next());
            let socket = self.context.net.adopt(listener.socket, listener.service, source)?;
            self.add_listener(socket, service);
        }
        Ok(())
    }

    /// Goes on with these, some of them for another service, and closes all others. Who had connected there
    /// already is let in before that.
    fn leave_others(&mut self, all: &[Spot]) {
        for index in 0..self.acceptor.list.end() {
            let net = &mut self.context.net;
            let Some(socket) = self.acceptor.list.get_mut(index) else { continue };
            let Some(address) = net.listens_at(&socket.listener) else { continue };
            if let Some(spot) = all.iter().find(|spot| spot.address == address) {
                if is_planted(Mutant::HandOverForgotten) {
                    continue;
                }
                net.hand_over(&mut socket.listener, spot.service);
                socket.service = u16::try_from(spot.service).unwrap_or(socket.service);
                continue;
            }
            if is_planted(Mutant::OldPlaceKept) {
                continue;
            }
            socket.waiting = !is_planted(Mutant::QueueDropped);
            for _ in 0..limits::BACKLOG {
                // Only where others serve does this process end here, and there no listener moves.
                if !self.accept(index).unwrap_or(false) {
                    break;
                }
            }
            self.acceptor.list.get_mut(index).into_iter().for_each(|it| self.context.net.leave(&it.listener));
            self.acceptor.list.remove(index);
            log::info!("nobody listens at {} {address} any more", address.transport());
        }
        let net = &self.context.net;
        self.datagrams.retain(|it| {
            let Some(address) = net.receives_at(&it.socket) else { return true };
            let spot = all.iter().find(|spot| spot.address == address);
            it.service = spot.and_then(|spot| u16::try_from(spot.service).ok()).unwrap_or(it.service);
            spot.is_some()
        });
    }
}
