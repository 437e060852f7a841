//! The reactor: one thread, one poll, one slab. Every socket of every protocol is served here, a little
//! at a time.
//!
//! The way of a byte: poll, readiness, flush what waits, read into the one shared buffer, the
//! connection's session, its output written at once; what others must hear goes to the rooms, whose
//! members are fed at the end of the turn. Nothing runs back up this path.
//!
//! * A slot is freed at the end of a turn, never inside it, and its next user gets another generation:
//!   stale events, timers and room memberships miss.
//! * Whoever stops before it is done (its share of the turn is used up, it yielded) is in the run queue,
//!   and while that is not empty the poll does not wait. Nobody is forgotten, nobody spins.
//! * Nothing here waits for anything but the poll. What would (a disk that is written) is a job of the
//!   helper, and its end is an event like others.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::control::Command;
use super::datagram::Guard;
use super::doors::{Doors, Left};
use super::ledger::Ledger;
use super::net::LAST_GENERATION;
use super::net::{Net, Ready, Source};
use super::reload::Reload;
use crate::conn::Pool;
use crate::limits;
use crate::logging;
use crate::mutation::{Mutant, is_planted};
use crate::protocol::{ConnId, Why};
use crate::room::MemberId;
use crate::service::Service;
use crate::shared::Shared;
use crate::time::Time;
use crate::timer::Timers;

mod accept;
mod datagrams;
mod feed;
mod listeners;
mod memory;
mod moved;
mod operator;
mod slot;
mod spots;
#[cfg(test)]
mod tests;
mod watch;

use accept::Acceptor;
use datagrams::Datagrams;
use operator::Turns;
use slot::Slot;
use spots::Spots;

/// What a connection needs of the reactor while it has its turn. Of this, `Conn` is lent an
/// [`Env`](crate::conn::Env) (no network), and of that a handler a [`Cx`](crate::protocol::Cx) (no pool).
#[derive(Debug)]
struct Context<N> {
    net: N,
    shared: Arc<Shared>,
    services: Vec<Service>,
    pool: Pool,
    /// The clock, read once a turn.
    now: Time,
    /// Nobody else has anything to do in this turn, so that whoever has may do more of it at once.
    alone: bool,
    draining: bool,
}

/// What a reactor serves, and within which bounds.
#[derive(Debug)]
pub struct Settings {
    /// The services; listeners name them by index.
    pub services: Vec<Service>,
    /// What all connections share.
    pub shared: Arc<Shared>,
    /// Connections that there are descriptors for.
    pub capacity: usize,
    /// How long a drain may take.
    pub grace: Duration,
    /// How the configuration is read again.
    pub reload: Reload,
    /// What all buffers together may take, in bytes.
    pub max_buffers: Option<usize>,
}

/// See the module.
#[derive(Debug)]
pub struct Reactor<N: Net> {
    context: Context<N>,
    /// The one buffer that every read goes into.
    buffer: Box<[u8]>,
    /// Who is let in.
    doors: Doors,
    reload: Reload,
    /// What connections hold in memory.
    ledger: Ledger,
    turns: Turns,
    acceptor: Acceptor<N::Listener>,
    datagrams: Spots<Datagrams<N::Socket, N::Outlet>>,
    /// At one of those datagrams may wait.
    datagrams_wait: bool,
    /// When what was too much for the last second may be sent out to a network.
    speaking_due: Time,
    guard: Guard,
    slots: Slab<Slot<N::Stream>>,
    timers: Timers,
    /// Connections that have more to do, in the order in which they will.
    runnable: Vec<ConnId>,
    /// Those whose turn it is; empty between turns.
    running: Vec<ConnId>,
    /// Connections that ended in this turn.
    dead: Vec<u32>,
    ready: Vec<Ready>,
    /// Members of rooms that are being fed.
    hearers: Vec<(MemberId, ConnId)>,
    /// Members of rooms were left for the next turn.
    rooms_pending: bool,
    /// When the rooms have something to do by themselves.
    rooms_due: Time,
    generation: u32,
    grace: Duration,
    /// When the sessions are told of a drain, and when it ends, whoever is left; never if there is none.
    tell_at: Time,
    drained_by: Time,
    /// Those who serve elsewhere know of the drain.
    told_elsewhere: bool,
}

