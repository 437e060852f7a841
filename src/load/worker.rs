//! A worker: one thread, one poll, a slab of connections, as the daemon's reactor has it, but from the
//! other side. It opens connections, sends requests through them, and looks at every byte that comes back.
//!
//! It never blocks but in its poll, and never asks a connection twice whether there is more to read when a
//! short read has said that there is not.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use slab::Slab;

use super::clock::{self, MILLI, Nanos};
use super::exchange::{Exchange, Recipe};
use super::job::{Command, Gauges, Job, Snapshot, share};
use super::mailbox::Mailbox;
use super::schedule::Schedule;
use super::tally::Tally;

mod chat;
mod connection;
mod datagrams;
mod opening;
mod traffic;
mod upkeep;

use chat::Room;
use connection::{Connection, Role};

/// Replies are read through one buffer of this size.
const READ_BUFFER: usize = 128 * 1024;
/// Events taken from one poll.
const EVENTS: usize = 1024;
/// How often time-outs are looked for, and the others are told how it goes: what is told is copied.
const TICK: Nanos = 250 * MILLI;

pub(super) const WAKE: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);

/// One thread's share of the load.
#[derive(Debug)]
pub(super) struct Worker {
    job: Job,
    exchange: Exchange,
    mailbox: Arc<Mailbox>,
    poll: Poll,
    /// Wakes the poll for the schedule: finer than the milliseconds that the poll itself knows.
    timer: Option<OwnedFd>,
    connections: Slab<Connection>,
    buffer: Vec<u8>,
    tally: Tally,
    gauges: Gauges,
    /// The number of the next connection.
    next_number: u64,
    /// How many there shall be, and for how many a first attempt was made.
    wanted: Wanted,
    /// When to try again, for connections that were lost, oldest first.
    retries: VecDeque<Nanos>,
    /// Connections that are over; their slots are freed at the turn's end.
    dead: Vec<usize>,
    /// Connections that could go on at once.
    again: Vec<usize>,
    /// Connections that can take a request, in an open loop.
    free: VecDeque<(usize, u64)>,
    /// In an open loop with a connection per request: how many more there may be.
    slots: u32,
    schedule: Option<Schedule>,
    driving: bool,
    doing: Option<Doing>,
    done: u32,
    /// Requests that may still be sent.
    left: Option<u64>,
    is_spent: bool,
    /// Replies that had come by the last pause.
    in_time: u64,
    next_tick: Nanos,
    /// When something last came, for what must not wait for ever.
    last_progress: Nanos,
    room: Option<Room>,
    /// A closed loop over lasting connections with replies: then a reply brings the next request at once.
    is_plain: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    idle: u32,
    active: u32,
    idle_tried: u32,
    active_tried: u32,
}

/// What is being done until it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Opening,
    Pausing,
    Proving { next: usize },
}

impl Worker {
    /// One that waits for its first command.
    ///
    /// # Errors
    /// There is no descriptor left for its poll.
    pub(super) fn new(job: Job, poll: Poll, mailbox: Arc<Mailbox>) -> io::Result<Self> {
        let exchange = Exchange::new(&job.recipe, job.verify);
        let room = match &job.recipe {
            Recipe::Chat(recipe) => Some(Room::new(recipe)),
            _ => None,
        };
        let timer = if job.rate.is_some() { Some(timer(&poll)?) } else { None };
        let now = clock::now();
        let is_plain =
            job.rate.is_none() && !job.churn && !job.udp && room.is_none() && !exchange.is_one_way();
        Ok(Self {
            exchange,
            is_plain,
            mailbox,
            poll,
            timer,
            room,
            connections: Slab::new(),
            buffer: vec![0; READ_BUFFER],
            tally: Tally::new(job.rate.is_some()),
            gauges: Gauges::default(),
            next_number: u64::from(job.index),
            wanted: Wanted::default(),
            retries: VecDeque::new(),
            dead: Vec::new(),
            again: Vec::new(),
            free: VecDeque::new(),
            slots: 0,
            schedule: None,
            driving: false,
            doing: None,
            done: 0,
            left: job.requests.map(|all| share(all, job.index, job.workers)),
            is_spent: false,
            in_time: 0,
            next_tick: now,
            last_progress: now,
            job,
        })
    }

