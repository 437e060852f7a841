//! What the tests of the whole program share: the daemon, other people's programs, and patience with
//! a bound. Every test file uses some of it, none uses all.
#![allow(dead_code, unreachable_pub, unused_imports)]
// The helpers here belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub mod browser;
pub mod daemon;
pub mod namespace;
pub mod own;
pub mod proc;
pub mod program;
pub mod proxy;
pub mod stage;
pub mod stress;
pub mod terminal;
pub mod transcript;

pub use browser::Browser;
pub use daemon::{Daemon, Start};
pub use program::Program;
pub use terminal::Terminal;

/// How long anything may take that takes a moment. Only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Whether these programs are there. If not, the test that needs them says so past the capture of its
/// output, where a person sees it when all is green; under `tests/run` it fails.
pub fn have(programs: &[&str], what: &str) -> bool {
    let missing: Vec<_> = programs.iter().filter(|name| program::find(name).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    left_out(&format!("  {what} (not installed: {missing:?})"));
    false
}

/// What in this process's environment changes what a program prints, or is a setting of the daemon's: a
/// test's programs run without it. (A CI run often has `CI`, which makes clap colour what it prints.)
pub fn own_settings() -> Vec<String> {
    let shows = ["CI", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "NO_COLOR"];
    let is_ours = |name: &String| name.starts_with("SWITCHBOARD_") || shows.contains(&name.as_str());
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(is_ours).collect()
}

/// Waits until `ready` has an answer; `None` when it had none within the time.
pub fn wait_for<T>(within: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ready() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        // Not a wait for something to have happened, only between two looks.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says what a test left out for want of a program, past the capture of the output: a person must see it
/// when all is green, too. Where everything must run (`SWITCHBOARD_TESTS=all`, see `tests/run`), it is a
/// failure.
pub fn left_out(what: &str) {
    say_past_the_capture(&format!("\nLEFT OUT:\n{what}\n"));
    let all = std::env::var_os("SWITCHBOARD_TESTS").is_some_and(|which| which == "all");
    assert!(!all, "left out:\n{what}");
}

/// Says what a test left out because this machine does not allow it, which installing nothing changes.
pub fn not_allowed(what: &str, why: &str) {
    say_past_the_capture(&format!("\nLEFT OUT: {what} ({why})\n"));
}

fn say_past_the_capture(text: &str) {
    if let Ok(mut terminal) = OpenOptions::new().append(true).open("/dev/stderr") {
        // In one write, so that tests beside this one do not come between.
        let _ = terminal.write_all(text.as_bytes());
    }
}

/// Tells the threads of a scope to stop when it is dropped: after a panic, the scope would wait for them for ever.
#[derive(Debug)]
pub struct Stops<'a>(pub &'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
