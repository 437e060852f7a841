//! The thread of one connection.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{Shutdown, sockopt};

use super::super::doors::Left;
use super::super::patience::Patience;
use super::super::sockets;
use super::State;
use super::writer::Writer;
use crate::access::Refusal;
use crate::conn::{Conn, Env, Life, Pool};
use crate::limits;
use crate::observer::Closed;
use crate::out::Front;
use crate::peer::Peer;
use crate::protocol::{ConnId, Why};
use crate::time::Time;

/// See the module.
#[derive(Debug)]
pub(super) struct Worker {
    state: Arc<State>,
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
    opened: Instant,
    read: u64,
    written: u64,
    patience: Patience,
    /// When something was last heard or, in a room, said to it.
    stirred: Time,
    /// It was let in; else it is only told why not.
    is_guest: bool,
}

impl Worker {
    pub(super) fn new(
        state: Arc<State>,
        id: ConnId,
        stream: Arc<OwnedFd>,
        (peer, service): (Peer, usize),
        conn: Conn,
    ) -> Self {
        let (patience, stirred) = (state.doors().patience(service), state.now());
        Self {
            patience,
            stirred,
            is_guest: true,
            state,
            id,
            stream,
            peer,
            service,
            conn,
            pool: Pool::default(),
            buffer: vec![0; limits::READ_BUFFER],
            writer: None,
            timeout: None,
            told_to_drain: false,
            opened: Instant::now(),
            read: 0,
            written: 0,
        }
    }

    /// Serves the connection from its first to its last moment.
    pub(super) fn run(mut self, entered: Result<(), Refusal>) {
        // A peer that does not read must not hide the deadlines.
        let look = Some(limits::BLOCKED_WRITE);
        let _ = sockopt::set_socket_timeout(&*self.stream, sockopt::Timeout::Send, look);
        match entered {
            Ok(()) => self.open(),
            Err(refusal) => {
                self.is_guest = false;
                self.call(|conn, env| conn.refuse(refusal, env));
            }
        }
        self.flush(0);
        let why = loop {
            match self.conn.life() {
                Life::Open if self.conn.has_turn() => {
                    // One that never reads, as chargen's, learns of a drain here.
                    if self.state.is_draining() && !std::mem::replace(&mut self.told_to_drain, true) {
                        self.call(Conn::drain);
                    } else {
                        self.call(Conn::go_on);
                    }
                    self.flush(0);
                }
                Life::Open | Life::Lingering(_) => self.wait_for_input(),
                Life::Finishing(why) => self.finish(why),
                Life::Dead(why) => break why,
            }
        };
        self.close(why);
    }

    fn open(&mut self) {
        self.state.shared.observer.opened();
        let banner = self.state.doors().banner(self.service).map(str::to_owned);
        if let Some(banner) = banner {
            self.call(|conn, env| conn.greet(&banner, env));
        }
        self.call(Conn::open);
    }

    /// Waits until the peer sends something, its end comes, or the deadline.
    fn wait_for_input(&mut self) {
        if self.state.is_draining() && !self.told_to_drain && !sockets::has_unread(&*self.stream) {
            self.told_to_drain = true;
            self.call(Conn::drain);
            return self.flush(0);
        }
        let now = self.state.now();
        let wait = self.conn.deadline().since(now);
        if wait.is_some_and(|wait| wait.is_zero()) {
            self.call(Conn::tick);
            return self.flush(0);
        }
        if self.conn.is_paused() && self.conn.life() == Life::Open {
            return std::thread::sleep(wait.unwrap_or_default());
        }
        let silence = self.silence(now);
        if silence.is_some_and(|wait| wait.is_zero()) {
            self.call(|conn, env| conn.give_up(Why::TimedOut, env));
            return self.flush(0);
        }
        self.set_timeout(wait.into_iter().chain(silence).min());
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = rustix::io::read(&*self.stream, &mut buffer);
        self.buffer = buffer;
        match read {
            Ok(0) => self.end_of_input(),
            Ok(n) => self.input(n),
            // The time-out has passed: the next round sees what is due.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.conn.fail(Why::PeerReset),
        }
    }

    /// How much longer the service waits for a peer that is silent; `None` for ever.
    fn silence(&mut self, now: Time) -> Option<Duration> {
        if self.patience.is_endless() || self.conn.life() != Life::Open {
            return None;
        }
        if self.writer.as_ref().is_some_and(Writer::has_written) {
            self.stirred = now;
        }
        self.patience.silence_due(self.stirred, self.read > 0).since(now)
    }

    fn input(&mut self, n: usize) {
        self.read += n as u64;
        self.stirred = self.state.now();
        if let Life::Lingering(why) = self.conn.life() {
            if self.conn.has_lingered(n) {
                self.conn.fail(why);
            }
            return;
        }
        let buffer = std::mem::take(&mut self.buffer);
        let bytes = buffer.get(..n).unwrap_or_default();
        self.call(|conn, env| conn.input(bytes, env));
        self.buffer = buffer;
        self.flush(n);
    }

