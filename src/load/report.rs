//! What came of a load, for programs. Rates are per second, latencies microseconds, memory bytes.

use serde::{Deserialize, Serialize};

use super::args::Speak;
use super::capacity::Stop;
use super::fault::{Fault, Wrong};
use super::ramp::RampReport;
use super::session::Slice;
use super::tally::Summary;
use super::watch::ServerUse;

/// The version of this form: it changes when a name or a meaning does, not when a name is added.
pub const SCHEMA: u32 = 1;

/// Everything that is known about a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The version of this form.
    pub schema: u32,
    /// What made it.
    pub program: String,
    /// What was driven, and how.
    pub load: LoadReport,
    /// Seconds for which requests were sent.
    pub seconds: f64,
    /// Connections.
    pub connections: Connections,
    /// Requests.
    pub requests: Requests,
    /// Bytes.
    pub bytes: Bytes,
    /// From when a request was due (open loop) or sent (closed loop) to the end of its reply. In a chat:
    /// until a receiver has the line.
    pub latency_us: Option<Summary>,
    /// Open loop: from when it was sent.
    pub service_us: Option<Summary>,
    /// Open loop: what this program was late with sending.
    pub lateness_us: Option<Summary>,
    /// How long it took to connect.
    pub connect_us: Option<Summary>,
    /// The latencies that occurred, in nanoseconds, each with how often: for plots.
    pub latency_histogram_ns: Vec<(u64, u64)>,
    /// The run in slices of a second, or longer ones if it was long.
    pub slices: Vec<Slice>,
    /// What went wrong.
    pub errors: Vec<ErrorReport>,
    /// The first wrong replies.
    pub wrong: Vec<Wrong>,
    /// The steps of `--ramp`, and what gave way.
    pub ramp: Option<RampReport>,
    /// What the server used.
    pub server: Option<ServerUse>,
    /// What this program used.
    pub generator: Generator,
    /// Limits of this machine that were too low.
    pub limits: Vec<Stop>,
    /// What the reader should know about the figures.
    pub warnings: Vec<String>,
    /// Whether it was ended before its time.
    pub interrupted: bool,
    /// Whether all is well: every byte right, no idle connection lost, something answered.
    pub passed: bool,
}

/// What was driven, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the flags")]
pub struct LoadReport {
    pub target: String,
    pub address: String,
    #[serde(rename = "as")]
    pub speak: Speak,
    pub transport: String,
    pub idle: u32,
    pub active: u32,
    pub rate: Option<f64>,
    pub size: usize,
    pub pipeline: u32,
    pub churn: bool,
    pub verified: bool,
    /// What is said, in words: the request, the template that was learnt.
    pub exchange: String,
}

/// Connections.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Connections {
    /// Made in all, with those that replaced others.
    pub made: u64,
    /// Idle ones that were asked for.
    pub idle_wanted: u64,
    /// Idle ones that were made.
    pub idle_made: u64,
    /// Idle ones through which something came at the end.
    pub idle_proven: u64,
    /// Whether that was tried.
    pub idle_asked: bool,
    /// How many addresses they came from; 0: one, chosen by the kernel.
    pub sources: u32,
}

/// Requests.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Requests {
    /// Sent.
    pub sent: u64,
    /// Answered, every byte of it right unless `verified` is false.
    pub answered: u64,
    /// Answered a second, while requests were sent.
    pub rate: f64,
    /// Open loop: due, and never sent, because no connection was free.
    pub unsent: u64,
    /// Chat: lines that reached a receiver.
    pub deliveries: u64,
    /// The same a second.
    pub deliveries_rate: f64,
}

/// Bytes of payload.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Bytes {
    /// To the server.
    pub sent: u64,
    /// From the server.
    pub received: u64,
}

/// One kind of failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorReport {
    /// Its kind.
    pub kind: Fault,
    /// How many.
    pub count: u64,
    /// What it means, and what to look at.
    pub meaning: String,
}

/// What this program used.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Generator {
    /// Threads that drove connections.
    pub workers: u32,
    /// Processes that they were in.
    pub processes: u32,
    /// Processor seconds of all.
    pub cpu_seconds: f64,
    /// The share of the time for which the busiest was busy.
    pub busiest: f64,
    /// Whether that was so much that it, not the server, may have been the limit.
    pub is_limit: bool,
}
