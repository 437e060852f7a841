//! The flags of `switchboard stress`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::plan::{Load, Rising};
use crate::client::common::timeout;
use crate::client::{Error, Target};
use crate::config::duration;

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard stress 127.0.0.1:10007                     50 connections, echo, 10 s
  switchboard stress :8888 --as modify --active 200      lines that come back modified
  switchboard stress :8080 --as http --path /index.html  requests of HTTP
  switchboard stress :10007 --idle 10000 --active 50     with 10,000 idle ones beside them
  switchboard stress :10007 --rate 5k --duration 1m      5,000 a second, whatever the server does
  switchboard stress :10007 --churn                      connect, request, close
  switchboard stress :10007 --ramp                       more and more, until something gives way
  switchboard stress :10007 --json - --quiet | jq .latency_us.p99

Exit code: 0; 1 if any byte was wrong, an idle connection was lost, or nothing was
answered; 2 for wrong usage, or a load that this machine has no room for.";

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speak {
    /// Bytes that come back
    #[default]
    Echo,
    /// Lines that come back modified
    Modify,
    /// GET requests
    Http,
    /// Lines that all others get
    Chat,
    /// Requests for the time
    Reqtime,
    /// The bytes of a file
    Raw,
}

/// What to put on which server.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The server [e.g. 127.0.0.1:10007; :10007 is this machine's]
    #[arg(value_name = "HOST:PORT", required_unless_present = "worker_process")]
    pub target: Option<String>,

    /// What the server speaks
    #[arg(long = "as", value_enum, default_value_t, value_name = "PROTOCOL", help_heading = "What is said")]
    pub speak: Speak,
    /// Bytes of a message of echo, modify or chat [default: 64]
    #[arg(long, value_name = "BYTES", value_parser = number, help_heading = "What is said")]
    pub size: Option<u64>,
    /// modify: what comes back, with {}, {length}, {reverse} or {upper} for the message; learnt
    /// unless given. raw: a file with what comes back [e.g. --expect '{} Ali']
    #[arg(long, value_name = "TEXT|FILE", help_heading = "What is said")]
    pub expect: Option<String>,
    /// http: what to ask for [default: /]
    #[arg(long, value_name = "PATH", help_heading = "What is said")]
    pub path: Option<String>,
    /// raw: the file with the bytes to send
    #[arg(long, value_name = "FILE", help_heading = "What is said")]
    pub send: Option<PathBuf>,
    /// chat: how many of the members speak [default: 1]
    #[arg(long, value_name = "N", value_parser = count, help_heading = "What is said")]
    pub senders: Option<u32>,
    /// Over UDP: echo, reqtime, raw
    #[arg(long, help_heading = "What is said")]
    pub udp: bool,
    /// Count replies, do not compare them
    #[arg(long, help_heading = "What is said")]
    pub no_verify: bool,

    /// Connections that are held and, at the end, proven to be alive
    #[arg(long, value_name = "N", value_parser = count, help_heading = "How much")]
    pub idle: Option<u32>,
    /// Connections that send requests [default: 50, or none with --idle]
    #[arg(long, short = 'c', value_name = "M", value_parser = count, help_heading = "How much")]
    pub active: Option<u32>,
    /// Requests a second of all together, at their times (open loop); else each connection sends its
    /// next request when it has the reply
    #[arg(long, value_name = "R", value_parser = rate, help_heading = "How much")]
    pub rate: Option<f64>,
    /// Requests in flight per connection
    #[arg(long, value_name = "N", value_parser = count, default_value = "1", help_heading = "How much")]
    pub pipeline: u32,
    /// A connection per request: connect, request, close
    #[arg(long, help_heading = "How much")]
    pub churn: bool,
    /// Close with a reset, which leaves nothing behind in the kernel
    #[arg(long, help_heading = "How much")]
    pub reset: bool,
    /// More and more connections, step by step, until something gives way
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, default_missing_value = "active")]
    #[arg(require_equals = true, help_heading = "How much")]
    pub ramp: Option<Rising>,
    /// The p99 latency that is too much for --ramp
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1s")]
    #[arg(help_heading = "How much")]
    pub max_latency: Duration,

    /// How long; with --ramp, each step [default: 10s, 2s with --ramp]
    #[arg(long, short = 'd', value_name = "DURATION", value_parser = duration::parse)]
    #[arg(help_heading = "How long")]
    pub duration: Option<Duration>,
    /// End after so many requests
    #[arg(long, short = 'n', value_name = "N", value_parser = number, help_heading = "How long")]
    pub requests: Option<u64>,
    /// How long a connection, or any byte of a reply, may take
    #[arg(long, value_name = "DURATION", value_parser = timeout, default_value = "5s")]
    #[arg(help_heading = "How long")]
    pub timeout: Duration,

    /// A local server's process: its CPU, memory and switches are shown
    #[arg(long, value_name = "PID", help_heading = "What is shown")]
    pub pid: Option<u32>,
    /// The results as JSON, on standard output or in a file
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    #[arg(help_heading = "What is shown")]
    pub json: Option<PathBuf>,
    /// No live view
    #[arg(long, short, help_heading = "What is shown")]
    pub quiet: bool,
    /// Threads [default: 1, in as many processes as the limit on descriptors asks for]
    #[arg(long, value_name = "N", value_parser = count, help_heading = "How")]
    pub workers: Option<u32>,
    /// Try even what this machine has no room for
    #[arg(long, help_heading = "How")]
    pub anyway: bool,
    /// Be a process that works for another one.
    #[arg(long, hide = true)]
    pub worker_process: bool,
}

