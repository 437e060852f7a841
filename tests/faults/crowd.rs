//! A crowd that is silent while some work. Its side is a process of its own: one process has descriptors for
//! one end of it only.

use crate::common::{assert_serves, memory, stop};
use crate::support::Start;
use crate::support::daemon::concurrent_engines;
use crate::support::stress::stress;

/// Who works meanwhile.
const ACTIVE: u64 = 50;

/// How many are silent, and what each may take of the daemon's memory, in bytes. What threads and processes take
/// is theirs; the reactor's is a slot, and what the allocator needs for it.
fn crowd(engine: &str) -> (u64, u64) {
    match engine {
        "reactor" => (18_000, 512),
        "threads" => (4_000, 40 * 1024),
        _ => (300, 1024 * 1024),
    }
}

#[test]
fn a_silent_crowd_costs_little_and_keeps_nobody_from_working() {
    for engine in concurrent_engines() {
        let (idle, each) = crowd(engine);
        let daemon = Start::engine(engine).run();
        assert_serves(&daemon);
        let (before, address) = (memory(&daemon), daemon.tcp("echo"));
        let (done, peak) = std::thread::scope(|scope| {
            let load = scope.spawn(move || {
                let (idle, active) = (idle.to_string(), ACTIVE.to_string());
                let more = ["--timeout", "20s", "--workers", "1"];
                let load = ["--idle", &idle, "--active", &active, "--duration", "3s"];
                stress(address, &[&load[..], &more].concat())
            });
            let mut peak = 0;
            while !load.is_finished() {
                peak = peak.max(memory(&daemon));
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            (load.join().unwrap(), peak)
        });
        done.passed();
        for what in ["/connections/idle_made", "/connections/idle_proven"] {
            assert_eq!(done.count(what), idle, "{engine} {what}: {:#}", done.brief());
        }
        assert!(done.count("/requests/answered") >= 10 * ACTIVE, "{engine}: {:#}", done.brief());
        // Those who work have buffers.
        let bound = before + idle * each / 1024 + 16 * 1024;
        assert!(
            peak < bound,
            "{engine}: {peak} KiB with {idle} silent ones, {before} before, {bound} at most"
        );
        assert_eq!(stop(daemon).cut_off, 0, "{engine}");
    }
}
