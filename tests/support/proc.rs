//! What the kernel knows about a process, from `/proc`.

use std::fs;

fn status(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// Resident memory, in KiB.
pub fn resident(pid: u32) -> u64 {
    status(pid, "VmRSS")
}

/// The most that was ever resident, in KiB.
pub fn peak(pid: u32) -> u64 {
    status(pid, "VmHWM")
}

/// How often the process has gone to sleep of its own accord: once per wake-up.
pub fn sleeps(pid: u32) -> u64 {
    status(pid, "voluntary_ctxt_switches")
}

/// Processor time used so far, in clock ticks of 10 ms.
pub fn ticks(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Open descriptors, and a child counts as one: what connections take, whatever the engine.
pub fn taken(pid: u32) -> usize {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    descriptors(pid) + children.split_whitespace().count()
}

/// Open descriptors.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}
