//! The real program, started for a test and ended with it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use clap::ValueEnum;

use rustix::process::{Pid, Signal, kill_process};
use switchboard::check::Target;
use switchboard::cli::EngineName;
use switchboard::protocol::TABLE;
use tempfile::TempDir;

use super::{PATIENCE, own_settings, wait_for};

/// Every engine there is, as the command line knows them.
pub fn engines() -> impl Iterator<Item = &'static str> {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let names = EngineName::value_variants().iter().filter_map(EngineName::to_possible_value);
        names.map(|value| value.get_name().to_owned()).collect()
    });
    NAMES.iter().map(String::as_str)
}

/// Those that serve several clients at once.
pub fn concurrent_engines() -> impl Iterator<Item = &'static str> {
    engines().filter(|name| is_concurrent(name))
}

/// Whether an engine serves several clients at once.
pub fn is_concurrent(engine: &str) -> bool {
    EngineName::from_str(engine, false).unwrap().is_concurrent()
}

/// How to start it.
#[derive(Debug)]
pub struct Start {
    engine: &'static str,
    arguments: Vec<String>,
    /// `ulimit -n`.
    descriptors: Option<u32>,
}

impl Start {
    pub fn engine(engine: &'static str) -> Self {
        Self { engine, arguments: Vec::new(), descriptors: None }
    }

    pub fn reactor() -> Self {
        Self::engine("reactor")
    }

    /// An option of a service: `hello.quiet=2s`.
    pub fn set(mut self, option: &str) -> Self {
        self.arguments.extend(["--set".to_owned(), option.to_owned()]);
        self
    }

    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    pub fn descriptors(mut self, limit: u32) -> Self {
        self.descriptors = Some(limit);
        self
    }

    /// The command line: every service at any free port, and the file that says which.
    pub fn command_line(&self, dir: &Path) -> Vec<String> {
        let mut words = vec![env!("CARGO_BIN_EXE_switchboard").to_owned(), "serve".to_owned()];
        words.extend(["--engine".to_owned(), self.engine.to_owned()]);
        for row in TABLE {
            words.extend(["--port".to_owned(), format!("{}=0", row.name)]);
        }
        for (flag, name) in [("--ports-file", "ports"), ("--root", "root"), ("--uploads", "uploads")] {
            words.extend([flag.to_owned(), dir.join(name).display().to_string()]);
        }
        words.extend(self.arguments.iter().cloned());
        words
    }

    /// Starts it and waits until it listens.
    pub fn run(self) -> Daemon {
        let dir = new_dir();
        let words = self.command_line(dir.path());
        let mut command = match self.descriptors {
            None => Command::new(&words[0]),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\""), &words[0]]);
                shell
            }
        };
        let file = |name: &str| File::create(dir.path().join(name)).unwrap();
        for name in own_settings() {
            command.env_remove(name);
        }
        command.args(&words[1..]).stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().unwrap();
        let mut daemon = Daemon { child, ports: HashMap::new(), dir };
        daemon.ports = daemon.wait_for_ports();
        daemon
    }
}

/// A directory for one daemon, with something to serve in it.
pub fn new_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("root")).unwrap();
    fs::write(dir.path().join("root/hello.txt"), "Hello there\n").unwrap();
    fs::create_dir(dir.path().join("root/sub")).unwrap();
    fs::write(dir.path().join("root/sub/long.bin"), vec![b'x'; 1_000_000]).unwrap();
    dir
}

/// A daemon that runs. It is killed when dropped, unless it has ended before.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    ports: HashMap<(String, String), SocketAddr>,
    dir: TempDir,
}

impl Daemon {
    fn wait_for_ports(&mut self) -> HashMap<(String, String), SocketAddr> {
        let file = self.path("ports");
        let text = wait_for(PATIENCE, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon did not start: {status}\n{}", self.output());
            }
            fs::read_to_string(&file).ok()
        });
        read_ports(&text.unwrap_or_else(|| panic!("no ports file\n{}", self.output())))
    }

    pub fn tcp(&self, service: &str) -> SocketAddr {
        self.address(service, "tcp").unwrap_or_else(|| panic!("{service} does not listen\n{}", self.output()))
    }

    pub fn udp(&self, service: &str) -> SocketAddr {
        self.address(service, "udp")
            .unwrap_or_else(|| panic!("{service} has no datagrams\n{}", self.output()))
    }

    pub fn address(&self, service: &str, transport: &str) -> Option<SocketAddr> {
        self.ports.get(&(service.to_owned(), transport.to_owned())).copied()
    }

    /// Where a service listens, for the conformance cases.
    pub fn target(&self, service: &str) -> Target {
        Target { tcp: self.tcp(service), udp: self.address(service, "udp"), within: PATIENCE }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn stdout(&self) -> Vec<u8> {
        fs::read(self.path("stdout")).unwrap()
    }

    pub fn stderr(&self) -> Vec<u8> {
        fs::read(self.path("stderr")).unwrap()
    }

    /// Both outputs, for the message of a failed test.
    pub fn output(&self) -> String {
        let end = |bytes: Vec<u8>| {
            let from = bytes.len().saturating_sub(1500);
            String::from_utf8_lossy(&bytes[from..]).into_owned()
        };
        format!("--- its stdout:\n{}\n--- its stderr:\n{}\n---", end(self.stdout()), end(self.stderr()))
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// How it ended; a failure if it does not end within the time.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let status = wait_for(within, || self.child.try_wait().unwrap());
        status.unwrap_or_else(|| panic!("the daemon still runs after {within:?}\n{}", self.output()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.output());
        }
    }
}

/// `name transport address:port`, one listener a line. Where a service listens at several addresses,
/// IPv4 loopback is the one the tests use.
pub fn read_ports(text: &str) -> HashMap<(String, String), SocketAddr> {
    let mut ports = HashMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, transport, address] = words[..] else {
            panic!("a strange line of the ports file: {line}")
        };
        let address: SocketAddr = address.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
        if address.is_ipv4() {
            ports.insert((name.to_owned(), transport.to_owned()), address);
        }
    }
    ports
}
