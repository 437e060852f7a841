//! One contestant under one load: its server, its connections, and what has been measured of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::plan::{Load, Plan};
use super::report::Cell;
use super::server::{FILE, Server};
use super::stats::Estimate;
use super::{Service, machine};
use crate::client::Error;
use crate::load::args::Speak;
use crate::load::capacity::{self, Limits};
use crate::load::job::{Job, Snapshot};
use crate::load::session::{Measured, Observer, Progress, Session, to_f64};
use crate::load::tally::{Series, Tally};
use crate::load::watch::Sample;
use crate::load::{learn, plan};
use crate::start::grouped;

/// How long a connection, or any byte of a reply, may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections are held only where so many of them are seen to leave half of the memory free.
const TRIAL: u32 = 500;

/// Ends the waiting of a session.
#[derive(Debug, Clone)]
pub(super) struct Stop(pub(super) Arc<AtomicBool>);

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Observer for Stop {
    fn progress(&mut self, _: &Progress<'_>) {}

    fn is_stopped(&self) -> bool {
        self.is_set()
    }
}

/// A slice.
#[derive(Debug, Clone, Copy)]
struct Slice {
    rate: f64,
    p50: f64,
    p99: f64,
}

/// A contestant under a load.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    name: String,
    server: Option<Server>,
    session: Option<Session<'a>>,
    failure: Option<String>,
    /// By round: none where it had none.
    slices: Vec<Option<Slice>>,
    before: Option<Sample>,
    latency: Series,
    units: u64,
    busy: f64,
    /// A latency of the first slice.
    pub(super) typical: Duration,
}

