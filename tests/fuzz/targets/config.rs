//! Any text as the configuration file: it gives services, or one line that says what is wrong and where.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use switchboard::cli::{self, Command, ServeArgs};
use switchboard::config::Plan;
use tempfile::TempDir;

/// The flags, and the directory of the file, which is the current one.
struct Setup {
    args: ServeArgs,
    file: PathBuf,
    _dir: TempDir,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    std::env::set_current_dir(dir.path()).unwrap();
    let file = dir.path().join("fuzz.toml");
    let words = ["switchboard", "serve", "--config", file.to_str().unwrap()].map(str::to_owned);
    let Some(Command::Serve(args)) = cli::parse(words).unwrap().command else { panic!("serve is a command") };
    Setup { args: *args, file, _dir: dir }
});

fuzz_target!(|text: &str| {
    // What a file names is looked for, and some of it made. This machine is not to be disturbed.
    if text.contains(['/', '~']) || text.contains("..") || text.contains("\\") {
        return;
    }
    fs::write(&SETUP.file, text).unwrap();
    match Plan::new(&SETUP.args) {
        Ok(plan) => assert!(!plan.services.is_empty() && !plan.places.is_empty()),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.chars().any(char::is_control), "{line:?}");
        }
    }
});
