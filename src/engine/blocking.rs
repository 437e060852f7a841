//! One connection by plain blocking calls: read, let the session work, write; the kernel makes it wait.
//!
//! Every engine but the reactor serves its connections so. What differs between them is a [`Host`]: a thread
//! among others, a process of its own, or the one after the other of a server that has one client at a time.
//! Deadlines are the socket's time-outs, back-pressure is a write that blocks, and a drain is told by the
//! end of input that `shutdown(2)` makes.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, RwLockReadGuard};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::sockopt;

use super::patience::Patience;
use super::sockets;
use crate::access::Refusal;
use crate::conn::{Conn, Env, Life, Pool};
use crate::limits;
use crate::out::Front;
use crate::peer::Peer;
use crate::protocol::{ConnId, Why};
use crate::service::Service;
use crate::shared::Shared;
use crate::time::Time;

pub(super) mod datagrams;
mod end;
mod writer;

use writer::Writer;

/// Stack of a thread: sessions are small and nothing recurses.
pub(super) const STACK: usize = 256 * 1024;

/// How often to look whether another thread, or a peer, is through.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Shorter waits, in milliseconds, are kept to the millisecond.
const EXACT: u64 = 64;

/// Who serves the connection.
pub(super) trait Host {
    /// The services as they are by now.
    fn services(&self) -> Arc<Vec<Service>>;

    /// How long whoever connects to the service of this index is waited for.
    fn patience(&self, service: usize) -> Patience;

    /// What whoever is let in there is sent first.
    fn banner(&self, service: usize) -> Option<String>;

    /// Whether a datagram that came to it from there is looked at.
    fn hears(&self, service: usize, source: Option<IpAddr>) -> bool;

    /// What its connections share.
    fn shared(&self) -> &Arc<Shared>;

    /// The present moment.
    fn now(&self) -> Time;

    /// Whether the daemon is stopping. Who is told of it is also woken from its read, by the end of input.
    fn is_draining(&self) -> bool;

    /// A datagram is being answered until what is returned is dropped: it is not to be lost to the end.
    fn answers(&self) -> Option<RwLockReadGuard<'_, ()>> {
        None
    }

    /// Whether there will be a drain, which those who are not told by what they share learn here.
    fn is_leaving(&self) -> bool {
        false
    }

    /// A member of a room was called, and may have said something.
    fn tell_members(&self) {}

    /// A session wants the daemon to stop.
    fn ask_to_stop(&self) {}
}

/// What a connection has moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// Bytes read from the peer.
    pub(super) read: u64,
    /// Bytes written to it.
    pub(super) written: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Connection<H> {
    host: H,
    id: ConnId,
    stream: Arc<OwnedFd>,
    peer: Peer,
    service: usize,
    conn: Conn,
    pool: Pool,
    buffer: Vec<u8>,
    /// The second thread of a room's member.
    writer: Option<Writer>,
    /// The read time-out that the socket has now.
    timeout: Option<Duration>,
    told_to_drain: bool,
    /// Its peer has sent something since the daemon is stopping.
    sends_on: bool,
    /// It was read from after its deadline.
    heard_late: bool,
    opened: Instant,
    moved: Moved,
    patience: Patience,
    /// When something was last heard or, in a room, said to it.
    stirred: Time,
    /// It was let in; else it is only told why not.
    is_guest: bool,
}

impl<H: Host> Connection<H> {
    /// A connection of the service of this index; `None` if there is no such service.
    pub(super) fn new(host: H, id: ConnId, stream: Arc<OwnedFd>, peer: Peer, service: usize) -> Option<Self> {
        let conn = Conn::new(host.services().get(service)?.session());
        let (patience, stirred) = (host.patience(service), host.now());
        Some(Self {
            patience,
            stirred,
            is_guest: true,
            host,
            id,
            stream,
            peer,
            service,
            conn,
            pool: Pool::default(),
            // Never filled with zeros: of a client that says little, only the first page is ever touched.
            buffer: Vec::with_capacity(limits::READ_BUFFER),
            writer: None,
            timeout: None,
            told_to_drain: false,
            sends_on: false,
            heard_late: false,
            opened: Instant::now(),
            moved: Moved::default(),
        })
    }

    /// Serves the connection from its first to its last moment.
    pub(super) fn run(mut self, entered: Result<(), Refusal>) -> Moved {
        // A peer that does not read must not hide the deadlines.
        let look = Some(limits::BLOCKED_WRITE);
        let _ = sockopt::set_socket_timeout(&*self.stream, sockopt::Timeout::Send, look);
        match entered {
            Ok(()) => self.open(),
            Err(refusal) => {
                self.is_guest = false;
                self.serve(|conn, env| conn.refuse(refusal, env));
            }
        }
        let why = loop {
            match self.conn.life() {
                Life::Open if self.conn.has_turn() => {
                    // One that never reads, as chargen's, learns of a drain here.
                    if self.host.is_draining() && !std::mem::replace(&mut self.told_to_drain, true) {
                        self.end(Conn::drain);
                    } else {
                        self.serve(Conn::go_on);
                    }
                }
                Life::Open | Life::Lingering(_) => self.wait_for_input(),
                Life::Finishing(why) => self.finish(why),
                Life::Dead(why) => break why,
            }
        };
        self.close(why);
        self.moved
    }