impl<'a> Lane<'a> {
    pub(super) fn new(name: &str, server: Result<Server, String>) -> Self {
        let (server, failure) = match server {
            Ok(server) => (Some(server), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            name: name.to_owned(),
            server,
            session: None,
            failure,
            slices: Vec::new(),
            before: None,
            latency: Series::default(),
            units: 0,
            busy: 0.0,
            typical: Duration::ZERO,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.failure.is_none()
    }

    /// Connects, and tries the load once. What does not bear it is out.
    pub(super) fn begin(&mut self, load: &Load, plan: &Plan, apart: bool, stop: &'a mut Stop) {
        let Some(server) = self.server.as_mut().filter(|_| self.failure.is_none()) else { return };
        let sample = server.pid;
        match connect(server, load, plan.size, apart, stop) {
            Err(why) => self.give_up(&why),
            Ok(session) => {
                self.session = Some(session);
                // The first slice warms both up, and shows whether all are answered.
                let Some(session) = &mut self.session else { return };
                let measured = session.measure(Some(plan.slice));
                self.judge(load, &measured);
                self.typical = Duration::from_nanos(measured.tally.latency.quantile(0.5));
                self.before = sample.and_then(Sample::of);
            }
        }
    }

    /// One more slice.
    pub(super) fn slice(&mut self, load: &Load, length: Duration) {
        let Some(session) = self.session.as_mut().filter(|_| self.failure.is_none()) else {
            return self.slices.push(None);
        };
        // With the replies that come after the slice, and the time they take: else a load whose replies take
        // longer than a slice would have none.
        let begin = Instant::now();
        let measured = session.measure(Some(length));
        let seconds = begin.elapsed().as_secs_f64().max(1e-9);
        if !self.judge(load, &measured) {
            return self.slices.push(None);
        }
        let units = units(load, &measured.tally);
        self.units += units;
        self.latency.add(&measured.tally.latency);
        self.busy = self.busy.max(measured.busy);
        let at = |share| to_f64(measured.tally.latency.quantile(share)) / 1000.0;
        self.slices.push(Some(Slice { rate: to_f64(units) / seconds, p50: at(0.5), p99: at(0.99) }));
    }

    fn judge(&mut self, load: &Load, measured: &Measured) -> bool {
        let failed = measured.tally.faults.total();
        if failed > 0 {
            let mut why = fault_of(&measured.tally);
            let silent =
                measured.tally.requests.saturating_sub(measured.tally.replies).min(load.active.into());
            if silent > 0 && load.service != Service::Chat && !load.churn && load.active > 1 {
                let served = u64::from(load.active).saturating_sub(silent);
                why = format!(
                    "answers {} of {} connections: {why}",
                    grouped(served),
                    grouped(load.active.into())
                );
            }
            self.give_up(&why);
        } else if units(load, &measured.tally) == 0 && !self.session.as_ref().is_some_and(Session::is_stopped)
        {
            self.give_up("nothing was answered");
        }
        self.is_alive()
    }

    fn give_up(&mut self, why: &str) {
        let ended = self.server.as_mut().and_then(Server::has_ended);
        let rounds = self.slices.iter().flatten().count();
        let when = if rounds > 0 { format!(" (after {rounds} slices)") } else { String::new() };
        self.failure = Some(match ended {
            Some(status) => format!("the server ended: {status}{when}"),
            None => format!("{why}{when}"),
        });
        if let Some(session) = self.session.take() {
            session.close();
        }
        self.server = None;
    }

    /// What came of it; `first` has the ratios' denominators.
    pub(super) fn finish(mut self, first: Option<&Self>) -> Cell {
        let after = self.server.as_ref().and_then(|server| server.pid).and_then(Sample::of);
        let used = self.before.zip(after).filter(|_| self.units > 0);
        let per = |now: u64, then: u64| to_f64(now.saturating_sub(then)) / to_f64(self.units);
        // A thread that has ended takes its count of switches along.
        let steady = used.filter(|(before, after)| before.threads == after.threads);
        let column = |of: fn(&Slice) -> f64| Estimate::of(self.slices.iter().flatten().map(of));
        let ratio = |of: fn(&Slice) -> f64| {
            let pairs = self.slices.iter().zip(first.map_or(&self.slices, |first| &first.slices));
            Estimate::of(pairs.filter_map(|(own, first)| Some(of(own.as_ref()?) / of(first.as_ref()?))))
        };
        let keeps = self.failure.is_none();
        let cell = Cell {
            rate: column(|slice| slice.rate).filter(|_| keeps),
            ratio: ratio(|slice| slice.rate).filter(|_| keeps && first.is_some()),
            p50_us: column(|slice| slice.p50).filter(|_| keeps),
            p99_us: column(|slice| slice.p99).filter(|_| keeps),
            p50_ratio: ratio(|slice| slice.p50).filter(|_| keeps && first.is_some()).map(|e| e.median),
            p99_ratio: ratio(|slice| slice.p99).filter(|_| keeps && first.is_some()).map(|e| e.median),
            cpu_us: used.map(|(before, after)| per(after.cpu, before.cpu)),
            switches: steady.map(|(before, after)| per(after.switches, before.switches)),
            generator_busy: self.busy,
            latency_curve: curve(&self.latency),
            contestant: self.name.clone(),
            failure: self.failure.clone().or_else(|| {
                self.slices
                    .iter()
                    .flatten()
                    .next()
                    .is_none()
                    .then(|| "not measured: it was interrupted".to_owned())
            }),
        };
        if let Some(session) = self.session.take() {
            session.close();
        }
        cell
    }

    /// The same slices, without what they were measured with.
    pub(super) fn slices_only(&self) -> Self {
        let mut copy = Self::new(&self.name, Err(String::new()));
        copy.slices.clone_from(&self.slices);
        copy
    }
}

fn units(load: &Load, tally: &Tally) -> u64 {
    if load.service == Service::Chat { tally.deliveries } else { tally.replies }
}

/// Latency by share, closer and closer to all.
fn curve(series: &Series) -> Vec<(f64, f64)> {
    if series.is_empty() {
        return Vec::new();
    }
    let shares = (1..=40).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 10.0));
    let reached = shares.filter(|share| to_f64(series.len()) * (1.0 - share) >= 1.0);
    reached.map(|share| (share, to_f64(series.quantile(share)) / 1000.0)).collect()
}

