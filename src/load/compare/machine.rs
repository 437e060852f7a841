//! The machine: what a reader must know of it, who runs on which core, and what its kernel needs.

use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::report::Machine;
use crate::load::capacity::Limits;

/// Reads what there is to know. Raises this process's limit on descriptors.
pub(super) fn look() -> Machine {
    let limits = Limits::read();
    let system = rustix::system::uname();
    let tasks = rlimit::getrlimit(rlimit::Resource::NPROC).map_or(rlimit::INFINITY, |(soft, _)| soft);
    Machine {
        cpu: line_of("/proc/cpuinfo", "model name")
            .unwrap_or_else(|| system.machine().to_string_lossy().into()),
        cores: cores().len(),
        kernel: format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()),
        memory: meminfo("MemTotal").unwrap_or_default(),
        descriptors: limits.descriptors,
        ports: limits.ports,
        tasks: (tasks != rlimit::INFINITY).then_some(tasks),
        load: read("/proc/loadavg").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default(),
        scheduling: scheduling(),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn line_of(path: &str, name: &str) -> Option<String> {
    let text = read(path);
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn meminfo(name: &str) -> Option<u64> {
    line_of("/proc/meminfo", name)?.trim_end_matches(" kB").parse::<u64>().ok()?.checked_mul(1024)
}

/// The policy's number is the last but one before the delay in `/proc/self/stat`.
fn scheduling() -> String {
    let text = read("/proc/self/stat");
    let numbers = text.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect::<Vec<_>>());
    let policy = numbers.and_then(|numbers| numbers.get(38).map(|&policy| policy.to_owned()));
    match policy.as_deref() {
        Some("1") => "real-time, first in first out",
        Some("2") => "real-time, round robin",
        Some("0" | "3" | "5") => "ordinary",
        _ => "unknown",
    }
    .to_owned()
}

/// Bytes that are free for use.
pub(super) fn free_memory() -> u64 {
    meminfo("MemAvailable").unwrap_or(u64::MAX)
}

/// Bytes that the kernel uses for sockets, files, stacks and page tables; other programs' included.
pub(super) fn kernel_memory() -> u64 {
    // Without the slabs that can be reclaimed, which are caches; the files' are among the others.
    let pages: u64 = ["/proc/net/sockstat"].iter().filter_map(|path| buffers(&read(path))).sum();
    let parts = ["SUnreclaim", "KernelStack", "PageTables"].iter().filter_map(|name| meminfo(name));
    parts.sum::<u64>() + pages * u64::try_from(rustix::param::page_size()).unwrap_or(4096)
}

/// Pages in TCP's buffers.
fn buffers(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find(|line| line.starts_with("TCP:"))?;
    line.split_once("mem ")?.1.split(' ').next()?.trim().parse().ok()
}

/// The cores that this process may use.
pub(super) fn cores() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return vec![0] };
    (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect()
}

/// Who runs where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cores {
    /// The servers' own.
    pub(super) servers: Vec<usize>,
    /// The load's own.
    pub(super) load: Vec<usize>,
}

impl Cores {
    /// Gives the servers so many cores for themselves, and the load the others; nothing to anybody where
    /// there are too few.
    pub(super) fn share(all: &[usize], servers: usize) -> Option<Self> {
        (servers > 0 && servers < all.len()).then(|| {
            let (servers, load) = all.split_at(servers);
            Self { servers: servers.to_vec(), load: load.to_vec() }
        })
    }

    /// What is done, in a sentence.
    pub(super) fn describe(this: Option<&Self>) -> String {
        let list = |cores: &[usize]| cores.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        this.map_or_else(
            || "Servers and load share all cores: there are too few to keep them apart.".to_owned(),
            |cores| {
                format!(
                    "The engines run on core {}, the load on core {}; where a peer runs is its own affair.",
                    list(&cores.servers),
                    list(&cores.load)
                )
            },
        )
    }
}

/// Runs this thread, and what it starts from now on, on these cores.
pub(super) fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|&core| set.set(core));
    // Where that is not allowed, the figures are noisier and no less true.
    let _ = sched_setaffinity(None, &set);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let machine = look();
        assert!(!machine.cpu.is_empty() && machine.cores > 0 && machine.memory > 1 << 20, "{machine:?}");
        assert!(machine.kernel.starts_with("Linux ") && machine.descriptors >= 20, "{machine:?}");
        assert_ne!(machine.scheduling, "unknown");
        assert!(kernel_memory() > 1 << 16 && free_memory() > kernel_memory() / 1000);
    }

    #[test]
    fn cores_are_shared_where_there_are_enough() {
        let cores = Cores::share(&[0, 1, 4], 1).unwrap();
        assert_eq!((cores.servers.as_slice(), cores.load.as_slice()), ([0].as_slice(), [1, 4].as_slice()));
        assert_eq!(Cores::share(&[0], 1), None);
        assert_eq!(Cores::share(&[0, 1], 2), None);
        assert!(Cores::describe(None).contains("share all"));
    }

    #[test]
    fn the_buffers_of_tcp_are_read() {
        let text = "sockets: used 31\nTCP: inuse 15 orphan 0 tw 431 alloc 15 mem 934\nUDP: inuse 0 mem 7\n";
        assert_eq!(buffers(text), Some(934));
        assert_eq!(buffers(""), None);
    }
}
