//! What the tests of the whole program share: the daemon, other people's programs, and patience with
//! a bound. Every test file uses some of it, none uses all.
#![allow(dead_code, unreachable_pub, unused_imports)]
// The helpers here belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

pub mod browser;
pub mod daemon;
pub mod namespace;
pub mod own;
pub mod proc;
pub mod program;
pub mod proxy;
pub mod stage;
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
    leave_out(what, &format!("not installed: {missing:?}"));
    let all = std::env::var_os("SWITCHBOARD_TESTS").is_some_and(|which| which == "all");
    assert!(!all, "{what}: not installed: {missing:?}");
    false
}

/// Says what was not tried, and why.
pub fn leave_out(what: &str, why: &str) {
    std::fs::write("/dev/stderr", format!("\nLEFT OUT: {what} ({why})\n")).unwrap();
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
    if let Ok(mut terminal) = OpenOptions::new().append(true).open("/dev/stderr") {
        // In one write, so that tests beside this one do not come between.
        let _ = terminal.write_all(format!("\nLEFT OUT:\n{what}\n").as_bytes());
    }
    let all = std::env::var_os("SWITCHBOARD_TESTS").is_some_and(|which| which == "all");
    assert!(!all, "left out:\n{what}");
}