/// The most frequent failure, in words.
pub(super) fn fault_of(tally: &Tally) -> String {
    let worst = tally.faults.iter().max_by_key(|(_, n)| *n);
    worst.map_or_else(
        || "no reason was seen".to_owned(),
        |(fault, n)| {
            let time = format!("{} s", TIMEOUT.as_secs());
            format!("{} {}: {}", grouped(n), fault.name(), fault.meaning().replace("--timeout", &time))
        },
    )
}

/// A session with all of a load's connections; or why there is none.
fn connect<'a>(
    server: &Server,
    load: &Load,
    size: usize,
    apart: bool,
    stop: &'a mut Stop,
) -> Result<Session<'a>, String> {
    let mut session = start(server, load, size, apart, stop).map_err(|error| error.to_string())?;
    if load.idle > 0 {
        hold(&mut session, load.idle)?;
    }
    let active = if load.churn { 0 } else { load.active };
    let made = session.connect(load.idle, load.active);
    if made.gauges.active < u64::from(active) {
        return Err(too_few(made.gauges.active, active, &made));
    }
    Ok(session)
}

fn too_few(made: u64, wanted: u32, snapshot: &Snapshot) -> String {
    let why = fault_of(&snapshot.tally);
    format!("gives up at {} of {} connections: {why}", grouped(made), grouped(wanted.into()))
}

/// Starts a session; it has no connections yet.
pub(super) fn start<'a>(
    server: &Server,
    load: &Load,
    size: usize,
    apart: bool,
    stop: &'a mut Stop,
) -> Result<Session<'a>, Error> {
    let mut wanted = plan::Load::new(server.target.clone());
    (wanted.active, wanted.idle, wanted.churn) = (load.active, load.idle, load.churn);
    (wanted.size, wanted.timeout) = (size, TIMEOUT);
    match load.service {
        Service::Echo => {}
        Service::Chat => (wanted.speak, wanted.size) = (Speak::Chat, size.max(64)),
        Service::Http => {
            wanted.speak = Speak::Http;
            wanted.path = Some(format!("/{}", FILE.0));
        }
    }
    let (address, recipe) = learn::learn(&wanted)?;
    let connections = u64::from(load.active) + u64::from(load.idle);
    let fit = capacity::fit(connections, &address, load.churn, &Limits::read());
    let job = Job {
        target: address,
        udp: false,
        recipe,
        verify: true,
        pipeline: 1,
        churn: load.churn,
        reset: false,
        rate: None,
        timeout: u64::try_from(TIMEOUT.as_nanos()).unwrap_or(u64::MAX),
        sources: fit.sources,
        workers: 1,
        index: 0,
        requests: None,
    };
    if apart { Session::apart(&job, stop) } else { Session::start(&job, 1, stop) }
}

/// Has so many idle connections, each used once, if there is memory for them.
pub(super) fn hold(session: &mut Session<'_>, wanted: u32) -> Result<Snapshot, String> {
    if wanted > 2 * TRIAL {
        let before = machine::free_memory();
        session.connect(TRIAL, 0);
        let used = before.saturating_sub(machine::free_memory());
        let all = used / u64::from(TRIAL) * u64::from(wanted);
        if all > before / 2 {
            let mega = |n: u64| grouped(n / 1_000_000);
            return Err(format!(
                "not tried: {} connections would take about {} of the {} MB that are free",
                grouped(wanted.into()),
                mega(all),
                mega(before)
            ));
        }
    }
    let made = session.connect(wanted, 0);
    if made.gauges.idle < wanted.into() {
        return Err(too_few(made.gauges.idle, wanted, &made));
    }
    let proven = session.prove();
    if proven.gauges.proven < wanted.into() {
        let (alive, why) = (grouped(proven.gauges.proven), fault_of(&proven.tally));
        return Err(format!("answers {alive} of {} idle connections: {why}", grouped(wanted.into())));
    }
    Ok(proven)
}