impl<N: Net> Reactor<N> {
    /// A reactor without listeners yet.
    pub fn new(net: N, settings: Settings, guard: Guard) -> Self {
        let Settings { services, shared, capacity, grace, reload, max_buffers } = settings;
        let buffer = vec![0; limits::READ_BUFFER].into_boxed_slice();
        let now = net.now();
        let doors = Doors::new(&services);
        let reserved = capacity.min(limits::SLOTS_RESERVED);
        Self {
            context: Context {
                net,
                shared,
                services,
                pool: Pool::default(),
                now,
                alone: false,
                draining: false,
            },
            buffer,
            doors,
            reload,
            ledger: Ledger::new(max_buffers),
            turns: Turns::default(),
            acceptor: Acceptor::new(capacity),
            datagrams: Spots::default(),
            datagrams_wait: false,
            speaking_due: Time::NEVER,
            guard,
            slots: Slab::with_capacity(reserved),
            timers: Timers::with_capacity(reserved),
            runnable: Vec::new(),
            running: Vec::new(),
            dead: Vec::new(),
            ready: Vec::with_capacity(limits::EVENTS_PER_POLL),
            hearers: Vec::new(),
            rooms_pending: false,
            rooms_due: Time::NEVER,
            generation: 0,
            grace,
            tell_at: Time::NEVER,
            drained_by: Time::NEVER,
            told_elsewhere: false,
        }
    }

    /// All listeners are there: whoever waits for that is told.
    pub fn serves(&mut self) {
        self.context.net.serves();
    }

    /// Serves until the operator wants to stop and everything owed is sent, or the grace has passed.
    ///
    /// # Errors
    /// The poll failed, or the operator asked to stop at once; or this process is a new one that was made
    /// for one connection, see [`Accepted::Alone`](super::net::Accepted::Alone).
    pub fn run(&mut self) -> io::Result<()> {
        while !self.is_drained() {
            let timeout = self.may_sleep();
            self.turns.end(timeout);
            self.context.net.poll(&mut self.ready, timeout)?;
            self.turn()?;
        }
        self.close_all();
        super::announce_end(&self.context.shared);
        Ok(())
    }

    /// One turn: everything that is ready gets its share, then who was left over, then time, datagrams and
    /// new connections; then the rooms, so that all that was said in the turn leaves in one write; last,
    /// when nobody can refer to them any more, the slots of the dead.
    fn turn(&mut self) -> io::Result<()> {
        let now = self.context.net.now();
        self.turns.begin(self.context.now, now);
        self.context.now = now;
        let mut ready = std::mem::take(&mut self.ready);
        std::mem::swap(&mut self.runnable, &mut self.running);
        self.context.alone = ready.len() + self.running.len() <= 1 && !self.rooms_pending;
        for event in ready.drain(..) {
            self.dispatch(event)?;
        }
        self.ready = ready;
        if !self.running.is_empty() {
            self.run_queued();
        }
        self.tick();
        self.tell_of_drain();
        self.answer_datagrams();
        self.accept_all()?;
        self.rooms_pending = self.feed_rooms();
        if !self.dead.is_empty() {
            self.reap();
        }
        self.start_jobs();
        self.context.shared.end_turn();
        if self.context.shared.is_stop_due() && !self.context.draining {
            self.drain()?;
        }
        debug_assert_eq!(self.check_invariants(), Ok(()));
        Ok(())
    }

    /// Moves those on who were in the run queue when the turn began. The emptied vector is kept, so that turns
    /// allocate nothing.
    fn run_queued(&mut self) {
        let mut running = std::mem::take(&mut self.running);
        for id in running.drain(usize::from(is_planted(Mutant::RunQueueDropped))..) {
            self.advance(id, Slot::dequeue);
        }
        running.clear();
        self.running = running;
    }

