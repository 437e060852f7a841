//! `switchboard compare`: the engines, and other servers beside them, under the same loads.
//!
//! All that are compared are connected at the same time, and each gets a short slice of load in turn, there
//! and back again: what else the machine does hits all alike, and ratios are taken within a round. What a
//! server cannot bear becomes a cell that says why; the others go on without it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::EngineName;
use crate::client::Error;
use crate::start::Screen;

pub mod args;
mod lane;
mod machine;
mod memory;
mod page;
mod plan;
mod plot;
pub mod report;
mod server;
pub mod stats;
mod text;

pub use args::Args;
use args::{Peer, Service};
use lane::{Lane, Stop};
use machine::Cores;
use plan::{Load, Plan};
use report::{Comparison, Contestant, MemoryRow, Row, SCHEMA};
use server::Server;

/// Descriptors of this process that are no connections.
const OWN_DESCRIPTORS: u64 = 500;
/// A slice is so many times the latency of the slowest, up to a bound.
const ROUND_TRIPS: u32 = 3;
const LONGEST: Duration = Duration::from_secs(1);
/// From this share of a core on, the load may be what is slow.
const BUSY: f64 = 0.95;

/// Does what the command line says. Returns whether anything could be measured.
///
/// # Errors
/// What kept it from being done.
pub fn compare(args: &Args) -> Result<bool, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Asked a second time, it ends at once; what it has started ends with it.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop));
        let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
    }
    let comparison = Arena::new(args, stop)?.run();
    write_files(args, &comparison)?;
    if args.json.as_deref() != Some(Path::new("-")) {
        let screen = Screen::of(&std::io::stdout());
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text::of(&comparison, &screen).as_bytes()).and_then(|()| out.flush());
    }
    let measured = comparison.rows.iter().flat_map(|row| &row.cells).any(|cell| cell.rate.is_some());
    let held = comparison.memory.iter().flat_map(|row| &row.cells).any(|cell| cell.pss.is_some());
    Ok(measured || held)
}

fn write_files(args: &Args, comparison: &Comparison) -> Result<(), Error> {
    let failed = |path: &Path, error| Error::File { what: format!("writing {}", path.display()), error };
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(comparison).map_err(|error| failed(path, error.into()))?;
        let written = if path == Path::new("-") {
            writeln!(std::io::stdout(), "{json}")
        } else {
            std::fs::write(path, json + "\n")
        };
        written.map_err(|error| failed(path, error))?;
    }
    if let Some(path) = &args.html {
        let page = page::of(comparison).map_err(|error| failed(path, std::io::Error::other(error)))?;
        std::fs::write(path, page).map_err(|error| failed(path, error))?;
    }
    if let Some(dir) = &args.svg {
        std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
        for plot in plot::all(comparison) {
            let path = dir.join(format!("{}.svg", plot.name));
            std::fs::write(&path, plot.file()).map_err(|error| failed(&path, error))?;
        }
    }
    Ok(())
}

/// One who is compared.
#[derive(Debug)]
enum Entrant {
    Engine(String),
    Peer(Vec<Peer>),
}

impl Entrant {
    fn name(&self) -> &str {
        match self {
            Self::Engine(name) => name,
            Self::Peer(peers) => peers.first().map_or("", |peer| &peer.name),
        }
    }

    fn describe(&self) -> Contestant {
        let about = match self {
            Self::Engine(name) => EngineName::from_str(name, true)
                .ok()
                .and_then(|engine| Some(engine.to_possible_value()?.get_help()?.to_string()))
                .unwrap_or_default(),
            Self::Peer(peers) => {
                let all: Vec<String> =
                    peers.iter().map(|peer| format!("{} at {}", peer.service.name(), peer.target)).collect();
                all.join(", ")
            }
        };
        Contestant { name: self.name().to_owned(), about, is_engine: matches!(self, Self::Engine(_)) }
    }

    fn server(&self, service: Service) -> Result<Server, String> {
        match self {
            Self::Engine(name) => Server::start(name, service).map_err(|error| error.to_string()),
            Self::Peer(peers) => {
                let peer = peers.iter().find(|peer| peer.service == service);
                let peer = peer.ok_or_else(|| format!("no peer speaks {}", service.name()))?;
                Ok(Server::peer(peer.target.clone(), peer.pid))
            }
        }
    }
}