    /// Works until it is told to close.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let timeout = self.timeout();
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!("poll: {error}");
                break;
            }
            for event in &events {
                match event.token() {
                    WAKE | TIMER => {}
                    Token(key) => self.event(key, event),
                }
            }
            if !self.again.is_empty() {
                self.go_on();
            }
            if self.finish_turn() {
                break;
            }
        }
        self.connections.clear();
        self.gauges = Gauges { proven: self.gauges.proven, ..Gauges::default() };
        self.done += 1;
        self.publish();
    }

    /// What does not come from an event. Returns whether all is over.
    fn finish_turn(&mut self) -> bool {
        if !self.dead.is_empty() {
            self.reap();
        }
        if self.mailbox.has_commands() && self.obey() {
            return true;
        }
        if self.driving && self.schedule.is_some() {
            self.send_due();
        }
        if self.left == Some(0) && self.gauges.in_flight == 0 && !self.is_spent {
            self.is_spent = true;
            self.publish();
        }
        if self.doing.is_none() && self.retries.is_empty() && self.again.is_empty() {
            // The short way, taken on nearly every turn under load.
            if clock::now() < self.next_tick {
                return false;
            }
        }
        let now = clock::now();
        self.open_more(now);
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.sweep(now);
            self.publish();
        }
        self.check_done(now);
        if !self.dead.is_empty() {
            self.reap();
        }
        false
    }

    fn obey(&mut self) -> bool {
        while let Some(command) = self.mailbox.next_command() {
            if self.doing.take().is_some() {
                self.done += 1;
            }
            let now = clock::now();
            self.last_progress = now;
            match command {
                Command::Open { idle, active } => {
                    let (index, workers) = (self.job.index, self.job.workers);
                    let own = |all: u32| u32::try_from(share(all.into(), index, workers)).unwrap_or(u32::MAX);
                    let (idle, active) = (own(idle), own(active));
                    (self.wanted.idle, self.wanted.active) = (idle, active);
                    self.doing = Some(Doing::Opening);
                    if self.job.churn {
                        self.set_slots(active);
                    }
                }
                Command::Drive => {
                    self.drive(now);
                    self.done += 1;
                    self.publish();
                }
                Command::Pause => {
                    // What could be sent at once is not behind, only due just now.
                    let is_behind = !self.can_send_due();
                    let behind = self.schedule.as_ref().filter(|_| is_behind).map(|s| s.behind(now));
                    self.gauges.behind = behind.unwrap_or(0);
                    self.in_time = self.tally.replies;
                    self.driving = false;
                    self.doing = Some(Doing::Pausing);
                }
                Command::Prove => self.doing = Some(Doing::Proving { next: 0 }),
                Command::Close => return true,
            }
        }
        false
    }

    /// How long the poll may sleep.
    fn timeout(&mut self) -> Duration {
        if !self.again.is_empty() {
            return Duration::ZERO;
        }
        let now = clock::now();
        let mut next = self.next_tick;
        if let (true, Some(at)) = (self.driving, self.retries.front()) {
            next = next.min(*at);
        }
        if matches!(self.doing, Some(Doing::Proving { .. })) {
            next = next.min(now + 2 * MILLI);
        }
        if let (true, Some(schedule)) = (self.driving, &self.schedule)
            && self.can_send_due()
        {
            let due = schedule.due();
            if due <= now {
                return Duration::ZERO;
            }
            if due < next {
                self.set_timer(due);
            }
        }
        Duration::from_nanos(next.saturating_sub(now))
    }

    fn set_timer(&self, at: Nanos) {
        let Some(timer) = &self.timer else { return };
        let at = Timespec {
            tv_sec: i64::try_from(at / clock::SECOND).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(at % clock::SECOND).unwrap_or_default(),
        };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let when = Itimerspec { it_interval: never, it_value: at };
        // Without it the poll wakes up a millisecond late.
        let _ = rustix::time::timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &when);
    }

    /// Tells the others how it goes.
    fn publish(&mut self) {
        let now = clock::now();
        self.gauges.behind = match &self.schedule {
            Some(schedule) if self.driving => schedule.behind(now),
            _ => self.gauges.behind,
        };
        let busy = clock::busy();
        let snapshot = Snapshot {
            tally: self.tally.clone(),
            gauges: self.gauges,
            done: self.done,
            spent: self.is_spent,
            at: now,
            in_time: self.in_time,
            busiest: busy,
            busy,
        };
        self.mailbox.publish(snapshot);
    }

    fn is_settled(&self) -> bool {
        let Wanted { idle, active, idle_tried, active_tried } = self.wanted;
        let tried = idle_tried >= idle && (self.job.churn || active_tried >= active);
        tried && self.gauges.connecting == 0
    }

    fn connection(&mut self, key: usize) -> Option<&mut Connection> {
        self.connections.get_mut(key)
    }

    fn keys_of(&self, role: Role) -> Vec<usize> {
        let some = self.connections.iter().filter(|(_, connection)| connection.role == role);
        some.filter(|(_, connection)| connection.is_open()).map(|(key, _)| key).collect()
    }
}

fn timer(poll: &Poll) -> io::Result<OwnedFd> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
    poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
    Ok(timer)
}
