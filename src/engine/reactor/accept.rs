//! Accepting: a bounded number a turn, and a pause instead of a spin when descriptors run out.

use std::io;

use rustix::io::Errno;

use super::super::doors::Left;
use super::super::net::{Accepted, Gone, Net};
use super::super::vestibule;
use super::slot::Slot;
use super::spots::Spots;
use super::{Reactor, conn_id};
use crate::access::Refusal;
use crate::conn::Conn;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::peer::Peer;
use crate::protocol::{ConnId, Why};
use crate::time::Time;

/// One listener.
#[derive(Debug)]
pub(super) struct ListenSocket<L> {
    pub(super) listener: L,
    pub(super) service: u16,
    /// Connections wait, as far as is known.
    pub(super) waiting: bool,
}

/// All listeners, and whether accepting is paused.
#[derive(Debug)]
pub(super) struct Acceptor<L> {
    pub(super) list: Spots<ListenSocket<L>>,
    /// At one of them connections may wait. Turns are many and listeners too, so that not all of them are
    /// looked at every time.
    pub(super) is_stirred: bool,
    /// Connections that there is room for.
    capacity: usize,
    /// When to try again after there was no room; [`Time::NEVER`] while there is.
    paused_until: Time,
    /// That there is no room was said, and people have been waiting ever since.
    said: bool,
}

impl<L> Acceptor<L> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { list: Spots::default(), is_stirred: false, capacity, paused_until: Time::NEVER, said: false }
    }

    pub(super) fn note(&mut self, index: usize) {
        if let Some(socket) = self.list.get_mut(index) {
            socket.waiting = true;
            self.is_stirred = true;
        }
    }

    fn add(&mut self, listener: L, service: u16) {
        self.list.add(ListenSocket { listener, service, waiting: true });
        self.is_stirred = true;
    }

    #[inline]
    pub(super) fn has_waiting(&self) -> bool {
        self.is_stirred && self.paused_until == Time::NEVER
    }

    pub(super) fn paused_until(&self) -> Time {
        self.paused_until
    }

    /// A connection has closed: there is room again.
    pub(super) fn connection_closed(&mut self) {
        self.paused_until = Time::NEVER;
    }

    pub(super) fn listeners(&self) -> impl Iterator<Item = &L> {
        self.list.iter().map(|socket| &socket.listener)
    }

    pub(super) fn close(&mut self) {
        self.list.clear();
        self.paused_until = Time::NEVER;
    }
}

impl<N: Net> Reactor<N> {
    /// Accepts from a listener of the service of this index, from now on.
    pub fn add_listener(&mut self, listener: N::Listener, service: u16) {
        self.acceptor.add(listener, service);
    }

    /// Lets in who waits.
    ///
    /// # Errors
    /// This process is a new one, made for one connection: see [`Accepted::Alone`].
    #[inline]
    pub(super) fn accept_all(&mut self) -> io::Result<()> {
        if self.acceptor.paused_until <= self.context.now && !is_planted(Mutant::AcceptNotResumed) {
            self.acceptor.paused_until = Time::NEVER;
        }
        if self.acceptor.has_waiting() { self.accept_waiting() } else { Ok(()) }
    }

    fn accept_waiting(&mut self) -> io::Result<()> {
        for index in 0..self.acceptor.list.end() {
            for _ in 0..limits::ACCEPT_PER_TURN {
                if !self.accept(index)? {
                    break;
                }
            }
        }
        self.acceptor.is_stirred = self.acceptor.list.iter().any(|socket| socket.waiting);
        Ok(())
    }

    /// Open connections. One that only passes through another process is counted once.
    pub(super) fn connections(&self) -> usize {
        self.slots.len().max(self.context.net.elsewhere()) + self.context.net.arriving()
    }