/// Where it takes place.
struct Arena<'a> {
    args: &'a Args,
    plan: Plan,
    entrants: Vec<Entrant>,
    cores: Option<Cores>,
    machine: report::Machine,
    stop: Stop,
    bar: ProgressBar,
}

impl<'a> Arena<'a> {
    fn new(args: &'a Args, stop: Arc<AtomicBool>) -> Result<Self, Error> {
        let plan = Plan::new(args);
        let chosen = if args.engine.is_empty() { EngineName::value_variants() } else { &args.engine };
        let names = chosen.iter().filter_map(|name| Some(name.to_possible_value()?.get_name().to_owned()));
        let mut entrants: Vec<Entrant> = names.map(Entrant::Engine).collect();
        for peer in &args.peer {
            let same = entrants.iter_mut().find(|entrant| entrant.name() == peer.name);
            match same {
                None => entrants.push(Entrant::Peer(vec![peer.clone()])),
                Some(Entrant::Peer(peers)) if peers.iter().all(|known| known.service != peer.service) => {
                    peers.push(peer.clone());
                }
                Some(_) => {
                    return Err(Error::Usage(format!("--peer {}: that name is taken", peer.text)));
                }
            }
        }
        let bar = progress_bar(args.quiet, plan.steps(entrants.len()));
        let cores = Cores::share(&machine::cores(), args.server_cores);
        Ok(Self { args, plan, entrants, cores, machine: machine::look(), stop: Stop(stop), bar })
    }

    fn run(&self) -> Comparison {
        let (start, began) = (Instant::now(), jiff::Timestamp::now());
        if let Some(cores) = &self.cores {
            machine::pin(&cores.load);
        }
        let mut rows = Vec::new();
        for load in &self.plan.loads {
            if self.stop.is_set() {
                break;
            }
            rows.push(self.row(load));
        }
        let mut memory = Vec::new();
        for &held in &self.plan.held {
            if self.stop.is_set() {
                break;
            }
            memory.push(self.memory(held));
        }
        self.bar.finish_and_clear();
        let mut comparison = Comparison {
            schema: SCHEMA,
            program: concat!("switchboard ", env!("CARGO_PKG_VERSION")).to_owned(),
            began: began.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            command: Self::command(),
            machine: self.machine.clone(),
            method: Vec::new(),
            contestants: self.entrants.iter().map(Entrant::describe).collect(),
            rows,
            memory,
            warnings: Vec::new(),
            interrupted: self.stop.is_set(),
            seconds: start.elapsed().as_secs_f64(),
        };
        comparison.method = self.method(&comparison.coverage_text());
        comparison.warnings = warnings(&comparison);
        comparison
    }

    /// Starts what is compared, on its own cores.
    fn server(&self, entrant: &Entrant, service: Service) -> Result<Server, String> {
        if let Some(cores) = &self.cores {
            machine::pin(&cores.servers);
        }
        let server = entrant.server(service);
        if let Some(cores) = &self.cores {
            machine::pin(&cores.load);
        }
        server
    }

    fn row(&self, load: &Load) -> Row {
        self.bar.set_message(load.title.clone());
        let connections = u64::from(load.active + load.idle) * self.entrants.len() as u64;
        let apart = connections + OWN_DESCRIPTORS > self.machine.descriptors;
        let mut stops = vec![self.stop.clone(); self.entrants.len()];
        let mut lanes = Vec::new();
        for (entrant, stop) in self.entrants.iter().zip(&mut stops) {
            let mut lane = Lane::new(entrant.name(), self.server(entrant, load.service));
            if !self.stop.is_set() {
                lane.begin(load, &self.plan, apart, stop);
            }
            lanes.push(lane);
            self.bar.inc(1);
        }
        // Several replies for each connection, also of the slowest.
        let slowest = lanes.iter().map(|lane| lane.typical).max().unwrap_or_default();
        let slice = self.plan.slice.max((ROUND_TRIPS * slowest).min(LONGEST));
        for round in 0..self.plan.rounds {
            let mut order: Vec<&mut Lane<'_>> = lanes.iter_mut().collect();
            // There and back again, so that a drift favours nobody.
            if round % 2 == 1 {
                order.reverse();
            }
            for lane in order.into_iter().filter(|_| !self.stop.is_set()) {
                lane.slice(load, slice);
                self.bar.inc(1);
            }
        }
        let first = lanes.first().filter(|lane| lane.is_alive()).map(Lane::slices_only);
        let group = load.group.to_possible_value();
        Row {
            id: load.id.clone(),
            group: group.map(|value| value.get_name().to_owned()).unwrap_or_default(),
            title: load.title.clone(),
            unit: load.unit.to_owned(),
            active: load.active,
            idle: load.idle,
            cells: lanes.into_iter().map(|lane| lane.finish(first.as_ref())).collect(),
        }
    }

