//! A run against one server, step by step: connect, measure, prove, close. `switchboard stress` is one
//! session; a comparison of servers has several, and gives each its turn.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::clock::{self, Nanos};
use super::fault::Fault;
use super::fleet::Fleet;
use super::job::{Command, Gauges, Job, Snapshot};
use super::tally::{Summary, Tally};
use crate::client::Error;

/// How often the observer is told.
const LOOK: Duration = Duration::from_millis(250);
/// Slices of a measurement that are kept; a longer one has longer slices.
const SLICES: u64 = 3600;
/// A measurement ends when no reply has come for so long, however long it should take.
const HOPELESS: Duration = Duration::from_secs(30);

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Connections are being made.
    Connecting,
    /// Requests are being sent.
    Driving,
    /// The last replies are waited for.
    Draining,
    /// Idle connections are asked whether they live.
    Proving,
}

/// How it goes.
#[derive(Debug)]
pub struct Progress<'a> {
    /// What is being done.
    pub phase: Phase,
    /// Since the session began.
    pub elapsed: Duration,
    /// What has been counted since then.
    pub tally: &'a Tally,
    /// What there is now.
    pub gauges: Gauges,
    /// When it was counted.
    pub at: Nanos,
    /// Processor time of the busiest worker.
    pub busiest: Nanos,
    /// How many connections there should be.
    pub wanted: u64,
}

/// Who watches a session, and may end it.
pub trait Observer {
    /// Called with what should be known before connections are made.
    fn note(&mut self, _: &str) {}
    /// Called a few times a second.
    fn progress(&mut self, progress: &Progress<'_>);
    /// Whether to stop, with the results so far.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// Nobody watches.
impl Observer for () {
    fn progress(&mut self, _: &Progress<'_>) {}
}

/// A second, or a few, of a measurement.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Slice {
    /// Seconds from the measurement's start to the slice's.
    pub at: f64,
    /// Its seconds.
    pub seconds: f64,
    /// Replies that came in it.
    pub replies: u64,
    /// Failures in it.
    pub errors: u64,
    /// Connections that were open at its end.
    pub connections: u64,
    /// Their latency, if any came.
    pub latency: Option<Summary>,
}

/// What came of driving for a while.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// What was counted, with the replies that came after the end to requests from before it.
    pub tally: Tally,
    /// How long requests were sent.
    pub seconds: f64,
    /// Replies that came in that time.
    pub in_time: u64,
    /// Its parts.
    pub slices: Vec<Slice>,
    /// Requests that were due and never sent.
    pub unsent: u64,
    /// The share of the time for which the busiest worker was busy.
    pub busy: f64,
    /// Processor seconds of all workers.
    pub cpu_seconds: f64,
}

impl Measured {
    /// Replies a second.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { to_f64(self.in_time) / self.seconds } else { 0.0 }
    }
}