    /// Accepts one connection; false when there is none, or no room.
    pub(super) fn accept(&mut self, index: usize) -> io::Result<bool> {
        let is_full = self.connections() >= self.acceptor.capacity;
        let paused = self.acceptor.paused_until != Time::NEVER;
        let Some(socket) = self.acceptor.list.get_mut(index).filter(|socket| socket.waiting && !paused)
        else {
            return Ok(false);
        };
        if is_full {
            self.pause("as many connections as there is room for");
            return Ok(false);
        }
        Ok(match self.context.net.accept(&socket.listener) {
            Ok((stream, peer)) => {
                let service = socket.service;
                socket.waiting &= !is_planted(Mutant::AcceptShareForgotten);
                self.admit(stream, peer, service)?;
                true
            }
            Err(Errno::AGAIN) => {
                socket.waiting = false;
                self.acceptor.said = false;
                false
            }
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                self.pause(&error.to_string());
                false
            }
            Err(vestibule::REFUSED) => {
                self.doors.refuse_proxy(socket.service.into(), self.context.now);
                true
            }
            // The peer has gone already, or its network failed: the next one.
            Err(_) => true,
        })
    }

    fn pause(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.acceptor.said, true) {
            let open = self.connections();
            log::warn!("not accepting for now: {reason}; {open} connections are open");
        }
        if !is_planted(Mutant::PauseForgotten) {
            self.acceptor.paused_until = self.context.now.after(limits::ACCEPT_PAUSE);
        }
    }

    /// Lets somebody in, or not, and sees to who serves the connection.
    fn admit(&mut self, stream: N::Stream, peer: Peer, service: u16) -> io::Result<()> {
        let Some(options) = self.context.services.get(usize::from(service)).map(|service| &service.options)
        else {
            return Ok(());
        };
        let conn = Conn::new(options.session());
        let source = peer.ip();
        if let Err(refusal) = self.doors.enter(service.into(), source, self.context.now) {
            self.turn_away(refusal, conn, stream, peer, service);
            return Ok(());
        }
        match self.context.net.assign(stream, peer, service.into()) {
            Ok(Accepted::Here(stream, peer)) => self.add_connection(conn, stream, peer, service),
            Ok(Accepted::Elsewhere) => {}
            Ok(Accepted::Alone) => return Err(io::ErrorKind::Other.into()),
            Err(error) => {
                let left = Left { source, was_in: true, read: 0, written: 0 };
                self.doors.leave(service.into(), &left);
                self.pause(&error.to_string());
            }
        }
        Ok(())
    }

    /// Takes leave of those that have ended elsewhere.
    pub(super) fn look_elsewhere(&mut self) {
        self.context.net.look_elsewhere();
        while let Some(Gone { service, source, read, written }) = self.context.net.gone_elsewhere() {
            self.doors.leave(service, &Left { source, was_in: true, read, written });
        }
        self.acceptor.connection_closed();
    }

    fn add_connection(&mut self, conn: Conn, stream: N::Stream, peer: Peer, service: u16) {
        let id = self.place(Slot::new(conn, stream, peer, service, 0, self.context.now));
        let Some(slot) = self.slots.get_mut(id.key as usize) else { return };
        if let Some(banner) = self.doors.banner(service.into()) {
            slot.with_env(id, &mut self.context, |conn, env| conn.greet(banner, env));
        }
        self.context.shared.observer.opened();
        slot.open(id, &mut self.context, &mut self.buffer);
        slot.look(id, &mut self.context, &mut self.buffer);
        self.watch(id);
    }

    /// Has a connection watched from now on. One that has come and gone with one request never needs an event.
    fn watch(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id.key as usize)
            && !slot.is_dead()
            && let Err(error) = slot.watch(id, &mut self.context)
        {
            log::warn!("cannot watch a connection: {error}");
            slot.conn.fail(Why::Failed);
        }
        self.settle(id);
    }

    /// Gives a connection a slot.
    fn place(&mut self, mut slot: Slot<N::Stream>) -> ConnId {
        self.generation = if self.generation == super::LAST_GENERATION { 0 } else { self.generation + 1 };
        slot.generation = self.generation;
        conn_id(self.slots.insert(slot), self.generation)
    }

    /// Says why somebody is not let in, where the protocol has words and not too many are being told.
    fn turn_away(&mut self, refusal: Refusal, conn: Conn, stream: N::Stream, peer: Peer, service: u16) {
        if !self.doors.may_tell() {
            return;
        }
        let left = Left { source: None, was_in: false, read: 0, written: 0 };
        let mut slot = Slot::new(conn, stream, peer, service, 0, self.context.now).refused();
        let nobody = ConnId { key: u32::MAX, generation: 0 };
        slot.with_env(nobody, &mut self.context, |conn, env| conn.refuse(refusal, env));
        if slot.is_dead() {
            return self.doors.leave(service.into(), &left);
        }
        let id = self.place(slot);
        if let Some(slot) = self.slots.get_mut(id.key as usize) {
            slot.go_out(&mut self.context, &mut self.buffer);
        }
        self.watch(id);
    }
}
