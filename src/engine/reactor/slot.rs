//! A connection and its socket: reading, writing, and the steps to its end.

use std::sync::Arc;

use bitflags::bitflags;
use rustix::io::Errno;

use super::super::net::{Net, Ready};
use super::super::patience::Patience;
use super::Context;
use super::moved::Moved;
use super::watch::low;
use crate::conn::{Conn, Env, Life};
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::observer::Closed;
use crate::out::Front;
use crate::peer::Peer;
use crate::protocol::{ConnId, Why};
use crate::room::{Fed, MemberId, Rooms};
use crate::time::Time;

mod end;

bitflags! {
    /// What is known about a connection's socket and its place in the turn.
    #[derive(Debug, Clone, Copy)]
    struct Marks: u8 {
        /// What the poll said and no system call has denied since: edges are told once.
        const READABLE = 1;
        const WRITABLE = 1 << 1;
        /// The peer's end was seen coming: read until 0, for no other event will.
        const READ_CLOSED = 1 << 2;
        /// The room has something for it: more than one turn allows, or its socket took nothing.
        const UNHEARD = 1 << 3;
        const IN_RUN_QUEUE = 1 << 4;
        /// Something was read, since a drain began if there is one.
        const STIRRED = 1 << 5;
        /// It was not let in, and is only told why.
        const REFUSED = 1 << 6;
        /// It has an account in the ledger.
        const COUNTED = 1 << 7;
    }
}

/// See the module. Idle, this is all the memory that a connection takes.
#[derive(Debug)]
pub(super) struct Slot<S> {
    pub(super) conn: Conn,
    pub(super) peer: Peer,
    /// Bytes since the beginning.
    pub(super) moved: Moved,
    pub(super) stream: S,
    pub(super) generation: u32,
    /// In hundredths of a second since the engine started, which is good for 497 days.
    opened: u32,
    /// When something was last heard or, in a room, said to it: see [`low`].
    pub(super) stamp: u32,
    pub(super) service: u16,
    marks: Marks,
}

const _: () = assert!(size_of::<Slot<std::os::fd::OwnedFd>>() <= 80);

impl<S> Slot<S> {
    pub(super) fn new(conn: Conn, stream: S, peer: Peer, service: u16, generation: u32, now: Time) -> Self {
        Self {
            conn,
            peer,
            moved: Moved::default(),
            stream,
            generation,
            opened: hundredths(now),
            stamp: low(now),
            service,
            // A fresh socket takes what fits; if not, it says so.
            marks: Marks::WRITABLE,
        }
    }

    /// It was not let in.
    pub(super) fn refused(mut self) -> Self {
        self.marks.insert(Marks::REFUSED);
        self
    }

    /// Whether it was let in.
    pub(super) fn is_guest(&self) -> bool {
        !self.is(Marks::REFUSED)
    }

    /// Remembers what an event said.
    pub(super) fn note(&mut self, event: Ready) {
        self.marks |= Marks::READABLE & mask(event.readable);
        self.marks |= Marks::WRITABLE & mask(event.writable && !is_planted(Mutant::LostWakeUp));
        self.marks |= Marks::READ_CLOSED & mask(event.read_closed);
    }

    /// Puts it into the run queue; false if it is there already.
    pub(super) fn enqueue(&mut self) -> bool {
        let new = !self.is_queued();
        self.marks.insert(Marks::IN_RUN_QUEUE);
        new
    }

    /// Takes it out of the run queue.
    pub(super) fn dequeue(&mut self) {
        self.marks.remove(Marks::IN_RUN_QUEUE);
    }

    pub(super) fn is_queued(&self) -> bool {
        self.marks.contains(Marks::IN_RUN_QUEUE)
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(self.conn.life(), Life::Dead(_))
    }

    /// Whether the connection could go on at once if it had another turn.
    pub(super) fn has_more_to_do(&self) -> bool {
        let can_write = self.is(Marks::WRITABLE) && !self.conn.is_flushed();
        let lingers = matches!(self.conn.life(), Life::Lingering(_));
        let can_read = self.is(Marks::READABLE) && (lingers || self.conn.wants_input());
        let can_hear = self.is(Marks::UNHEARD) && self.can_be_fed() && self.conn.life() == Life::Open;
        !self.is_dead() && (can_write || can_read || can_hear || self.conn.has_turn())
    }