/// Workers that are connected to a server.
pub struct Session<'a> {
    fleet: Fleet,
    observer: &'a mut dyn Observer,
    start: Instant,
    wanted: u64,
    /// How long anything may take that workers do.
    patience: Duration,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("fleet", &self.fleet).finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    /// Starts the workers; they wait.
    ///
    /// # Errors
    /// There are no descriptors, threads or processes for them.
    pub fn start(job: &Job, processes: u32, observer: &'a mut dyn Observer) -> Result<Self, Error> {
        Self::with(Fleet::start(job, processes), job, observer)
    }

    /// Starts them in a process of its own, which has its own limit on descriptors.
    ///
    /// # Errors
    /// There are no descriptors or processes for them.
    pub fn apart(job: &Job, observer: &'a mut dyn Observer) -> Result<Self, Error> {
        Self::with(Fleet::apart(job, 1), job, observer)
    }

    fn with(fleet: io::Result<Fleet>, job: &Job, observer: &'a mut dyn Observer) -> Result<Self, Error> {
        let what = "starting the workers".to_owned();
        let fleet = fleet.map_err(|error| Error::File { what, error })?;
        let patience = Duration::from_nanos(job.timeout) * 3 + Duration::from_secs(2);
        Ok(Self { fleet, observer, start: Instant::now(), wanted: 0, patience })
    }

    /// Has so many connections in all; returns when each has been made, or has failed.
    pub fn connect(&mut self, idle: u32, active: u32) -> Snapshot {
        self.wanted = u64::from(idle) + u64::from(active);
        self.fleet.send(Command::Open { idle, active });
        self.finish(Phase::Connecting)
    }

    /// Sends requests for so long (if none: until all are answered), then waits for their replies.
    pub fn measure(&mut self, duration: Option<Duration>) -> Measured {
        let before = self.fleet.snapshot();
        self.fleet.send(Command::Drive);
        let begin = Instant::now();
        let mut slicer = Slicer::new(&before, duration);
        let mut lively = (before.tally.replies, begin);
        let now = loop {
            let left = duration.map_or(LOOK, |d| d.saturating_sub(begin.elapsed()).min(LOOK));
            self.fleet.wait(left);
            let now = self.look(Phase::Driving);
            slicer.look(&now);
            if now.tally.replies + now.tally.deliveries != lively.0 {
                lively = (now.tally.replies + now.tally.deliveries, Instant::now());
            }
            let is_over = duration.is_some_and(|duration| begin.elapsed() >= duration);
            let is_hopeless = duration.is_none() && lively.1.elapsed() > HOPELESS.max(self.patience);
            if is_over || now.spent || is_hopeless || self.observer.is_stopped() {
                break now;
            }
        };
        let seconds = begin.elapsed().as_secs_f64();
        self.fleet.send(Command::Pause);
        let after = self.finish(Phase::Draining);
        slicer.cut(&now);
        let cpu = |nanos: Nanos| to_f64(nanos) / 1e9;
        Measured {
            in_time: after.in_time.saturating_sub(before.tally.replies),
            tally: after.tally.since(&before.tally),
            seconds,
            slices: slicer.slices,
            unsent: after.gauges.behind,
            busy: cpu(now.busiest.saturating_sub(before.busiest)) / seconds.max(1e-9),
            cpu_seconds: cpu(now.busy.saturating_sub(before.busy)),
        }
    }

    /// Holds the connections for so long and sends nothing.
    pub fn hold(&mut self, duration: Duration) -> Snapshot {
        let begin = Instant::now();
        while begin.elapsed() < duration && !self.observer.is_stopped() {
            self.fleet.wait(duration.saturating_sub(begin.elapsed()).min(LOOK));
            self.look(Phase::Driving);
        }
        self.fleet.snapshot()
    }

    /// Sends something through every idle connection; [`Gauges::proven`] then says how many live.
    pub fn prove(&mut self) -> Snapshot {
        self.fleet.send(Command::Prove);
        self.finish(Phase::Proving)
    }

    /// How it goes.
    pub fn snapshot(&self) -> Snapshot {
        self.fleet.snapshot()
    }

    /// Whether the observer wants no more.
    pub fn is_stopped(&self) -> bool {
        self.observer.is_stopped()
    }

    /// Closes every connection; all that was counted.
    pub fn close(self) -> Snapshot {
        self.fleet.close()
    }

    /// Waits until the workers have done what they were told. While they get on, they may go on.
    fn finish(&mut self, phase: Phase) -> Snapshot {
        let mut last = (Instant::now(), Gauges::default(), 0);
        let stopped_before = self.observer.is_stopped();
        loop {
            let now = self.look(phase);
            if self.fleet.is_done(&now) {
                return now;
            }
            let works = (now.gauges, now.tally.replies + now.tally.faults.total());
            if works != (last.1, last.2) {
                last = (Instant::now(), works.0, works.1);
            }
            if last.0.elapsed() > self.patience || (self.observer.is_stopped() && !stopped_before) {
                return now;
            }
            self.fleet.wait(LOOK);
        }
    }

    fn look(&mut self, phase: Phase) -> Snapshot {
        let now = self.fleet.snapshot();
        self.observer.progress(&Progress {
            phase,
            elapsed: self.start.elapsed(),
            tally: &now.tally,
            gauges: now.gauges,
            at: now.at,
            busiest: now.busiest,
            wanted: self.wanted,
        });
        now
    }
}

/// Whether any failure says that this side, not the server, had too little.
pub fn own_limit(tally: &Tally) -> Option<Fault> {
    tally.faults.iter().map(|(fault, _)| fault).find(|fault| fault.is_own())
}

/// Cuts a measurement into slices.
struct Slicer {
    length: f64,
    /// When the measurement began.
    start: Nanos,
    from: Nanos,
    before: Tally,
    slices: Vec<Slice>,
}

impl Slicer {
    fn new(before: &Snapshot, duration: Option<Duration>) -> Self {
        let seconds = duration.map_or(1, |duration| duration.as_secs() / SLICES + 1);
        let start = clock::now();
        Self { length: to_f64(seconds), start, from: start, before: before.tally.clone(), slices: Vec::new() }
    }

    fn look(&mut self, now: &Snapshot) {
        if seconds(now.at.saturating_sub(self.from)) >= self.length {
            self.cut(now);
        }
        if self.slices.len() as u64 >= 2 * SLICES {
            // Without an end that is known: every other one goes, the times stay right.
            let mut keep = false;
            self.slices.retain(|_| {
                keep = !keep;
                keep
            });
            self.length *= 2.0;
        }
    }

    fn cut(&mut self, now: &Snapshot) {
        let length = seconds(now.at.saturating_sub(self.from));
        // What is left over at the end may be too short to mean anything.
        if length < 0.05 * self.length && !(self.slices.is_empty() && length > 0.0) {
            return;
        }
        let part = now.tally.since(&self.before);
        self.slices.push(Slice {
            at: seconds(self.from - self.start),
            seconds: length,
            replies: part.replies,
            errors: part.faults.total(),
            connections: now.gauges.idle + now.gauges.active,
            latency: part.latency.summary(),
        });
        self.from = now.at;
        self.before = now.tally.clone();
    }
}

fn seconds(nanos: Nanos) -> f64 {
    to_f64(nanos) / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) fn to_f64(n: u64) -> f64 {
    n as f64
}
