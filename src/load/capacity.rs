//! What this machine has room for: which limit would stop a load, before it does, and how to raise it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::source;
use crate::start::grouped;

/// Descriptors of a process that are no connections.
const OWN_DESCRIPTORS: u64 = 64;
/// Processes at the most.
const PROCESSES: u64 = 64;
/// What the kernel keeps for a connection over the loopback: both ends are here.
const LOOPBACK_BYTES: u64 = 10 * 1024;
/// What it keeps for one end.
const ONE_END_BYTES: u64 = 5 * 1024;
/// What this program keeps for a connection.
const OWN_BYTES: u64 = 512;
/// Addresses that connections of a request each come from: their ports stay taken for a minute.
const CHURN_SOURCES: u64 = 256;

/// What the machine allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Descriptors that a process may have open (`RLIMIT_NOFILE`, the hard one).
    pub descriptors: u64,
    /// Files that all processes together may have open.
    pub files: u64,
    /// Ports to connect from.
    pub ports: u64,
    /// Bytes of memory that are free.
    pub memory: u64,
}

impl Limits {
    /// Reads them, and raises this process's own limit as far as it may.
    pub fn read() -> Self {
        let raised = rlimit::increase_nofile_limit(u64::MAX);
        let now = |_| rlimit::getrlimit(rlimit::Resource::NOFILE).map(|(soft, _)| soft);
        let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        Self {
            descriptors: raised.or_else(now).unwrap_or(1024),
            files: number("/proc/sys/fs/file-max").unwrap_or(u64::MAX),
            ports: ports().unwrap_or(28_232),
            memory: memory().unwrap_or(u64::MAX),
        }
    }

    /// How many connections can be tried from here.
    pub fn most(&self, target: &SocketAddr) -> u64 {
        let (addresses, bytes) = cost(target);
        let descriptors = self.descriptors.saturating_sub(OWN_DESCRIPTORS).saturating_mul(PROCESSES);
        descriptors.min(self.ports.saturating_mul(addresses)).min(self.memory / bytes)
    }
}

fn ports() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = text.split_whitespace().map(str::parse::<u64>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(high.checked_sub(low)? + 1)
}

fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok()?.checked_mul(1024)
}

/// Addresses to connect from, and bytes per connection.
fn cost(target: &SocketAddr) -> (u64, u64) {
    let addresses = if source::can_spread(target) { u64::from(source::MOST) } else { 1 };
    let kernel = if target.ip().is_loopback() { LOOPBACK_BYTES } else { ONE_END_BYTES };
    (addresses, kernel + OWN_BYTES)
}

/// A limit that is lower than what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// What there is too little of.
    pub what: String,
    /// How many connections there is room for.
    pub room: u64,
    /// How to have more.
    pub raise: String,
}

/// How a number of connections is spread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Processes that share them; 1: this one.
    pub processes: u32,
    /// Addresses that they come from; 0: the kernel chooses one.
    pub sources: u32,
    /// What would stop them, the lowest limit first.
    pub stops: Vec<Stop>,
}

/// How `connections` to `target` can be had.
pub fn fit(connections: u64, target: &SocketAddr, churn: bool, limits: &Limits) -> Fit {
    let each = limits.descriptors.saturating_sub(OWN_DESCRIPTORS).max(1);
    let processes = connections.div_ceil(each).max(1);
    let (addresses, bytes) = cost(target);
    // A part of the ports is left to others, and to connections that are just being closed.
    let per_address = (limits.ports * 3 / 4).max(1);
    let spread = connections.div_ceil(per_address);
    let sources = match () {
        () if addresses == 1 => 0,
        () if churn => spread.max(CHURN_SOURCES),
        () if spread > 1 => spread,
        () => 0,
    };
    let stop = |what: &str, room: u64, raise: String| {
        (connections > room).then(|| Stop { what: what.to_owned(), room, raise })
    };
    let (ports, memory) = (limits.ports.saturating_mul(addresses), limits.memory / bytes);
    let mut stops: Vec<_> = [
        stop(
            "descriptors",
            each.saturating_mul(PROCESSES),
            format!(
                "a process may open {} files, and there are {PROCESSES} processes at the most: raise `ulimit -Hn`",
                grouped(limits.descriptors)
            ),
        ),
        stop(
            "files",
            limits.files,
            "all processes together may open no more: sysctl -w fs.file-max=...".to_owned(),
        ),
        stop(
            "ports",
            ports,
            "one address has no more: sysctl -w net.ipv4.ip_local_port_range='1024 65535'; a target in 127.0.0.0/8 has 64,516 addresses"
                .to_owned(),
        ),
        stop(
            "memory",
            memory,
            format!("a connection takes about {} KB of kernel memory here", bytes / 1024),
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    stops.sort_by_key(|stop| stop.room);
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Fit { processes: narrow(processes.min(PROCESSES)), sources: narrow(sources.min(addresses)), stops }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { descriptors: 20_064, files: 1 << 40, ports: 28_000, memory: 1 << 34 };

    fn fitted(connections: u64, target: &str, churn: bool, limits: Limits) -> Fit {
        fit(connections, &target.parse().unwrap(), churn, &limits)
    }

    #[test]
    fn a_few_connections_are_nothing_special() {
        let fit = fitted(50, "127.0.0.1:7", false, LIMITS);
        assert_eq!(fit, Fit { processes: 1, sources: 0, stops: Vec::new() });
    }

    #[test]
    fn many_are_spread_over_processes_and_addresses() {
        let fit = fitted(100_000, "127.0.0.1:7", false, LIMITS);
        assert_eq!((fit.processes, fit.sources, fit.stops), (5, 5, Vec::new()));
        assert_eq!(fitted(20_000, "127.0.0.1:7", false, LIMITS).processes, 1);
        assert_eq!(fitted(20_001, "127.0.0.1:7", false, LIMITS).processes, 2);
        assert_eq!(fitted(50, "127.0.0.1:7", true, LIMITS).sources, 256);
        assert_eq!(fitted(50, "192.0.2.1:7", true, LIMITS).sources, 0);
    }

    #[test]
    fn the_lowest_limit_is_named_first_with_what_raises_it() {
        let fit = fitted(30_000, "192.0.2.1:7", false, LIMITS);
        assert_eq!((fit.stops[0].what.as_str(), fit.stops[0].room), ("ports", 28_000));
        assert!(fit.stops[0].raise.contains("ip_local_port_range"));
        let small = Limits { memory: 100 << 20, ..LIMITS };
        let fit = fitted(2_000_000, "127.0.0.1:7", false, small);
        let names: Vec<_> = fit.stops.iter().map(|stop| stop.what.as_str()).collect();
        assert_eq!(names, ["memory", "descriptors"]);
        assert_eq!(small.most(&"127.0.0.1:7".parse().unwrap()), (100 << 20) / 10_752);
        assert_eq!(LIMITS.most(&"[::1]:7".parse().unwrap()), 28_000);
    }
}
