//! `switchboard stress`: a load, a live view of it, and a report.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::args::{Args, Speak};
use super::capacity::{self, Fit, Limits};
use super::exchange::Recipe;
use super::fault::Fault;
use super::job::{Job, Snapshot};
use super::live::Live;
use super::plan::{Load, Rising};
use super::ramp;
use super::report::{Bytes, Connections, ErrorReport, Generator, LoadReport, Report, Requests, SCHEMA};
use super::session::{Measured, Observer, Session, to_f64};
use super::tally::Tally;
use super::watch::{Descriptors, Sample, ServerUse};
use super::{learn, process, text};
use crate::client::Error;
use crate::escape::Escaped;
use crate::start::{Screen, grouped};

/// From this share of a core on, the generator may be what is slow.
const BUSY: f64 = 0.9;

/// Does what the command line says. Returns whether all was well.
///
/// # Errors
/// What kept it from being done.
pub fn stress(args: &Args) -> Result<bool, Error> {
    if args.worker_process {
        let what = "working for another process".to_owned();
        return process::serve().map(|()| true).map_err(|error| Error::File { what, error });
    }
    let (load, duration) = args.load()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Asked a second time, it ends at once: the first one has not been listened to yet then.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop));
        let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
    }
    let mut live = Live::new(stop, args.quiet, &load, duration);
    let report = run(&load, duration, &mut live);
    live.clear();
    let report = report?;
    let to_stdout = args.json.as_deref().is_some_and(|path| path == Path::new("-"));
    if let Some(path) = &args.json {
        write_json(&report, path)?;
    }
    if !to_stdout {
        let screen = Screen::of(&std::io::stdout());
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text::of(&report, &screen).as_bytes()).and_then(|()| out.flush());
    }
    Ok(report.passed)
}

fn write_json(report: &Report, path: &Path) -> Result<(), Error> {
    let failure = |error| Error::File { what: format!("writing {}", path.display()), error };
    let mut json = serde_json::to_string_pretty(report).map_err(|error| failure(error.into()))?;
    json.push('\n');
    if path == Path::new("-") {
        let mut out = std::io::stdout().lock();
        return out.write_all(json.as_bytes()).and_then(|()| out.flush()).map_err(failure);
    }
    std::fs::write(path, json).map_err(failure)
}

/// A whole session.
pub(super) fn run(
    load: &Load,
    duration: Option<Duration>,
    observer: &mut dyn Observer,
) -> Result<Report, Error> {
    load.check()?;
    let limits = Limits::read();
    let (address, recipe) = learn::learn(load)?;
    let run = Run::plan(load, address, recipe, &limits)?;
    if let Some(pid) = load.pid
        && Sample::of(pid).is_none()
    {
        return Err(Error::Usage(format!("--pid {pid}: there is no such process")));
    }
    if let Some(note) = &run.server_note {
        observer.note(note);
    }
    run.go(duration, observer)
}

/// A run that is about to be.
struct Run<'a> {
    load: &'a Load,
    job: Job,
    fit: Fit,
    /// The most connections of a ramp.
    most: u32,
    /// What would stop the server. Whether it does, only the server knows: it may have other processes.
    server_note: Option<String>,
}

impl<'a> Run<'a> {
    fn plan(load: &'a Load, address: SocketAddr, recipe: Recipe, limits: &Limits) -> Result<Self, Error> {
        let room = limits.most(&address);
        let most = load.ramp.as_ref().map_or(0, |ramp| ramp.most(room));
        let connections = u64::from(load.most()).max(u64::from(most));
        let mut fit = capacity::fit(connections, &address, load.churn, limits);
        if let (Some(stop), false) = (fit.stops.first(), load.anyway) {
            return Err(Error::Usage(format!(
                "there is room for {} connections, not {}: {} would run out; {} (--anyway tries)",
                grouped(stop.room),
                grouped(connections),
                stop.what,
                stop.raise
            )));
        }
        if load.speak == Speak::Chat {
            // One room, one thread that knows who has heard what.
            fit.processes = 1;
        }
        let workers = load.workers.unwrap_or(1).max(fit.processes).next_multiple_of(fit.processes);
        let job = Job {
            target: address,
            udp: load.udp,
            recipe,
            verify: load.verify,
            pipeline: load.pipeline,
            churn: load.churn,
            reset: load.reset,
            rate: load.rate,
            timeout: u64::try_from(load.timeout.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4),
            sources: fit.sources,
            workers,
            index: 0,
            requests: load.requests,
        };
        let server = load.pid.filter(|_| !load.udp).and_then(|pid| Some((pid, Descriptors::of(pid)?)));
        let server_note = server.and_then(|(pid, descriptors)| descriptors.warning(pid, connections));
        Ok(Self { load, job, fit, most, server_note })
    }

