//! A machine that is not as it should be: nobody reads the output, the disk is full, a directory is gone, the
//! process is stopped for a while, ports are taken, there is no IPv6.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::Signal;

use crate::common::{GROWTH, assert_serves, connect, finish, memory, text};
use crate::support::daemon::concurrent_engines;
use crate::support::daemon::engines;
use crate::support::{Daemon, PATIENCE, Start, not_allowed, wait_for};

/// Starts the daemon with both outputs in this file.
fn with_output_to(engine: &'static str, file: &Path) -> Start {
    let script = format!("exec \"$0\" \"$@\" >{} 2>&1", file.display());
    Start::engine(engine).under(&["sh", "-c", &script]).argument("-vv")
}

/// A pipe with a name, and the end of it that is read.
fn pipe(dir: &Path) -> (std::path::PathBuf, OwnedFd) {
    let name = dir.join("pipe");
    mknodat(CWD, &name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let read = open(&name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).unwrap();
    (name, read)
}

/// More is shown and logged than any pipe holds.
fn says_a_lot(daemon: &Daemon) {
    for number in 0..60 {
        let mut shown = connect(daemon.tcp("collect"));
        shown.write_all(&format!("line {number}\n").into_bytes().repeat(500)).unwrap();
        assert_eq!(finish(&mut shown), b"");
        assert_serves(daemon);
    }
}

#[test]
fn output_that_nobody_reads_stops_nobody() {
    for engine in engines() {
        let dir = tempfile::tempdir().unwrap();
        let (name, read) = pipe(dir.path());
        let mut daemon = with_output_to(engine, &name).run();
        assert_serves(&daemon);
        let before = memory(&daemon);
        says_a_lot(&daemon);
        // Then the reader is gone: whoever writes gets SIGPIPE, if he does not ignore it.
        drop(read);
        says_a_lot(&daemon);
        daemon.signal(Signal::PIPE);
        assert_serves(&daemon);
        let grown = memory(&daemon).saturating_sub(before);
        assert!(grown < GROWTH, "{engine}: {grown} KiB");
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait(PATIENCE).code(), Some(0), "{engine}");
    }
}

#[test]
fn output_to_a_full_disk_stops_nobody() {
    for engine in engines() {
        let mut daemon = with_output_to(engine, Path::new("/dev/full")).run();
        says_a_lot(&daemon);
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait(PATIENCE).code(), Some(0), "{engine}");
    }
}

/// Sends bytes and ends; what comes back.
fn asked(daemon: &Daemon, service: &str, request: &str) -> String {
    let mut stream = connect(daemon.tcp(service));
    stream.write_all(request.as_bytes()).unwrap();
    text(&finish(&mut stream))
}