    /// Whether the socket takes what a room has for it, and nothing stands before that.
    pub(super) fn can_be_fed(&self) -> bool {
        self.is(Marks::WRITABLE) && self.conn.is_flushed()
    }

    /// Asks for the events of the socket.
    pub(super) fn watch<N: Net<Stream = S>>(
        &self,
        id: ConnId,
        context: &mut Context<N>,
    ) -> std::io::Result<()> {
        context.net.watch(&self.stream, id)
    }

    /// Starts the session.
    pub(super) fn open<N: Net<Stream = S>>(
        &mut self,
        id: ConnId,
        context: &mut Context<N>,
        buffer: &mut [u8],
    ) {
        self.with_env(id, context, Conn::open);
        self.go_out(context, buffer);
    }

    /// Sends what there is, and takes the steps that follow.
    pub(super) fn go_out<N: Net<Stream = S>>(&mut self, context: &mut Context<N>, buffer: &mut [u8]) {
        self.flush(context, &[]);
        self.conclude(context, buffer);
    }

    /// Reads before any event: most clients speak first, and often what they say has come by the time they
    /// are accepted.
    pub(super) fn look<N: Net<Stream = S>>(
        &mut self,
        id: ConnId,
        context: &mut Context<N>,
        buffer: &mut [u8],
    ) {
        if self.conn.wants_input() {
            self.marks.insert(Marks::READABLE);
            self.advance(id, context, buffer);
        }
    }

    /// One turn: what waits is sent, the session gets what it waits for, then input until the share of
    /// the turn is used up.
    pub(super) fn advance<N: Net<Stream = S>>(
        &mut self,
        id: ConnId,
        context: &mut Context<N>,
        buffer: &mut [u8],
    ) {
        if !self.conn.is_quiet() && !self.is_dead() && !is_planted(Mutant::SkippedFlush) {
            self.flush(context, &[]);
        }
        let reads_first = self.is(Marks::READABLE) && self.conn.wants_input();
        if !reads_first {
            self.go_on(id, context);
        }
        let mut share = limits::READ_PER_TURN;
        while share > 0 && self.is(Marks::READABLE) && self.conn.wants_input() {
            share = share.saturating_sub(self.read_once(id, context, buffer));
        }
        if reads_first {
            self.go_on(id, context);
        }
        if !self.conn.is_quiet() {
            self.conclude(context, buffer);
        }
        if self.is(Marks::UNHEARD) && self.can_be_fed() {
            self.hear(id, context);
        }
        self.conn.rest(context.now);
    }

    /// What it could not take when it was its turn to be fed.
    fn hear<N: Net<Stream = S>>(&mut self, id: ConnId, context: &mut Context<N>) {
        let Some(member) = self.conn.member() else { return self.marks.remove(Marks::UNHEARD) };
        let shared = Arc::clone(&context.shared);
        self.feed(member, id, context, &mut shared.rooms());
    }

    /// The session gets what it waits for. If it can be read, that comes before: a session that fills the
    /// output whenever there is room would never hear that its peer is done.
    #[inline]
    fn go_on<N: Net<Stream = S>>(&mut self, id: ConnId, context: &mut Context<N>) {
        if self.conn.has_turn() {
            self.give_turn(id, context);
        }
    }

    fn give_turn<N: Net<Stream = S>>(&mut self, id: ConnId, context: &mut Context<N>) {
        self.with_env(id, context, Conn::go_on);
        self.flush(context, &[]);
    }

    /// A drain begins: from here on it counts who is still sending.
    pub(super) fn watch_for_drain(&mut self) {
        self.marks.remove(Marks::STIRRED);
    }

