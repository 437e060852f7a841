//! Accepting: a bounded number a turn, and a pause instead of a spin when descriptors run out.

use rustix::io::Errno;

use super::super::net::Net;
use super::slot::Slot;
use super::{Reactor, conn_id};
use crate::conn::Conn;
use crate::limits;
use crate::time::Time;

/// One listener.
#[derive(Debug)]
struct Door<L> {
    listener: L,
    service: u16,
    /// Connections wait, as far as is known.
    waiting: bool,
}

/// All listeners, and whether accepting is paused.
#[derive(Debug)]
pub(super) struct Doors<L> {
    list: Vec<Door<L>>,
    /// Connections that there is room for.
    capacity: usize,
    /// When to try again after there was no room; [`Time::NEVER`] while there is.
    paused_until: Time,
    /// That there is no room was said, and people have been waiting ever since.
    said: bool,
}

impl<L> Doors<L> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { list: Vec::new(), capacity, paused_until: Time::NEVER, said: false }
    }

    pub(super) fn note(&mut self, index: usize) {
        if let Some(door) = self.list.get_mut(index) {
            door.waiting = true;
        }
    }

    pub(super) fn is_open_and_waiting(&self) -> bool {
        self.paused_until == Time::NEVER && self.list.iter().any(|door| door.waiting)
    }

    pub(super) fn paused_until(&self) -> Time {
        self.paused_until
    }

    /// A connection has closed: there is room again.
    pub(super) fn someone_left(&mut self) {
        self.paused_until = Time::NEVER;
    }

    pub(super) fn close(&mut self) {
        self.list.clear();
        self.paused_until = Time::NEVER;
    }
}

impl<N: Net> Reactor<N> {
    /// Accepts from a listener of the service of this index, from now on.
    pub fn add_listener(&mut self, listener: N::Listener, service: u16) {
        self.doors.list.push(Door { listener, service, waiting: true });
    }

    /// Lets in who waits.
    pub(super) fn open_doors(&mut self) {
        if self.doors.paused_until <= self.tools.now {
            self.doors.paused_until = Time::NEVER;
        }
        if !self.doors.is_open_and_waiting() {
            return;
        }
        for index in 0..self.doors.list.len() {
            for _ in 0..limits::ACCEPT_PER_TURN {
                if !self.accept(index) {
                    break;
                }
            }
        }
    }

    /// Accepts one connection; false when there is none, or no room.
    fn accept(&mut self, index: usize) -> bool {
        let paused = self.doors.paused_until != Time::NEVER;
        let Some(door) = self.doors.list.get_mut(index).filter(|door| door.waiting && !paused) else {
            return false;
        };
        if self.slots.len() >= self.doors.capacity {
            self.pause("as many connections as there is room for");
            return false;
        }
        match self.tools.net.accept(&door.listener) {
            Ok((stream, peer)) => {
                let service = door.service;
                self.welcome(stream, peer, service);
                true
            }
            Err(Errno::AGAIN) => {
                door.waiting = false;
                self.doors.said = false;
                false
            }
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                self.pause(&error.to_string());
                false
            }
            // The peer has gone already, or a network error of the waiting connection: the next one.
            Err(_) => true,
        }
    }

    fn pause(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.doors.said, true) {
            log::warn!("not accepting for now: {reason}; {} connections are open", self.slots.len());
        }
        self.doors.paused_until = self.tools.now.after(limits::ACCEPT_PAUSE);
    }

    fn welcome(&mut self, stream: N::Stream, peer: crate::peer::Peer, service: u16) {
        let Some(options) = self.services.get(usize::from(service)).map(|service| &service.options) else {
            return;
        };
        let conn = Conn::new(options.session());
        self.generation = if self.generation == super::LAST_GENERATION { 0 } else { self.generation + 1 };
        let slot = Slot::new(conn, stream, peer, service, self.generation, self.tools.now);
        let key = self.slots.insert(slot);
        let id = conn_id(key, self.generation);
        let Some(slot) = self.slots.get_mut(key) else { return };
        if let Err(error) = slot.watch(id, &mut self.tools) {
            log::warn!("cannot watch a connection: {error}");
            self.slots.remove(key);
            return;
        }
        slot.open(id, &mut self.tools, &mut self.buffer);
        self.settle(id);
    }
}
