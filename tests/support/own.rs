//! This program's own clients, run to their end.

use std::net::SocketAddr;
use std::time::Duration;

use assert_cmd::Command;

/// What a client did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `switchboard ARGUMENT..` with this standard input, within a time.
pub fn run_with(arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::cargo_bin("switchboard").unwrap();
    for name in super::own_settings() {
        command.env_remove(name);
    }
    command.env("TZ", "UTC").timeout(Duration::from_secs(60)).write_stdin(input);
    let output = command.args(arguments).output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, b"")
}

/// Runs words with `ADDRESS` in them replaced.
pub fn run_at(address: SocketAddr, words: &str) -> Ran {
    let words: Vec<String> =
        words.split(' ').map(|word| word.replace("ADDRESS", &address.to_string())).collect();
    run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

impl Ran {
    /// The last line of stderr, which is the error, with the port left out: those differ.
    pub fn error(&self, address: SocketAddr) -> String {
        let line = self.stderr.lines().last().unwrap_or_default();
        line.replace(&format!(":{}", address.port()), ":PORT")
    }

    /// What it printed, when it ended well.
    pub fn succeed(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }
}