#[test]
fn directories_that_are_deleted_take_nothing_else_with_them() {
    for engine in engines() {
        let daemon = Start::engine(engine).run();
        let get = |path: &str| asked(&daemon, "http", &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(get("/hello.txt").ends_with("\r\nHello there\n"), "{engine}");
        assert!(asked(&daemon, "upload", "/put 2 a\nhi").starts_with("stored 2 "), "{engine}");
        // In the middle of a file, and of an upload; one client at a time has one of them only.
        let mut upload = connect(daemon.tcp("upload"));
        upload.write_all(b"/put 600000 b\n").unwrap();
        upload.write_all(&vec![b'x'; 400_000]).unwrap();
        fs::remove_dir_all(daemon.path("root")).unwrap();
        fs::remove_dir_all(daemon.path("uploads")).unwrap();
        upload.write_all(&vec![b'x'; 200_000]).unwrap();
        let said = text(&finish(&mut upload));
        assert!(said.starts_with("error: b: ") || said.starts_with("stored 600000 "), "{engine}: {said}");
        // A small file may still be remembered, for a moment.
        let gone = wait_for(PATIENCE, || get("/hello.txt").starts_with("HTTP/1.1 404 ").then_some(()));
        assert!(gone.is_some(), "{engine}: {}", get("/hello.txt"));
        for path in ["/", "/sub/", "/sub/long.bin"] {
            let reply = get(path);
            assert!(reply.starts_with("HTTP/1.1 404 ") || reply.contains(" 200 OK"), "{engine}: {reply}");
            assert!(!reply.contains("long.bin\""), "{engine}: {reply}");
        }
        let said = asked(&daemon, "download", "/get hello.txt\n/list\n");
        assert!(said.starts_with("error: hello.txt: no such file\n"), "{engine}: {said}");
        // What is to be stored now has a place again, or is refused; it does not vanish.
        let said = asked(&daemon, "upload", "/put 2 c\nhi");
        let is_there = fs::read(daemon.path("uploads").join("c")).is_ok_and(|content| content == b"hi");
        assert_eq!(said.starts_with("stored 2 "), is_there, "{engine}: {said}");
        assert_serves(&daemon);
    }
}

#[test]
fn a_process_that_was_stopped_goes_on() {
    /// Longer than any pause of the framing.
    const STOPPED: Duration = Duration::from_millis(1500);
    for engine in concurrent_engines() {
        let daemon = Start::engine(engine).set("modify.name=Ali").run();
        let mut early = connect(daemon.tcp("modify"));
        early.write_all(b"first\n").unwrap();
        early.read_exact(&mut [0; 10]).unwrap();
        daemon.signal(Signal::STOP);
        let start = Instant::now();
        early.write_all(b"second\n").unwrap();
        let mut late: Vec<_> = (0..50).map(|_| connect(daemon.tcp("echo"))).collect();
        late.iter_mut().for_each(|stream| stream.write_all(b"while it was stopped").unwrap());
        // The passing of time is what is tried.
        std::thread::sleep(STOPPED.saturating_sub(start.elapsed()));
        daemon.signal(Signal::CONT);
        for stream in &mut late {
            assert_eq!(text(&finish(stream)), "while it was stopped", "{engine}");
        }
        assert_eq!(text(&finish(&mut early)), "second Ali\n", "{engine}");
        assert_serves(&daemon);
    }
}

/// Whether a network of one's own can be had, and be without IPv6.
fn has_networks() -> bool {
    let output = Command::new("unshare").args(["-rn", "sh", "-c", WITHOUT_IPV6, "true"]).output();
    output.is_ok_and(|output| output.status.success())
}

const WITHOUT_IPV6: &str =
    "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && ip link set lo up && exec \"$0\" \"$@\"";
const WITH_IPV6: &str = "ip link set lo up && exec \"$0\" \"$@\"";

/// Runs `switchboard` where the daemon is.
fn beside(pid: u32, words: &[&str]) -> Output {
    let pid = pid.to_string();
    let mut command = Command::new("nsenter");
    command.args(["-t", &pid, "-U", "-n", "--preserve-credentials", env!("CARGO_BIN_EXE_switchboard")]);
    command.args(words).output().unwrap()
}

fn serves_beside(daemon: &Daemon, service: &str, address: &str) {
    let output = beside(daemon.pid(), &["check", address, "--as", service, "--one-at-a-time"]);
    assert!(output.status.success(), "{}{}\n{}", text(&output.stdout), text(&output.stderr), daemon.output());
}

#[test]
fn a_machine_without_ipv6_is_served_by_ipv4() {
    if !has_networks() {
        return not_allowed("a machine without IPv6", "no network of one's own");
    }
    for engine in engines() {
        let daemon = Start::engine(engine).under(&["unshare", "-rn", "sh", "-c", WITHOUT_IPV6]).run();
        let ports = fs::read_to_string(daemon.path("ports")).unwrap();
        assert!(ports.contains("echo tcp 127.0.0.1:") && !ports.contains('['), "{engine}: {ports}");
        serves_beside(&daemon, "echo", &daemon.tcp("echo").to_string());
        // Nobody has asked for IPv6: nothing to complain of.
        let said = format!("{}{}", text(&daemon.stdout()), text(&daemon.stderr()));
        assert!(!said.contains("::1") && !said.to_lowercase().contains("error"), "{engine}: {said}");
    }
}

#[test]
fn a_port_that_is_taken_costs_its_service_only() {
    if !has_networks() {
        return not_allowed("ports that are taken", "no network of one's own");
    }
    let first = Start::reactor().under(&["unshare", "-rn", "sh", "-c", WITH_IPV6]);
    let first = first.argument("--port").argument("echo=10007").run();
    let mut second = Command::new("nsenter");
    let dir = tempfile::tempdir().unwrap();
    let ports = dir.path().join("ports");
    second.args(["-t", &first.pid().to_string(), "-U", "-n", "--preserve-credentials"]);
    second.args([env!("CARGO_BIN_EXE_switchboard"), "--ports-file"]).arg(&ports).args(["--root", "/"]);
    let file = |name: &str| fs::File::create(dir.path().join(name)).unwrap();
    second.stdin(std::process::Stdio::null()).stdout(file("out")).stderr(file("log"));
    let mut second = second.current_dir(dir.path()).spawn().unwrap();
    let listens = wait_for(PATIENCE, || fs::read_to_string(&ports).ok());
    serves_beside(&first, "modify", "127.0.0.1:8888");
    second.kill().unwrap();
    second.wait().unwrap();
    let (listens, table) = (listens.unwrap(), fs::read_to_string(dir.path().join("out")).unwrap());
    assert!(!listens.contains("echo tcp") && listens.contains("modify tcp 127.0.0.1:8888\n"), "{listens}");
    let row = table.lines().find(|line| line.contains("10007") && line.contains("taken by"));
    assert!(row.is_some_and(|row| row.contains(&first.pid().to_string())), "{table}");
}