    fn open(&mut self) {
        let banner = self.host.banner(self.service);
        if let Some(banner) = banner {
            self.call(|conn, env| conn.greet(&banner, env));
        }
        self.serve(Conn::open);
    }

    /// Waits until the peer sends something, its end comes, or the deadline.
    fn wait_for_input(&mut self) {
        if self.host.is_draining() && !self.told_to_drain && self.has_said_all() {
            self.told_to_drain = true;
            return self.end(Conn::drain);
        }
        let now = self.host.now();
        let mut wait = self.conn.deadline().since(now);
        if wait.is_some_and(|wait| wait.is_zero()) {
            if !self.hears_first() {
                return self.serve(Conn::tick);
            }
            wait = None;
        } else {
            self.heard_late = false;
        }
        if self.conn.is_paused() && self.conn.life() == Life::Open {
            return std::thread::sleep(wait.unwrap_or_default());
        }
        let silence = self.silence(now);
        if silence.is_some_and(|wait| wait.is_zero()) {
            return self.end(|conn, env| conn.give_up(Why::TimedOut, env));
        }
        self.set_timeout(wait.into_iter().chain(silence).min());
        self.buffer.clear();
        match rustix::io::read(&*self.stream, spare_capacity(&mut self.buffer)) {
            Ok(0) => self.end_of_input(),
            Ok(n) => self.input(n),
            // The time-out has passed: the next round sees what is due.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.conn.fail(Why::PeerReset),
        }
    }

    /// Whether input goes before a deadline that has passed. What this thread has slept through has come in time,
    /// as far as anyone knows. Only once: a peer that sends on could hold off its deadline otherwise.
    fn hears_first(&mut self) -> bool {
        let reads = !(self.conn.is_paused() && self.conn.life() == Life::Open);
        reads && !std::mem::replace(&mut self.heard_late, true) && sockets::has_unread(&*self.stream)
    }

    /// How much longer the service waits for a peer that is silent; `None` for ever.
    fn silence(&mut self, now: Time) -> Option<Duration> {
        if self.patience.is_endless() || self.conn.life() != Life::Open {
            return None;
        }
        if self.writer.as_ref().is_some_and(Writer::has_written) {
            self.stirred = now;
        }
        self.patience.silence_due(self.stirred, self.moved.read > 0).since(now)
    }

    fn input(&mut self, n: usize) {
        self.moved.read += n as u64;
        self.stirred = self.host.now();
        self.sends_on |= self.host.is_draining();
        if let Life::Lingering(why) = self.conn.life() {
            if self.conn.has_lingered(n) {
                self.conn.fail(why);
            }
            return;
        }
        self.in_turn(|it| {
            let buffer = std::mem::take(&mut it.buffer);
            let bytes = buffer.get(..n).unwrap_or_default();
            it.call(|conn, env| conn.input(bytes, env));
            it.buffer = buffer;
            it.write_all(n);
        });
    }