    fn memory(&self, held: u32) -> MemoryRow {
        self.bar.set_message(format!("memory, {} idle", crate::start::grouped(held.into())));
        let mut cells = Vec::new();
        for entrant in self.entrants.iter().take_while(|_| !self.stop.is_set()) {
            let server = self.server(entrant, Service::Echo);
            cells.push(memory::measure(entrant.name(), server, held, &mut self.stop.clone()));
            self.bar.inc(1);
        }
        MemoryRow { connections: held, cells }
    }

    fn command() -> String {
        // What the results are written to is the reader's own affair.
        let files = ["--json", "--html", "--svg"];
        let (mut words, mut skip) = (vec!["switchboard".to_owned()], false);
        for word in std::env::args().skip(1) {
            let is_file = files.iter().any(|flag| word == *flag || word.starts_with(&format!("{flag}=")));
            if !(is_file || (skip && !word.starts_with("--"))) {
                words.push(if word.contains(' ') { format!("'{word}'") } else { word.clone() });
            }
            skip = is_file && !word.contains('=');
        }
        words.join(" ")
    }

    fn method(&self, coverage: &str) -> Vec<String> {
        let (rounds, slice) = (self.plan.rounds, self.plan.slice.as_millis());
        vec![
            format!("Each load is put on all servers in turn, in {rounds} slices of {slice} ms (longer ones where replies take longer), there and back again; before that, one slice of each that is not counted. Every connection sends its next request when it has the reply; replies that come after a slice count, with their time. Every byte of every reply is compared."),
            format!("Figures are medians of the slices. Ratios are those to {} in the same round, and their median. An interval goes from one slice to another in the order of their figures, so that it holds the true median in at least 95 % of the cases; with fewer than six slices it cannot, and goes from the least to the greatest. That assumes slices that do not depend on each other, and nothing else of how they are spread. How sure the intervals here are: {coverage}.", self.entrants.first().map_or("the first", Entrant::name)),
            Cores::describe(self.cores.as_ref()),
            format!("Echoes have {} bytes. Servers are started anew for each load, on the loopback.", self.args.size),
            "Processor time and context switches are those of the server with its children (/proc/PID/stat and status), from before its first slice to after its last one; switches only where no thread came or went.".to_owned(),
            "Memory of an idle connection: each was used once; the PSS of the server's processes (/proc/PID/smaps_rollup), and of the kernel the growth of its slabs, thread stacks, page tables (/proc/meminfo) and TCP buffers (/proc/net/sockstat), which has both ends of the connection in it, and whatever else the machine did meanwhile.".to_owned(),
        ]
    }
}

fn progress_bar(quiet: bool, steps: u64) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    // A wrong template would only make the bar a plain one.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30.cyan} {percent:>3} %  {elapsed} of {duration}  {wide_msg}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

fn warnings(comparison: &Comparison) -> Vec<String> {
    let mut all = Vec::new();
    if comparison.interrupted {
        all.push("It was interrupted: these are the results so far.".to_owned());
    }
    if comparison.machine.load > 0.5 {
        all.push(format!(
            "Other programs were running when it began (load {:.2}): trust ratios more than rates, and intervals more than either.",
            comparison.machine.load
        ));
    }
    let busy = |row: &&Row| row.cells.iter().any(|cell| cell.rate.is_some() && cell.generator_busy > BUSY);
    let rows: Vec<&str> = comparison.rows.iter().filter(busy).map(|row| row.title.as_str()).collect();
    if !rows.is_empty() {
        all.push(format!(
            "The load needed a whole core at times, so servers may be faster than they look: {}.",
            rows.join("; ")
        ));
    }
    all
}
