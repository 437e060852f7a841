//! A local server seen from outside, with all of its children: processor time, memory, threads, context
//! switches, from `/proc`.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::start::grouped;

/// Processes of a server that are looked at.
const PROCESSES: u64 = 100_000;

/// A server at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Processor time, in microseconds, that of children which have ended included.
    pub cpu: u64,
    /// Resident bytes.
    pub rss: u64,
    /// Resident bytes, shared ones divided by those who share them.
    pub pss: u64,
    /// Threads.
    pub threads: u64,
    /// Processes.
    pub processes: u64,
    /// Context switches, voluntary and not, of the threads that there are.
    pub switches: u64,
}

impl Sample {
    /// Looks at a process and its children; none if it is gone.
    pub fn of(pid: u32) -> Option<Self> {
        fs::metadata(format!("/proc/{pid}")).ok()?;
        let mut sum = Self::default();
        let mut left = vec![pid];
        while let Some(pid) = left.pop() {
            if sum.processes >= PROCESSES {
                break;
            }
            sum.add(pid, &mut left);
        }
        (sum.processes > 0).then_some(sum)
    }

    fn add(&mut self, pid: u32, children: &mut Vec<u32>) {
        let Some((own, waited_for)) = cpu(pid) else { return };
        self.processes += 1;
        let status = read(pid, "status");
        self.rss += field(&status, "VmRSS:") * 1024;
        // Only its owner may read that; then the resident set has to do.
        let rollup = read(pid, "smaps_rollup");
        self.pss += if rollup.is_empty() { field(&status, "VmRSS:") } else { field(&rollup, "Pss:") } * 1024;
        let mut ran = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            self.threads += 1;
            let at = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let status = at("status");
            self.switches += field(&status, "voluntary_ctxt_switches:");
            self.switches += field(&status, "nonvoluntary_ctxt_switches:");
            children.extend(at("children").split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            ran +=
                at("schedstat").split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or_default();
        }
        // The one knows threads that have ended, the other is exact: a thousand processes that ran for less than
        // a tick each would have taken nothing.
        self.cpu += own.max(ran / 1000) + waited_for;
    }
}

/// How many files a server's process may open (its soft `RLIMIT_NOFILE`), and how many it has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit.
    pub limit: u64,
    /// Open now; 0 where only the server's owner may know.
    pub open: u64,
}

impl Descriptors {
    /// Those of a process; none if it is gone, or has no limit.
    pub fn of(pid: u32) -> Option<Self> {
        let limits = read(pid, "limits");
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        let limit = line.split_whitespace().next()?.parse().ok()?;
        let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |all| all.count() as u64);
        Some(Self { limit, open })
    }

    /// What is to be said before so many connections are made to a server that has room for fewer.
    pub fn warning(self, pid: u32, connections: u64) -> Option<String> {
        let room = self.limit.saturating_sub(self.open);
        (connections > room).then(|| {
            format!(
                "the server (process {pid}) may open {} files and has {} open: unless other processes of it take \
                 connections, it has room for {}, not {}; raise its limit: `ulimit -n` where it is started, \
                 LimitNOFILE= for systemd, or at once `prlimit --pid {pid} --nofile={}`",
                grouped(self.limit),
                grouped(self.open),
                grouped(room),
                grouped(connections),
                (connections + self.open + 64).next_multiple_of(1000)
            )
        })
    }
}

fn read(pid: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default()
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Microseconds, in whole ticks: its own, and those of children that it has waited for.
fn cpu(pid: u32) -> Option<(u64, u64)> {
    let text = read(pid, "stat");
    // The name may have blanks and parentheses in it; the numbers begin behind the last of these.
    let (_, numbers) = text.rsplit_once(") ")?;
    let numbers: Vec<u64> = numbers.split(' ').skip(11).take(4).filter_map(|n| n.parse().ok()).collect();
    let [user, system, children_user, children_system] = numbers.try_into().ok()?;
    let micros = |ticks: u64| ticks * 1_000_000 / rustix::param::clock_ticks_per_second();
    Some((micros(user + system), micros(children_user + children_system)))
}

/// What a local server used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerUse {
    /// Its process.
    pub pid: u32,
    /// Processor seconds while it was driven.
    pub cpu_seconds: f64,
    /// The same as a share of one core.
    pub cpu_share: f64,
    /// Processor time per reply, in microseconds.
    pub cpu_us_per_reply: Option<f64>,
    /// Resident bytes at the end.
    pub rss: u64,
    /// Resident bytes, shared ones divided, at the end.
    pub pss: u64,
    /// What each idle connection added to that.
    pub pss_per_idle: Option<f64>,
    /// Threads at the end.
    pub threads: u64,
    /// Processes at the end.
    pub processes: u64,
    /// Context switches a second while it was driven.
    pub switches_per_second: f64,
    /// Context switches per reply.
    pub switches_per_reply: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_with_its_children() {
        let mut child = std::process::Command::new("sleep").arg("20").spawn().unwrap();
        let both = Sample::of(std::process::id()).unwrap();
        let alone = Sample::of(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(both.processes >= 2 && both.threads >= 2, "{both:?}");
        assert!(both.rss > alone.rss && alone.rss > 0 && alone.pss <= alone.rss, "{both:?} {alone:?}");
        assert_eq!((alone.processes, alone.threads), (1, 1));
        assert_eq!(Sample::of(u32::MAX), None);
    }

    #[test]
    fn a_server_with_too_few_descriptors_is_known_before() {
        let script = "ulimit -Sn 100; exec sleep 20";
        let mut child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        let of = |pid| Descriptors::of(pid).filter(|found| found.limit == 100);
        while of(child.id()).is_none() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let found = of(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        let found = found.unwrap();
        assert!(found.open >= 3, "{found:?}");
        assert_eq!(found.warning(7, 100 - found.open), None);
        let warning = found.warning(7, 1000).unwrap();
        for part in ["process 7", "may open 100 files", "not 1,000", "prlimit --pid 7 --nofile=2000"] {
            assert!(warning.contains(part), "{part}: {warning}");
        }
        assert_eq!(Descriptors::of(u32::MAX), None);
    }
}