    /// Calls the session and writes what it has to say.
    fn serve<T>(&mut self, call: impl FnOnce(&mut Conn, &mut Env<'_>) -> T) {
        self.in_turn(|it| {
            it.call(call);
            it.write_all(0);
        });
    }

    /// Does what calls the session and writes. A member of a room has its own turn for that, so that what it
    /// hears keeps the order in which it was said: what others said before, the reply, what others say then.
    fn in_turn(&mut self, work: impl FnOnce(&mut Self)) {
        // Out of the way of the session, which may be called in the middle of this.
        let writer = self.writer.take();
        let turn = writer.as_ref().map(Writer::turn);
        if let Some(turn) = &turn {
            turn.catch_up(self.host.shared());
        }
        work(self);
        if let (Some(writer), true) = (&writer, self.conn.life() != Life::Open) {
            // Nobody hears anything behind the last word to it.
            writer.stop();
        }
        drop(turn);
        self.writer = writer;
        // One that becomes a member does so when what it said before is sent: a handshake, for instance.
        if self.writer.is_none()
            && let Some(member) = self.conn.member()
        {
            self.writer = Writer::start(self.host.shared(), &self.stream, (member, self.id));
        }
    }

    /// Calls a session that may be at its end, and writes what it has to say. A member that reads nothing
    /// may have a second thread that waits for ever: that is not waited for.
    fn end(&mut self, call: impl FnOnce(&mut Conn, &mut Env<'_>)) {
        self.call(call);
        let writer = self.writer.take();
        let turn = writer.as_ref().map(|writer| writer.turn_within(limits::FINISH_PROGRESS));
        if matches!(turn, Some(None)) {
            self.conn.fail(Why::TimedOut);
        } else {
            self.write_all(0);
        }
        if let (Some(writer), true) = (&writer, self.conn.life() != Life::Open) {
            writer.stop();
        }
        drop(turn);
        self.writer = writer;
    }

    /// Writes everything that waits; `fresh` bytes of the buffer were read last.
    fn write_all(&mut self, fresh: usize) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut fresh = buffer.get(..fresh).unwrap_or_default();
        // In a drain the end may have to wait, and what comes before it must not wait with it.
        let ends = self.conn.life().is_finishing() && !self.told_to_drain;
        while !matches!(self.conn.life(), Life::Dead(_)) {
            let Some(out) = self.conn.out() else { break };
            let sent = match out.front(fresh) {
                Front::Empty => break,
                Front::Bytes(first, second) => {
                    sockets::write(self.stream.as_fd(), first, second, ends || out.is_file_next())
                }
                Front::File(range) => {
                    let wanted = usize::try_from(range.len).unwrap_or(usize::MAX).min(limits::FILE_PER_TURN);
                    let sent = sockets::send_file(self.stream.as_fd(), &range.file, range.offset, wanted);
                    sent.and_then(|n| if n == 0 { Err(Errno::IO) } else { Ok(n) })
                }
            };
            match sent {
                Ok(n) => {
                    out.advance(n as u64);
                    self.moved.written += n as u64;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    out.keep(fresh);
                    fresh = &[];
                    self.look_at_the_clock();
                }
                Err(Errno::IO) => self.conn.fail(Why::Failed),
                Err(_) => self.conn.fail(Why::PeerReset),
            }
        }
        self.conn.settle(fresh, &mut self.pool);
        self.buffer = buffer;
    }

    /// The peer takes nothing for now: the session is told if its deadline has passed.
    fn look_at_the_clock(&mut self) {
        let is_due = self.conn.deadline() <= self.host.now();
        if let Some(out) = self.conn.out()
            && (is_due || out.wants_received())
        {
            out.set_received(sockets::received(self.stream.as_fd()));
        }
        if is_due {
            self.call(Conn::tick);
        }
        self.look_at_progress();
    }

    /// Gives up a peer that takes next to nothing for as long as the service waits.
    fn look_at_progress(&mut self) {
        if !self.patience.minds_progress() || self.conn.life() != Life::Open {
            return;
        }
        let now = self.host.now();
        let taken = sockets::received(self.stream.as_fd()).unwrap_or(self.moved.written);
        let since = self.conn.stuck_since(now, || taken);
        if self.patience.progress_due(since) <= now && !self.conn.has_taken(taken, limits::PROGRESS, now) {
            self.conn.fail(Why::TimedOut);
        }
        self.stirred = now;
    }

    fn set_timeout(&mut self, wait: Option<Duration>) {
        let wait = wait.map(coarse);
        if self.timeout == wait {
            return;
        }
        self.timeout = wait;
        match sockopt::set_socket_timeout(&*self.stream, sockopt::Timeout::Recv, wait) {
            Err(error) if error.kind() != ErrorKind::InvalidInput => self.conn.fail(Why::Failed),
            _ => {}
        }
    }

    /// Calls the session, then tells the other members if it said something.
    fn call<T>(&mut self, call: impl FnOnce(&mut Conn, &mut Env<'_>) -> T) {
        if self.host.is_leaving() {
            self.host.shared().leave();
        }
        let mut env = Env {
            now: self.host.now(),
            shared: self.host.shared(),
            pool: &mut self.pool,
            peer: &self.peer,
            id: self.id,
        };
        let was_member = self.conn.member().is_some();
        call(&mut self.conn, &mut env);
        // Nobody waits here but the connection's own peer: a job may take its time.
        for (_, job) in self.pool.take_jobs() {
            job.run();
            self.conn.job_done();
        }
        self.host.shared().end_turn();
        if self.host.shared().is_stop_due() {
            self.host.ask_to_stop();
        }
        if was_member || self.conn.member().is_some() || self.writer.is_some() {
            self.host.tell_members();
        }
    }
}

/// Not longer, and the same for waits that hardly differ: a look that comes too early is one for a silent
/// peer, a time-out that is set anew is a system call for each message of a busy one.
fn coarse(wait: Duration) -> Duration {
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let shift = millis.checked_ilog2().unwrap_or(0).saturating_sub(2);
    if millis < EXACT { wait } else { Duration::from_millis(millis >> shift << shift) }
}

#[cfg(test)]
mod tests;