    fn dispatch(&mut self, event: Ready) -> io::Result<()> {
        match event.source {
            Source::Conn(id) => self.advance(id, |slot| slot.note(event)),
            Source::Listener(index) => self.acceptor.note(index),
            Source::Datagrams(index) => self.note_datagrams(index),
            Source::Elsewhere => self.look_elsewhere(),
            Source::Jobs => {
                while let Some(id) = self.context.net.job_done() {
                    self.advance(id, |slot| slot.conn.job_done());
                }
            }
            Source::Control => {
                while let Some(command) = self.context.net.command() {
                    self.obey(command)?;
                }
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Drain => self.drain()?,
            Command::HandOver => self.hand_over(),
            Command::Quit => return Err(super::stopped_at_once()),
            Command::Reload => self.read_again(),
            Command::Dump => self.dump(),
        }
        Ok(())
    }

    /// Moves a connection as far as its share of the turn goes, and sees to what follows from that.
    #[inline]
    fn advance(&mut self, id: ConnId, prepare: impl FnOnce(&mut Slot<N::Stream>)) {
        let is_meant = |generation| generation == id.generation || is_planted(Mutant::StaleToken);
        let Some(slot) = self.slots.get_mut(id.key as usize).filter(|slot| is_meant(slot.generation)) else {
            return;
        };
        prepare(slot);
        slot.advance(id, &mut self.context, &mut self.buffer);
        if !slot.is_at_rest() {
            self.settle(id);
        }
    }

    /// After anything was done with a connection: its timer, its place in the run queue, its end.
    fn settle(&mut self, id: ConnId) {
        let Some(slot) = self.slots.get_mut(id.key as usize) else { return };
        if slot.is_dead() {
            // Perhaps not for the first time in this turn: it can be removed only once.
            self.dead.push(id.key);
            return;
        }
        if slot.has_more_to_do() && slot.enqueue() {
            self.runnable.push(id);
        }
        let patience = self.doors.patience(slot.service.into());
        let due = slot.conn.deadline().min(slot.patience_due(patience, &self.context));
        self.timers.arm(id.key, due, self.context.now);
        self.keep_account(id.key);
    }

    /// Calls whose deadline has come. One that was moved later is armed again.
    fn tick(&mut self) {
        while let Some(key) = self.timers.pop(self.context.now) {
            let Some(slot) = self.slots.get_mut(key as usize) else { continue };
            let id = ConnId { key, generation: slot.generation };
            let patience = self.doors.patience(slot.service.into());
            slot.tick(id, &mut self.context, &mut self.buffer, patience);
            self.settle(id);
        }
    }

    /// Has done elsewhere what would make everybody wait.
    #[inline]
    fn start_jobs(&mut self) {
        if !self.context.pool.has_jobs() {
            return;
        }
        for (id, job) in self.context.pool.take_jobs() {
            self.context.net.start_job(id, job);
        }
    }

    /// Frees the slots of the dead, and says how each connection went: of all of them at once.
    fn reap(&mut self) {
        logging::gathered(|| self.reap_each());
    }

    fn reap_each(&mut self) {
        let mut dead = std::mem::take(&mut self.dead);
        for key in dead.drain(..) {
            self.timers.cancel(key);
            if !is_planted(Mutant::AccountKept) {
                self.ledger.forget(key);
            }
            if let Some(mut slot) = self.slots.try_remove(key as usize) {
                let id = ConnId { key, generation: slot.generation };
                let left = Left {
                    source: slot.peer.ip(),
                    was_in: slot.is_guest(),
                    read: slot.moved.read(),
                    written: slot.moved.written(),
                };
                self.doors.leave(slot.service.into(), &left);
                if slot.is_guest() {
                    slot.close(id, &mut self.context);
                }
                self.acceptor.connection_closed();
                if is_planted(Mutant::SocketLeft) {
                    std::mem::forget(slot);
                }
            }
        }
        self.look_at_rooms();
        self.dead = dead;
    }

    /// How long the poll may wait: not at all while anyone has something to do.
    fn may_sleep(&self) -> Option<Duration> {
        let waiting = self.acceptor.has_waiting() || self.datagrams_wait || self.rooms_pending;
        if waiting || !self.runnable.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = self.context.now;
        let stop = self.tell_at.min(self.drained_by).min(self.rooms_due).min(self.speaking_due);
        if is_planted(Mutant::TicksIdly) {
            return Some(Duration::from_millis(500));
        }
        self.timers.next_due(now).min(self.acceptor.paused_until()).min(stop).since(now)
    }

    /// Stops listening; what has come so far is still answered, and then every session is told.
    fn drain(&mut self) -> io::Result<()> {
        self.accept_all()?;
        self.leave(limits::DRAIN_WATCH);
        self.close_listeners();
        self.tell_elsewhere();
        Ok(())
    }

    fn close_listeners(&mut self) {
        self.context.net.turn_away_arriving();
        self.acceptor.close();
    }

    /// Another process serves whoever waits. It is not in a hurry, and neither is this one.
    fn hand_over(&mut self) {
        let hasty = is_planted(Mutant::HandOverHasty);
        self.leave(if hasty { Duration::ZERO } else { limits::HANDOVER_WATCH });
        self.context.net.announce_drain_elsewhere();
    }

    fn tell_elsewhere(&mut self) {
        if !std::mem::replace(&mut self.told_elsewhere, true) {
            self.context.net.drain_elsewhere();
        }
    }

    /// Listens no more. After so long, in which what comes is still answered, every session is told.
    fn leave(&mut self, watch: Duration) {
        self.context.shared.leave();
        let sockets: Vec<_> = self.datagrams.iter().map(Datagrams::socket).collect();
        let listeners: Vec<_> = self.acceptor.listeners().collect();
        self.context.net.stop_listening(&listeners, &sockets);
        self.datagrams.clear();
        self.context.draining = true;
        self.tell_at = self.context.now.after(watch.min(self.grace / 2));
        self.drained_by = self.context.now.after(self.grace);
        super::announce_drain(self.connections(), self.grace);
        for id in self.everyone() {
            self.advance(id, |_| ());
            if let Some(slot) = self.slots.get_mut(id.key as usize) {
                slot.watch_for_drain();
            }
        }
    }

    /// Tells every session of the drain, after what its peer had sent by then.
    fn tell_of_drain(&mut self) {
        if self.tell_at > self.context.now {
            return;
        }
        self.tell_at = Time::NEVER;
        self.close_listeners();
        self.tell_elsewhere();
        for id in self.everyone().into_iter().skip(usize::from(is_planted(Mutant::DrainForgetsOne))) {
            self.advance(id, |_| ());
            if let Some(slot) = self.slots.get_mut(id.key as usize) {
                slot.drain(id, &mut self.context, &mut self.buffer);
                self.settle(id);
            }
        }
    }

    fn everyone(&self) -> Vec<ConnId> {
        self.slots.iter().map(|(key, slot)| conn_id(key, slot.generation)).collect()
    }

    fn is_drained(&self) -> bool {
        self.context.draining && (self.connections() == 0 || self.drained_by <= self.context.now)
    }

    /// Ends whoever is left after the grace.
    fn close_all(&mut self) {
        for (key, slot) in &mut self.slots {
            slot.conn.fail(Why::Shutdown);
            self.dead.extend(u32::try_from(key));
        }
        self.reap();
        self.start_jobs();
        self.context.shared.end_turn();
    }

    /// What must hold between turns; looked at in debug builds.
    fn check_invariants(&self) -> Result<(), String> {
        if !self.dead.is_empty() {
            return Err("a dead connection kept its slot".into());
        }
        let listener = !self.acceptor.is_stirred && self.acceptor.list.iter().any(|it| it.waiting);
        if listener || !self.datagrams_wait && self.datagrams.iter().any(Datagrams::is_waiting) {
            return Err("a listener or a datagram socket was forgotten".into());
        }
        for (key, slot) in &self.slots {
            let id = conn_id(key, slot.generation);
            if slot.has_more_to_do() && !self.runnable.contains(&id) {
                return Err(format!("connection {key} was forgotten: {:?}", slot.conn));
            }
            if slot.is_queued() != self.runnable.contains(&id) {
                return Err(format!("connection {key} is wrong about the run queue"));
            }
        }
        Ok(())
    }
}

fn conn_id(key: usize, generation: u32) -> ConnId {
    ConnId { key: u32::try_from(key).unwrap_or(u32::MAX), generation }
}