    /// The peer is done; or the main thread says so, to have this one come to its end.
    fn end_of_input(&mut self) {
        if let Life::Lingering(why) = self.conn.life() {
            return self.conn.fail(why);
        }
        if self.state.is_draining() && !std::mem::replace(&mut self.told_to_drain, true) {
            self.call(Conn::drain);
        } else {
            self.call(Conn::peer_done);
        }
        self.flush(0);
    }

    /// Everything is sent: lingers if input is unread, for closing then would reset the connection.
    fn finish(&mut self, why: Why) {
        // A session that ends before anything was read cannot know what is on its way.
        let unheard = matches!(why, Why::Complete | Why::Refused) && self.read == 0;
        let may_be_unread = why == Why::BadInput || unheard || sockets::has_unread(&*self.stream);
        if self.conn.is_peer_done() || !may_be_unread {
            return self.conn.fail(why);
        }
        let _ = rustix::net::shutdown(&*self.stream, Shutdown::Write);
        self.conn.linger(why, self.state.now().after(limits::LINGER));
    }

    /// Writes everything that waits; `fresh` bytes of the buffer were read last.
    fn flush(&mut self, fresh: usize) {
        // Out of the way of the session, which may be called in the middle of this.
        let writer = self.writer.take();
        let turn = match &writer {
            None => None,
            Some(writer) if !matches!(self.conn.life(), Life::Finishing(_)) => Some(writer.turn()),
            Some(writer) => writer.turn_within(limits::FINISH_PROGRESS),
        };
        if turn.is_none() && writer.is_some() {
            // It has ended its side and reads nothing: both threads would wait for ever.
            self.conn.fail(Why::TimedOut);
        } else {
            self.write_all(fresh);
        }
        drop(turn);
        self.writer = writer;
        // One that becomes a member does so when what it said before is sent: a handshake, for instance.
        if self.writer.is_none()
            && let Some(member) = self.conn.member()
        {
            self.writer = Writer::start(&self.state.shared, &self.stream, (member, self.id));
        }
    }

    fn write_all(&mut self, fresh: usize) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut fresh = buffer.get(..fresh).unwrap_or_default();
        while !matches!(self.conn.life(), Life::Dead(_)) {
            let Some(out) = self.conn.out() else { break };
            let sent = match out.front(fresh) {
                Front::Empty => break,
                Front::Bytes(first, second) => {
                    sockets::write(self.stream.as_fd(), first, second, out.is_file_next())
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
                    self.written += n as u64;
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
        let is_due = self.conn.deadline() <= self.state.now();
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
        let now = self.state.now();
        let taken = sockets::received(self.stream.as_fd()).unwrap_or(self.written);
        let since = self.conn.stuck_since(now, || taken);
        if self.patience.progress_due(since) <= now && !self.conn.has_taken(taken, limits::PROGRESS, now) {
            self.conn.fail(Why::TimedOut);
        }
        self.stirred = now;
    }

    fn close(&mut self, mut why: Why) {
        if let Some(writer) = &self.writer {
            writer.stop();
            if writer.has_expelled() {
                why = Why::TimedOut;
            }
        }
        if self.is_guest {
            self.call(|conn, env| conn.closed(why, env));
        }
        if let Some(writer) = self.writer.take() {
            // Its last write may be waiting for a peer that does not read.
            let _ = rustix::net::shutdown(&*self.stream, Shutdown::Both);
            self.written += writer.join(&self.state.shared);
        }
        let left =
            Left { source: self.peer.ip(), was_in: self.is_guest, read: self.read, written: self.written };
        self.state.doors().leave(self.service, &left);
        self.note_end(why);
        self.state.leave(self.id.key);
    }

    fn note_end(&self, why: Why) {
        if !self.is_guest {
            return;
        }
        self.state.shared.observer.closed(&Closed {
            service: self.state.services().get(self.service).map_or("", |service| &service.name),
            peer: &self.peer,
            seconds: self.opened.elapsed().as_secs_f64(),
            read: self.read,
            written: self.written,
            why,
        });
    }

    fn set_timeout(&mut self, wait: Option<Duration>) {
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
        let mut env = Env {
            now: self.state.now(),
            shared: &self.state.shared,
            pool: &mut self.pool,
            peer: &self.peer,
            id: self.id,
        };
        call(&mut self.conn, &mut env);
        // Nobody waits for this thread but its own peer: a job may take its time here.
        for (_, job) in self.pool.take_jobs() {
            job.run();
            self.conn.job_done();
        }
        self.state.shared.end_turn();
        if self.state.shared.is_stop_due() {
            let _ = self.state.waker.wake();
        }
        if self.conn.member().is_some() || self.writer.is_some() {
            self.state.tell_members();
        }
    }
}
