//! What a supervisor gives and is told: sockets by name, readiness, reloads, the watchdog, the end.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

mod support;

use support::{PATIENCE, have, own_settings, wait_for};

/// A program with a directory of its own; killed when dropped.
struct Run {
    child: Child,
    dir: TempDir,
}

impl Run {
    /// Starts the daemon as systemd would: with these sockets under these names, and in its environment what
    /// else it is to know. The shell knows the process id before the program has it.
    fn start(sockets: Vec<OwnedFd>, names: &str, environment: &[(&str, &str)], words: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_switchboard")]);
        command.args(["--ports-file", "ports", "--root", "."]).args(words).current_dir(dir.path());
        for name in own_settings() {
            command.env_remove(name);
        }
        command.env("LISTEN_FDS", sockets.len().to_string()).env("LISTEN_FDNAMES", names);
        command.envs(environment.iter().copied());
        let mappings =
            sockets.into_iter().zip(3..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
        command.fd_mappings(mappings.collect()).unwrap();
        let stderr = std::fs::File::create(dir.path().join("stderr")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        Self { child: command.spawn().unwrap(), dir }
    }

    fn stderr(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr")).unwrap()
    }

    /// What the ports file says, as soon as it is there.
    fn ports(&mut self) -> String {
        let ports = wait_for(PATIENCE, || std::fs::read_to_string(self.dir.path().join("ports")).ok());
        ports.unwrap_or_else(|| panic!("it does not start: {}", self.stderr()))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code.
    fn end(&mut self) -> Option<i32> {
        let status = wait_for(PATIENCE, || self.child.try_wait().unwrap());
        status.unwrap_or_else(|| panic!("it does not end: {}", self.stderr())).code()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn round_trip(mut stream: impl Read + Write, finish: impl FnOnce()) -> String {
    let mut got = String::new();
    stream.write_all(b"hello\n").unwrap();
    finish();
    stream.read_to_string(&mut got).unwrap();
    got
}

fn tcp_echo(address: std::net::SocketAddr) -> String {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    round_trip(&stream, || stream.shutdown(Shutdown::Write).unwrap())
}

/// Sockets of every kind, named after their services, on every engine; what has none listens as configured.
fn serves_what_is_given(engine: &str) {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("echo.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, udp) = (tcp.local_addr().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let udp_at = udp.local_addr().unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let words = ["--engine", engine, "--only", "echo,daytime", "--port", "daytime=0"];
    let mut run = Run::start(vec![tcp.into(), udp.into(), unix.into()], "echo:echo:echo", &[], &words);
    let ports = run.ports();
    let lines: Vec<_> = ports.lines().filter(|line| line.starts_with("echo")).collect();
    let unix_line = format!("echo unix {}", path.display());
    assert_eq!(lines, [format!("echo tcp {at}"), format!("echo udp {udp_at}"), unix_line]);
    assert!(ports.contains("daytime tcp 127.0.0.1:"), "{ports}");
    assert_eq!(tcp_echo(at), "hello\n");
    let stream = UnixStream::connect(&path).unwrap();
    assert_eq!(round_trip(&stream, || stream.shutdown(Shutdown::Write).unwrap()), "hello\n");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"hello", udp_at).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(client.recv(&mut buffer).unwrap(), 5);
    run.signal(Signal::TERM);
    assert_eq!(run.end(), Some(0));
    assert!(path.exists(), "the file is the supervisor's");
}

#[test]
fn every_engine_serves_on_given_sockets() {
    for engine in support::daemon::engines() {
        serves_what_is_given(engine);
    }
}

/// Given sockets that make no sense are refused in one line, with exit code 2.
#[test]
fn what_is_given_wrongly_is_said() {
    let tcp = || -> OwnedFd { TcpListener::bind("127.0.0.1:0").unwrap().into() };
    let udp: OwnedFd = UdpSocket::bind("127.0.0.1:0").unwrap().into();
    let file: OwnedFd = std::fs::File::open("/").unwrap().into();
    let cases = [
        (vec![tcp()], "", "the sockets have no names; FileDescriptorName="),
        (
            vec![tcp()],
            "switchboard.socket",
            "no service of that name is to run; FileDescriptorName= says one of echo",
        ),
        (vec![tcp()], "echo:http", "there are 1 sockets (LISTEN_FDS) and 2 names"),
        (vec![udp], "hello", "hello is not served over udp"),
        (vec![file], "echo", "descriptor 3, passed for \"echo\": it is no socket"),
    ];
    for (sockets, names, wanted) in cases {
        let mut run = Run::start(sockets, names, &[], &["--only", "echo,hello", "--port", "echo=0,hello=0"]);
        assert_eq!(run.end(), Some(2), "{wanted}");
        let said = run.stderr();
        assert!(said.starts_with("error: socket activation: ") && said.contains(wanted), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// What is told on `NOTIFY_SOCKET`.
struct Supervisor {
    socket: UnixDatagram,
    dir: TempDir,
}

impl Supervisor {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, dir }
    }

    fn path(&self) -> String {
        self.dir.path().join("notify").display().to_string()
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 1000];
        let n = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    /// The next news that is not the watchdog's.
    fn hear_news(&self) -> String {
        loop {
            let heard = self.hear();
            if heard.trim_end() != "WATCHDOG=1" {
                return heard;
            }
        }
    }
}

/// Ready, a reload, a restart by another process, the end.
fn tells(engine: &str) {
    let supervisor = Supervisor::new();
    let config = supervisor.dir.path().join("switchboard.toml");
    std::fs::write(&config, "").unwrap();
    let config = config.display().to_string();
    let words = ["--engine", engine, "--only", "echo", "--port", "echo=0", "--config", &config];
    let mut run = Run::start(vec![], "", &[("NOTIFY_SOCKET", &supervisor.path())], &words);
    assert_eq!(supervisor.hear(), "READY=1\n");
    assert!(Path::new(&run.dir.path().join("ports")).exists(), "ready, and the ports file is not there");
    run.signal(Signal::HUP);
    assert!(supervisor.hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(supervisor.hear(), "READY=1\n");
    run.signal(Signal::USR2);
    let heard = supervisor.hear();
    let successor = heard.strip_prefix("MAINPID=").and_then(|rest| rest.strip_suffix("\nREADY=1\n"));
    let successor = Pid::from_raw(successor.unwrap_or_else(|| panic!("{heard}")).parse().unwrap()).unwrap();
    assert_eq!(run.end(), Some(0), "and it does not say that the service stops");
    kill_process(successor, Signal::TERM).unwrap();
    assert_eq!(supervisor.hear(), "STOPPING=1\n");
}

#[test]
fn every_engine_tells_its_supervisor() {
    for engine in support::daemon::engines() {
        tells(engine);
    }
}

#[test]
fn the_watchdog_is_told_if_it_asks() {
    for engine in support::daemon::engines() {
        let supervisor = Supervisor::new();
        let environment = [("NOTIFY_SOCKET", &*supervisor.path()), ("WATCHDOG_USEC", "200000")];
        let words = ["--engine", engine, "--only", "echo", "--port", "echo=0"];
        let run = Run::start(vec![], "", &environment, &words);
        let heard: Vec<_> = (0..4).map(|_| supervisor.hear()).collect();
        assert_eq!(heard, ["READY=1\n", "WATCHDOG=1\n", "WATCHDOG=1\n", "WATCHDOG=1\n"]);
        run.signal(Signal::TERM);
        assert_eq!(supervisor.hear_news(), "STOPPING=1\n");
    }
}

/// With systemd's own tool, which binds the socket and starts the program when somebody connects.
#[test]
fn systemd_socket_activate_starts_it() {
    if !have(&["systemd-socket-activate"], "socket activation by systemd's own tool") {
        return;
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    let mut command = Command::new("systemd-socket-activate");
    for name in own_settings() {
        command.env_remove(name);
    }
    // It passes on little of the environment: neither a mistake that is planted.
    let planted = std::env::var("PLANTED").map(|mutant| format!("--setenv=PLANTED={mutant}"));
    command.args(planted).args(["--listen", &at.to_string(), "--fdname", "echo"]);
    command.arg(env!("CARGO_BIN_EXE_switchboard"));
    command.args(["serve", "--only", "echo"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let run = Run { child: command.spawn().unwrap(), dir: tempfile::tempdir().unwrap() };
    let connected = wait_for(PATIENCE, || TcpStream::connect_timeout(&at, Duration::from_secs(1)).ok());
    let stream = connected.expect("nobody listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(round_trip(&stream, || stream.shutdown(Shutdown::Write).unwrap()), "hello\n");
    drop(run);
}