    /// Tells the session that the daemon is stopping.
    pub(super) fn drain<N: Net<Stream = S>>(
        &mut self,
        id: ConnId,
        context: &mut Context<N>,
        buffer: &mut [u8],
    ) {
        self.with_env(id, context, Conn::drain);
        self.go_out(context, buffer);
    }

    /// Whether nothing is left to do but wait for an event, without a deadline.
    pub(super) fn is_at_rest(&self) -> bool {
        // Who has an account must be looked at once more, to close it.
        let waits = self.marks.intersects(Marks::READABLE | Marks::UNHEARD | Marks::COUNTED);
        self.conn.is_quiet() && !waits && self.conn.deadline() == Time::NEVER
    }

    /// What it holds in memory beside its slot, and whether that was more than nothing when this was last asked.
    pub(super) fn holds(&mut self) -> (usize, bool) {
        let (held, was) = (self.conn.holds(), self.is(Marks::COUNTED));
        self.marks.set(Marks::COUNTED, held > 0);
        (held, was)
    }

    /// Calls the session if its deadline has come.
    pub(super) fn tick<N: Net<Stream = S>>(
        &mut self,
        id: ConnId,
        context: &mut Context<N>,
        buffer: &mut [u8],
        patience: Patience,
    ) {
        if let Some(out) = self.conn.out() {
            out.set_received(context.net.received(&self.stream));
        }
        self.with_env(id, context, Conn::tick);
        self.lose_patience(patience, id, context);
        self.go_out(context, buffer);
        self.conn.rest(context.now);
    }

    /// Whether this is the connection of that name, and its session runs.
    pub(super) fn is_open_as(&self, id: ConnId) -> bool {
        self.generation == id.generation && self.conn.life() == Life::Open
    }

    /// Gives the socket what the room has for the member that it is.
    pub(super) fn feed<N: Net<Stream = S>>(
        &mut self,
        member: MemberId,
        id: ConnId,
        context: &mut Context<N>,
        rooms: &mut Rooms,
    ) {
        if !self.can_be_fed() {
            self.marks.insert(Marks::UNHEARD);
            return rooms.stalls(member, context.now);
        }
        let (net, stream) = (&mut context.net, &self.stream);
        let (mut written, mut failed, mut blocked) = (0, None, false);
        let fed = rooms.feed_to(member, id, context.now, |bytes| {
            let taken = match uninterrupted(|| net.write(stream, bytes, &[], false)) {
                Ok(n) => n,
                Err(Errno::AGAIN) => 0,
                Err(error) => {
                    failed = Some(error);
                    0
                }
            };
            blocked |= taken < bytes.len();
            written += taken;
            taken
        });
        self.marks.set(Marks::UNHEARD, fed != Fed::All);
        self.moved.add_written(written);
        if written > 0 {
            self.stamp = low(context.now);
        }
        if blocked {
            self.marks.remove(Marks::WRITABLE);
        }
        if let Some(error) = failed {
            self.broke(error, context);
        }
    }

    /// Says good-bye to the session and to the log; the socket closes with the slot.
    pub(super) fn close<N: Net<Stream = S>>(&mut self, id: ConnId, context: &mut Context<N>) {
        let Life::Dead(why) = self.conn.life() else { return };
        self.with_env(id, context, |conn, env| conn.closed(why, env));
        context.shared.observer.closed(&Closed {
            service: context.services.get(usize::from(self.service)).map_or("", |service| &service.name),
            peer: &self.peer,
            seconds: f64::from(hundredths(context.now).saturating_sub(self.opened)) / 100.0,
            read: self.moved.read(),
            written: self.moved.written(),
            why,
        });
    }