impl Args {
    /// The load that they ask for, and for how long.
    ///
    /// # Errors
    /// They make no sense, or a file cannot be read.
    pub fn load(&self) -> Result<(Load, Option<Duration>), Error> {
        let target = Target::parse(self.target.as_deref().unwrap_or_default(), None)?;
        let mut load = Load::new(target);
        let size = self.size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        load.speak = self.speak;
        load.size = size.unwrap_or(load.size);
        load.has_size = size.is_some();
        load.idle = self.idle.unwrap_or(0);
        let default_active = if load.idle > 0 { 0 } else { 50 };
        load.active = self.active.unwrap_or(default_active);
        load.rate = self.rate;
        load.pipeline = self.pipeline;
        load.churn = self.churn;
        load.reset = self.reset;
        load.udp = self.udp;
        load.verify = !self.no_verify;
        load.requests = self.requests;
        load.timeout = self.timeout;
        load.pid = self.pid;
        load.workers = self.workers;
        load.anyway = self.anyway;
        load.senders = self.senders.unwrap_or(1);
        load.path.clone_from(&self.path);
        load.send = self.send.as_deref().map(read).transpose()?;
        match self.speak {
            Speak::Raw => {
                load.expect_bytes = self.expect.as_ref().map(|file| read(file.as_ref())).transpose()?;
            }
            _ => load.expect.clone_from(&self.expect),
        }
        if let Some(rising) = self.ramp {
            let most = if rising == Rising::Idle { self.idle } else { self.active };
            load.ramp =
                Some(super::ramp::Ramp { rising, most, max_latency: self.max_latency, churn: self.churn });
        }
        load.check()?;
        let default = if self.ramp.is_some() { Duration::from_secs(2) } else { Duration::from_secs(10) };
        let endless = self.requests.is_some() && self.ramp.is_none();
        Ok((load, self.duration.or((!endless).then_some(default))))
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, Error> {
    let what = || format!("reading {}", path.display());
    std::fs::read(path).map_err(|error| Error::File { what: what(), error })
}

/// A number as people write it: `20000`, `20k`, `1M`, `64KiB`.
fn number(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "K" | "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return Err(format!("{unit:?} is no unit; there are k, M, KiB and MiB")),
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    number.ok_or_else(|| format!("{text:?} is no number"))
}

fn count(text: &str) -> Result<u32, String> {
    number(text)?.try_into().map_err(|_| format!("{text} is too many"))
}

fn rate(text: &str) -> Result<f64, String> {
    let plain = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    let short = || number(text).ok().map(super::session::to_f64).filter(|rate| *rate > 0.0);
    plain.or_else(short).ok_or_else(|| format!("{text:?} is no rate, which looks like 500, 20k or 0.5"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        assert_eq!((number("20000"), number("20k"), number("64KiB")), (Ok(20_000), Ok(20_000), Ok(65_536)));
        assert!(number("5x").is_err() && number("").is_err() && number("-1").is_err());
        assert!(number("99999999999999999999").is_err() && count("5000000000").is_err());
        assert_eq!((rate("0.5"), rate("5k")), (Ok(0.5), Ok(5000.0)));
        assert!(rate("0").is_err() && rate("-1").is_err() && rate("inf").is_err());
    }
}