    fn go(&self, duration: Option<Duration>, observer: &mut dyn Observer) -> Result<Report, Error> {
        let load = self.load;
        let look = || load.pid.and_then(Sample::of);
        let mut session = Session::start(&self.job, self.fit.processes, observer)?;
        let empty = look();
        let mut idle_wanted = load.idle;
        let mut held = session.connect(if load.ramp.is_some() { 0 } else { load.idle }, 0);
        let full = look();
        let mut ramped = None;
        let before = look();
        let measured = if let Some(ramp) = &load.ramp {
            let beside = if ramp.rising == Rising::Idle { load.active } else { load.idle };
            let step = duration.unwrap_or(Duration::from_secs(2));
            let (report, measured) = ramp::climb(&mut session, ramp, beside, self.most, step);
            if ramp.rising == Rising::Idle {
                idle_wanted = report.at;
            }
            held = session.snapshot();
            ramped = Some(report);
            measured
        } else if load.active > 0 {
            session.connect(load.idle, load.active);
            session.measure(duration)
        } else {
            let start = std::time::Instant::now();
            session.hold(duration.unwrap_or_default());
            Measured { seconds: start.elapsed().as_secs_f64(), ..Measured::default() }
        };
        let after = look();
        let interrupted = session.is_stopped();
        let asks = idle_wanted > 0;
        let proven = if asks { session.prove() } else { Snapshot::default() };
        let total = session.close();
        let server = server_use([empty, full, before, after], load, &measured, held.gauges.idle);
        let connections = Connections {
            made: total.tally.connects,
            idle_wanted: idle_wanted.into(),
            idle_made: held.gauges.idle,
            idle_proven: proven.gauges.proven,
            idle_asked: asks,
            sources: self.fit.sources,
        };
        let mut report = self.report(connections, &measured, &total.tally);
        (report.ramp, report.server, report.interrupted) = (ramped, server, interrupted);
        report.passed = passes(&report);
        report.warnings = self.server_note.iter().cloned().chain(warnings(&report)).collect();
        Ok(report)
    }

    fn report(&self, connections: Connections, measured: &Measured, total: &Tally) -> Report {
        let tally = &measured.tally;
        let seconds = measured.seconds;
        let summary =
            |series: &Option<super::tally::Series>| series.as_ref().and_then(super::tally::Series::summary);
        let workers = self.job.workers;
        Report {
            schema: SCHEMA,
            program: concat!("switchboard ", env!("CARGO_PKG_VERSION")).to_owned(),
            load: self.describe(),
            seconds,
            connections,
            requests: Requests {
                sent: tally.requests,
                answered: tally.replies,
                rate: measured.rate(),
                unsent: measured.unsent,
                deliveries: tally.deliveries,
                deliveries_rate: to_f64(tally.deliveries) / seconds.max(1e-9),
            },
            bytes: Bytes { sent: tally.sent, received: tally.received },
            latency_us: tally.latency.summary(),
            service_us: summary(&tally.service),
            lateness_us: summary(&tally.lateness),
            connect_us: total.connect.summary(),
            latency_histogram_ns: tally.latency.buckets(),
            slices: measured.slices.clone(),
            errors: errors(total),
            wrong: total.faults.wrong.clone(),
            ramp: None,
            server: None,
            generator: Generator {
                workers,
                processes: self.fit.processes,
                cpu_seconds: measured.cpu_seconds,
                busiest: measured.busy,
                is_limit: measured.busy > BUSY,
            },
            limits: self.fit.stops.clone(),
            warnings: Vec::new(),
            interrupted: false,
            passed: false,
        }
    }

