//! `--user`: low ports, and no privileges once they are bound.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

mod support;

use support::{PATIENCE, Start, not_allowed, own_settings, wait_for};

/// Who has nothing to lose.
const NOBODY: &str = "nobody";
/// The user's number.
const NUMBER: u32 = 65_534;

/// Whether a test that must begin as root can be run.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        not_allowed("becoming another user", "that is for root to try");
    }
    is_root
}

/// A port that only root can bind, from this one up: tests that run at once need ones far apart.
fn low_port(from: u16) -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (from..1000).find(is_free).unwrap()
}

/// The numbers behind a word of `/proc/PID/status`.
fn status(pid: u32, word: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(word)).unwrap().to_owned();
    line.trim_start_matches(':').split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    got
}

#[test]
fn a_low_port_is_served_by_nobody() {
    if !is_root() {
        return;
    }
    for engine in support::daemon::engines() {
        let port = low_port(600);
        let start = Start::engine(engine).argument("--port").argument(&format!("http={port}"));
        let mut daemon = start.argument("--user").argument(NOBODY).run();
        let open = |path: &str, mode: u32| {
            std::fs::set_permissions(daemon.path(path), PermissionsExt::from_mode(mode)).unwrap();
        };
        open("", 0o755);
        open("root", 0o755);
        open("root/hello.txt", 0o644);
        std::fs::write(daemon.path("root/secret.txt"), "secret").unwrap();
        open("root/secret.txt", 0o600);
        // The ports file is there a moment before.
        let is_nobody = || (status(daemon.pid(), "Uid") == [NUMBER; 4]).then_some(());
        assert!(wait_for(PATIENCE, is_nobody).is_some(), "{engine}\n{}", daemon.output());
        assert_eq!(status(daemon.pid(), "Gid").len(), 4);
        assert!(!status(daemon.pid(), "Gid").contains(&0));
        assert!(!status(daemon.pid(), "Groups").contains(&0));
        assert!(get(port, "hello.txt").ends_with("Hello there\n"));
        let refused = get(port, "secret.txt");
        assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("secret\n"), "{refused}");
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait(PATIENCE).code(), Some(0), "{}", daemon.output());
    }
}

/// A successor has the low port from its predecessor, and is nobody from the beginning.
#[test]
fn nobody_can_be_restarted() {
    if !is_root() {
        return;
    }
    let port = low_port(800);
    let start = Start::reactor().argument("--port").argument(&format!("http={port}"));
    let mut daemon = start.argument("--user").argument(NOBODY).run();
    for path in ["", "root", "root/hello.txt"] {
        std::fs::set_permissions(daemon.path(path), PermissionsExt::from_mode(0o755)).unwrap();
    }
    daemon.signal(Signal::USR2);
    let taken_over = || {
        let log = String::from_utf8_lossy(&daemon.stderr()).into_owned();
        let line = log.lines().find(|line| line.ends_with(" has taken over"))?.to_owned();
        line.rsplit(' ').nth(3)?.parse::<u32>().ok()
    };
    let successor = wait_for(PATIENCE, taken_over).unwrap_or_else(|| panic!("{}", daemon.output()));
    assert_eq!(daemon.wait(PATIENCE).code(), Some(0), "{}", daemon.output());
    assert_eq!(status(successor, "Uid"), [NUMBER; 4]);
    let got = get(port, "hello.txt");
    kill_process(Pid::from_raw(successor.try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
    assert!(got.ends_with("Hello there\n"), "{got}");
}

/// What does not work is said in a line, and nothing is served.
#[test]
fn who_cannot_be_become_is_said() {
    let said = |name: &str, prepare: &dyn Fn(&mut Command)| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        for name in own_settings() {
            command.env_remove(name);
        }
        command.args(["--only", "echo", "--port", "echo=0", "--user", name]).current_dir("/");
        prepare(&mut command);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let ended = wait_for(PATIENCE, || child.try_wait().unwrap());
        let _ = child.kill();
        assert_eq!(ended.and_then(|status| status.code()), Some(1), "{name}");
        String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
    };
    let unknown = said("no-such-user", &|_| ());
    assert_eq!(unknown, "error: --user no-such-user: there is no user of this name\n");
    if is_root() {
        let refused = said("daemon", &|command| {
            command.uid(NUMBER).gid(NUMBER);
        });
        assert_eq!(refused, "error: --user daemon: only root can become another user\n");
    }
}
