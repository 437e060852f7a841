//! What came of a comparison, for programs. Rates are per second, times microseconds, memory bytes.

use serde::{Deserialize, Serialize};

use super::stats::Estimate;

/// The version of this form: it changes when a name or a meaning does, not when a name is added.
pub const SCHEMA: u32 = 1;

/// A whole comparison.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// The version of this form.
    pub schema: u32,
    /// What made it.
    pub program: String,
    /// When it began, in UTC.
    pub began: String,
    /// The command that repeats it.
    pub command: String,
    /// Where it was made.
    pub machine: Machine,
    /// How it was made, in sentences.
    pub method: Vec<String>,
    /// Who was compared. Ratios are to the first.
    pub contestants: Vec<Contestant>,
    /// What was measured in slices of load.
    pub rows: Vec<Row>,
    /// What idle connections cost.
    pub memory: Vec<MemoryRow>,
    /// What the reader should know about the figures.
    pub warnings: Vec<String>,
    /// Whether it was ended before its time.
    pub interrupted: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Comparison {
    /// The answer in a sentence: the echo over the most connections that the first bears.
    pub fn headline(&self) -> Option<String> {
        let first = |row: &&Row| row.cells.first().is_some_and(|cell| cell.rate.is_some());
        let echo = self.rows.iter().filter(|row| row.group == "echo" && row.cells.len() > 1);
        let row = echo.filter(first).max_by_key(|row| row.active)?;
        let (best, others) = row.cells.split_first()?;
        let others: Vec<String> = others
            .iter()
            .map(|cell| match cell.ratio {
                Some(ratio) => format!("{} {:.2} times that", cell.contestant, ratio.median),
                None => format!("{} does not bear it", cell.contestant),
            })
            .collect();
        let rate = crate::load::text::rate(best.rate?.median);
        Some(format!("In short, {}: {} {rate}; {}.", row.title, best.contestant, others.join(", ")))
    }

    /// How often intervals such as those of the rates hold the true median: of the least sure and of the surest
    /// one. None if nothing was measured.
    pub fn coverage(&self) -> Option<(f64, f64)> {
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        let all = cells.filter_map(|cell| cell.rate.map(|rate| rate.confidence));
        all.fold(None, |ends, one| {
            let (low, high): (f64, f64) = ends.unwrap_or((one, one));
            Some((low.min(one), high.max(one)))
        })
    }

    /// The same in words, as in `95.9 %` or `87.5 to 96.9 %`.
    pub fn coverage_text(&self) -> String {
        let Some((low, high)) = self.coverage() else { return "unknown".to_owned() };
        // Rounded down: it must not sound better than it is.
        let percent = |share: f64| (1000.0 * share + 1e-9).floor() / 10.0;
        let (low, high) = (percent(low), percent(high));
        if (high - low).abs() < 0.05 { format!("{low:.1} %") } else { format!("{low:.1} to {high:.1} %") }
    }
}

/// Where it was made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's model.
    pub cpu: String,
    /// Cores that this program may use.
    pub cores: usize,
    /// The kernel's name and release.
    pub kernel: String,
    /// Bytes of memory.
    pub memory: u64,
    /// Files that a process may open.
    pub descriptors: u64,
    /// Ports that connections may come from.
    pub ports: u64,
    /// Processes and threads that the user may have; none: any number.
    pub tasks: Option<u64>,
    /// The processors' load of the minute before: above 0.5, something else was running.
    pub load: f64,
    /// How the processes were scheduled: `other`, or a real-time policy.
    pub scheduling: String,
}

/// One who was compared.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Contestant {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub about: String,
    /// Whether it is an engine of this program.
    pub is_engine: bool,
}

/// One kind of load.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// What programs call it: `echo-64`.
    pub id: String,
    /// The group: echo, idle, churn, chat or http.
    pub group: String,
    /// What people call it.
    pub title: String,
    /// What a second has so many of: echoes, deliveries.
    pub unit: String,
    /// Connections that sent.
    pub active: u32,
    /// Connections that were idle beside them.
    pub idle: u32,
    /// By contestant.
    pub cells: Vec<Cell>,
}

/// One contestant under one load.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cell {
    /// Who.
    pub contestant: String,
    /// Why there is no figure.
    pub failure: Option<String>,
    /// A second.
    pub rate: Option<Estimate>,
    /// The rate as a ratio to the first contestant's in the same round.
    pub ratio: Option<Estimate>,
    /// The median latency of a slice.
    pub p50_us: Option<Estimate>,
    /// The latency that 99 % of a slice did not exceed.
    pub p99_us: Option<Estimate>,
    /// p50 as a ratio to the first contestant's.
    pub p50_ratio: Option<f64>,
    /// p99 as a ratio to the first contestant's.
    pub p99_ratio: Option<f64>,
    /// Processor time of the server for one.
    pub cpu_us: Option<f64>,
    /// Context switches of the server for one.
    pub switches: Option<f64>,
    /// The share of a core that the load needed: near 1, it was the limit.
    pub generator_busy: f64,
    /// Latency, in microseconds, that a share did not exceed: for plots.
    pub latency_curve: Vec<(f64, f64)>,
}

/// What so many idle connections cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemoryRow {
    /// How many were held.
    pub connections: u32,
    /// By contestant.
    pub cells: Vec<MemoryCell>,
}

/// What one idle connection costs at one contestant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MemoryCell {
    /// Who.
    pub contestant: String,
    /// Why there is no figure.
    pub failure: Option<String>,
    /// Memory of the server's processes (PSS), bytes a connection.
    pub pss: Option<f64>,
    /// Memory of the kernel, both ends of the connection included, bytes a connection.
    pub kernel: Option<f64>,
    /// Threads of the server.
    pub threads: u64,
    /// Its processes.
    pub processes: u64,
}