    fn describe(&self) -> LoadReport {
        let load = self.load;
        let exchange = match &self.job.recipe {
            Recipe::Echo { .. } => "every byte comes back".to_owned(),
            Recipe::Modify { template, .. } => format!("a line brings \"{template}\""),
            Recipe::Http { request, reply } => {
                let line = request.split(|&byte| byte == b'\r').next().unwrap_or_default();
                format!(
                    "{} brings {} with {} bytes",
                    Escaped::bounded(line, 80),
                    reply.status,
                    grouped(reply.length)
                )
            }
            Recipe::Reqtime => "reqtime brings a time".to_owned(),
            Recipe::Raw { reply: None, .. } => "nothing comes back".to_owned(),
            Recipe::Raw { reply: Some(reply), .. } => {
                format!("{} bytes come back", grouped(reply.len() as u64))
            }
            Recipe::Chat(recipe) => format!("{} of {} members speak", recipe.senders, load.active),
        };
        LoadReport {
            target: load.target.to_string(),
            address: self.job.target.to_string(),
            speak: load.speak,
            transport: if load.udp { "udp" } else { "tcp" }.to_owned(),
            idle: load.idle,
            active: load.active,
            rate: load.rate,
            size: super::exchange::Exchange::new(&self.job.recipe, false).request_len.max(match load.speak {
                Speak::Chat => load.size,
                _ => 0,
            }),
            pipeline: load.pipeline,
            churn: load.churn,
            verified: load.verify,
            exchange,
        }
    }
}

fn errors(tally: &Tally) -> Vec<ErrorReport> {
    let meaning = |fault: Fault| match (&tally.faults.other, fault) {
        (Some(other), Fault::Other) => other.clone(),
        _ => fault.meaning().to_owned(),
    };
    tally.faults.iter().map(|(kind, count)| ErrorReport { kind, count, meaning: meaning(kind) }).collect()
}

/// Every byte right, no idle connection lost, something answered.
fn passes(report: &Report) -> bool {
    let has = |is: fn(Fault) -> bool| report.errors.iter().any(|error| is(error.kind));
    let idle = &report.connections;
    let is_held = !idle.idle_asked || idle.idle_proven >= idle.idle_wanted;
    let drives = report.load.active > 0 || report.ramp.is_some();
    let is_answered = !drives || report.requests.answered > 0 || report.interrupted;
    // A ramp of idle connections ends where some are lost: that is its result.
    let is_held = is_held || report.ramp.is_some();
    !has(Fault::is_wrong) && is_held && is_answered
}

fn warnings(report: &Report) -> Vec<String> {
    let mut all = Vec::new();
    if report.generator.is_limit {
        all.push(format!(
            "this program was busy for {:.0} % of the time: it may have been the limit, not the server; try --workers {}",
            report.generator.busiest * 100.0,
            report.generator.workers + 1
        ));
    }
    if report.requests.unsent > 0 {
        all.push(format!(
            "the rate was not reached: {} requests were due and never sent, because no connection was free; their latency is not in the figures",
            grouped(report.requests.unsent)
        ));
    }
    if let Some(lateness) = &report.lateness_us
        && report.latency_us.is_some_and(|latency| lateness.p99 > latency.p99 / 2.0)
    {
        all.push(format!(
            "requests were sent late by up to {} (p99): part of the latency is this program's",
            text::time(lateness.p99)
        ));
    }
    all.extend(
        report
            .limits
            .iter()
            .map(|stop| format!("{} for {} connections only: {}", stop.what, grouped(stop.room), stop.raise)),
    );
    all
}

fn server_use(
    [empty, full, before, after]: [Option<Sample>; 4],
    load: &Load,
    measured: &Measured,
    idle: u64,
) -> Option<ServerUse> {
    let (pid, before, after) = (load.pid?, before?, after?);
    let seconds = measured.seconds.max(1e-9);
    let cpu = to_f64(after.cpu.saturating_sub(before.cpu));
    let switches = to_f64(after.switches.saturating_sub(before.switches));
    let replies = measured.tally.replies;
    let per_reply = |n: f64| (replies > 0 && load.ramp.is_none()).then(|| n / to_f64(replies));
    let grown = full.zip(empty).map(|(full, empty)| full.pss.saturating_sub(empty.pss));
    Some(ServerUse {
        pid,
        cpu_seconds: cpu / 1e6,
        cpu_share: cpu / 1e6 / seconds,
        cpu_us_per_reply: per_reply(cpu),
        rss: after.rss,
        pss: after.pss,
        pss_per_idle: grown.filter(|_| idle > 0 && load.ramp.is_none()).map(|pss| to_f64(pss) / to_f64(idle)),
        threads: after.threads,
        processes: after.processes,
        switches_per_second: switches / seconds,
        switches_per_reply: per_reply(switches),
    })
}

impl Observer for Live {
    fn note(&mut self, note: &str) {
        self.say(note);
    }

    fn progress(&mut self, progress: &super::session::Progress<'_>) {
        self.show(progress);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