    /// Reads once and lets the session have it; returns what that cost of the turn's share.
    #[inline]
    fn read_once<N: Net<Stream = S>>(
        &mut self,
        id: ConnId,
        context: &mut Context<N>,
        buffer: &mut [u8],
    ) -> usize {
        match context.net.read(&self.stream, buffer) {
            Ok(n) if n > 0 => {
                self.got(n, buffer.len());
                self.stamp = low(context.now);
                let bytes = buffer.get(..n).unwrap_or_default();
                self.with_env(id, context, |conn, env| conn.input(bytes, env));
                self.flush(context, bytes);
                return n;
            }
            Ok(_) => {
                self.marks.remove(Marks::READABLE);
                self.marks.insert(Marks::READ_CLOSED);
                self.with_env(id, context, Conn::peer_done);
                self.flush(context, &[]);
            }
            Err(Errno::AGAIN) => self.marks.remove(Marks::READABLE),
            Err(Errno::INTR) => {}
            Err(_) if is_planted(Mutant::ResetUnnoticed) => self.marks.remove(Marks::READABLE),
            Err(error) => self.broke(error, context),
        }
        0
    }

    /// A short read has emptied the socket: the read that would say so is saved. But nothing else will
    /// say that the peer is done.
    #[inline]
    fn got(&mut self, n: usize, asked: usize) {
        self.moved.add_read(n);
        self.marks.insert(Marks::STIRRED);
        let ends = self.is(Marks::READ_CLOSED) && !is_planted(Mutant::ForgottenReadClose);
        if n < asked && !ends {
            self.marks.remove(Marks::READABLE);
        }
    }

    /// Writes what waits, until the socket takes no more or a file has had its share of the turn.
    /// `read_buffer` holds what was read last, if the output may refer to it.
    fn flush<N: Net<Stream = S>>(&mut self, context: &mut Context<N>, read_buffer: &[u8]) {
        let mut share = if context.alone { limits::FILE_PER_TURN_ALONE } else { limits::FILE_PER_TURN };
        let ends = self.conn.life().is_finishing();
        while share > 0 && self.is(Marks::WRITABLE) {
            let Some(out) = self.conn.out() else { break };
            let (sent, wanted) = match out.front(read_buffer) {
                Front::Empty => break,
                Front::Bytes(first, second) => {
                    let sent = context.net.write(&self.stream, first, second, ends || out.is_file_next());
                    (sent, first.len() + second.len())
                }
                Front::File(range) => {
                    let wanted = usize::try_from(range.len).unwrap_or(usize::MAX).min(share);
                    let sent = context.net.send_file(&self.stream, &range.file, range.offset, wanted);
                    share = share.saturating_sub(sent.unwrap_or(0));
                    // A file that has become shorter than promised must not pass for a whole one. And a
                    // short send says nothing about the socket: ask again.
                    (sent.and_then(|n| if n == 0 { Err(Errno::IO) } else { Ok(n) }), 0)
                }
            };
            match sent {
                Ok(n) => {
                    out.advance(n as u64);
                    let is_done = out.is_empty();
                    self.moved.add_written(n);
                    if n < wanted {
                        self.marks.remove(Marks::WRITABLE);
                    }
                    if is_done {
                        break;
                    }
                }
                Err(Errno::AGAIN) => {
                    self.marks.remove(Marks::WRITABLE);
                    if out.wants_received() {
                        out.set_received(context.net.received(&self.stream));
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::IO) => return self.conn.fail(Why::Failed),
                Err(error) => return self.broke(error, context),
            }
        }
        self.conn.settle(read_buffer, &mut context.pool);
    }

    fn is(&self, mark: Marks) -> bool {
        self.marks.contains(mark)
    }

    pub(super) fn with_env<N, T>(
        &mut self,
        id: ConnId,
        context: &mut Context<N>,
        call: impl FnOnce(&mut Conn, &mut Env<'_>) -> T,
    ) -> T {
        if self.conn.is_at_rest()
            && let Some(service) = context.services.get(usize::from(self.service))
        {
            self.conn.wake(&service.options);
        }
        let mut env =
            Env { now: context.now, shared: &context.shared, pool: &mut context.pool, peer: &self.peer, id };
        call(&mut self.conn, &mut env)
    }
}

/// An interruption says nothing about the socket: no event would follow.
fn uninterrupted(mut write: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match write() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

fn mask(yes: bool) -> Marks {
    if yes { Marks::all() } else { Marks::empty() }
}

fn hundredths(time: Time) -> u32 {
    u32::try_from(time.as_millis() / 10).unwrap_or(u32::MAX)
}
