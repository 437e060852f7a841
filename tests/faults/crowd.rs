//! A crowd that is silent while some work. Its side is a process of its own: one process has descriptors for
//! one end of it only.

use std::time::{Duration, Instant};

use crate::common::{assert_serves, memory, stop};
use crate::support::daemon::concurrent_engines;
use crate::support::stress::stress;
use crate::support::{Start, proc};

/// Who works meanwhile.
const ACTIVE: u64 = 50;

/// How many are silent, and what each may take of the daemon's memory, in bytes. What threads and processes take
/// is theirs; the reactor's is a slot, and what the allocator needs for it.
fn crowd(engine: &str) -> (u64, u64) {
    match engine {
        "reactor" => (18_000, 512),
        "threads" => (4_000, 40 * 1024),
        _ => (200, 1024 * 1024),
    }
}

#[test]
fn a_silent_crowd_costs_little_and_keeps_nobody_from_working() {
    for engine in concurrent_engines() {
        let (idle, each) = crowd(engine);
        let daemon = Start::engine(engine).run();
        assert_serves(&daemon);
        let (start, before) = (Instant::now(), memory(&daemon));
        let (done, peak) = std::thread::scope(|scope| {
            // Two services: ports of one machine become hard to find when half of them are in use towards one.
            let loads = [("echo", ACTIVE), ("modify", 0)].map(|(service, active)| {
                let address = daemon.tcp(service);
                scope.spawn(move || {
                    let (idle, active) = ((idle / 2).to_string(), active.to_string());
                    let load = ["--as", service, "--idle", &idle, "--active", &active, "--duration", "4s"];
                    stress(address, &[&load[..], &["--timeout", "20s", "--workers", "1"]].concat())
                })
            });
            let mut peak = (0, 0);
            while !loads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                peak = (peak.0.max(memory(&daemon)), peak.1.max(proc::descriptors(daemon.pid())));
                std::thread::sleep(Duration::from_millis(500));
            }
            (loads.map(|load| load.join().unwrap()), peak)
        });
        for done in &done {
            done.passed();
            for what in ["/connections/idle_made", "/connections/idle_proven"] {
                assert_eq!(done.count(what), idle / 2, "{engine} {what}: {:#}", done.brief());
            }
        }
        let answered = done[0].count("/requests/answered");
        assert!(answered >= 10 * ACTIVE, "{engine}: {:#}", done[0].brief());
        let ((peak, open), took) = (peak, start.elapsed());
        println!(
            "{engine}: {idle} silent: {} KiB; {answered} answered; {took:?}",
            peak.saturating_sub(before)
        );
        assert!(open as u64 > idle || engine == "processes", "{engine}: {open} at once");
        // Those who work have buffers.
        let bound = before + idle * each / 1024 + 16 * 1024;
        assert!(
            peak < bound,
            "{engine}: {peak} KiB with {idle} silent ones, {before} before, {bound} at most"
        );
        assert_eq!(stop(daemon).cut_off, 0, "{engine}");
    }
}
