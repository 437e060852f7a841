//! Servers to be compared: this program with one of its engines, started for a row and ended with it, or a
//! peer that somebody else has started.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::args::Service;
use crate::client::{Error, Target};
use crate::escape::Escaped;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(10);
/// How long it may take to end.
const END: Duration = Duration::from_secs(3);
/// The file of the HTTP row, and its bytes.
pub(super) const FILE: (&str, usize) = ("small.html", 1024);

/// A server of one service that runs. One that was started here ends with this value.
#[derive(Debug)]
pub(super) struct Server {
    /// Where it listens.
    pub(super) target: Target,
    /// Its process, if that is known.
    pub(super) pid: Option<u32>,
    child: Option<Child>,
    dir: Option<TempDir>,
}

impl Server {
    /// One that runs already.
    pub(super) fn peer(target: Target, pid: Option<u32>) -> Self {
        Self { target, pid, child: None, dir: None }
    }

    /// Starts this program with an engine, and waits until it listens.
    ///
    /// # Errors
    /// It does not start; the error has its own words.
    pub(super) fn start(engine: &str, service: Service) -> Result<Self, Error> {
        let dir = tempfile::tempdir().map_err(|error| failure("a directory for the server", error))?;
        let body = "x".repeat(FILE.1);
        std::fs::write(dir.path().join(FILE.0), body).map_err(|error| failure("a file to serve", error))?;
        let (name, ports) = (service.name(), dir.path().join("ports"));
        let program = std::env::current_exe().map_err(|error| failure("this program", error))?;
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("SWITCHBOARD_") {
                command.env_remove(variable);
            }
        }
        let port = format!("{name}=0");
        command.args([
            "serve",
            "--engine",
            engine,
            "-q",
            "--only",
            name,
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
        ]);
        command.args(["--grace", "100ms", "--end-with", &std::process::id().to_string(), "--root"]);
        command.arg(dir.path()).arg("--ports-file").arg(&ports);
        // Ctrl-C is for this process, which ends it after the results.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let child = command.spawn().map_err(|error| failure("starting a server", error))?;
        let pid = Some(child.id());
        let target = Target { host: "127.0.0.1".to_owned(), port: 0 };
        let mut server = Self { target, pid, child: Some(child), dir: Some(dir) };
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(port) = std::fs::read_to_string(&ports).ok().and_then(|text| port_of(&text)) {
                server.target.port = port;
                return Ok(server);
            }
            if server.has_ended().is_some() {
                let words = server.last_words();
                // How it was asked is not the reader's affair.
                let reason = words.trim_start_matches(&format!("--only: {name}: "));
                return Err(Error::Network(reason.to_owned()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(Error::Network(format!("it does not listen after {} s", START.as_secs())))
    }

    /// How it has ended, if it was started here and has.
    pub(super) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// What an ended server said last.
    fn last_words(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(stderr) = self.child.as_mut().and_then(|child| child.stderr.take()) {
            // Its children may hold the pipe: what matters has been said.
            let _ = stderr.take(4096).read_to_end(&mut said);
        }
        let text = String::from_utf8_lossy(&said);
        let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it ended at once");
        Escaped::bounded(line.trim_start_matches("error: ").as_bytes(), 200).to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        let deadline = Instant::now() + END;
        if let (Ok(None), Some(pid)) = (child.try_wait(), Pid::from_raw(child.id().cast_signed())) {
            // An engine with children of its own must be able to end them.
            let _ = kill_process(pid, Signal::TERM);
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        self.dir.take();
    }
}

fn failure(what: &str, error: std::io::Error) -> Error {
    Error::File { what: what.to_owned(), error }
}

/// The port in `echo tcp 127.0.0.1:10007`.
fn port_of(text: &str) -> Option<u16> {
    text.lines().find(|line| line.contains(" tcp "))?.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_tcp() {
        assert_eq!(port_of("echo udp 127.0.0.1:9\necho tcp 127.0.0.1:10007\n"), Some(10007));
        assert_eq!(port_of(""), None);
    }
}
