//! `switchboard compare`: small comparisons by the real program, with a peer in Python, a peer that dies,
//! and an end before time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

mod support;

use support::{PATIENCE, have, wait_for};

/// An echo server as students write it; it ends by itself after so many connections, if that is asked for.
const THREADED: &str = "\
import os, socket, sys, threading
left = int(sys.argv[1])
server = socket.create_server(('127.0.0.1', 0))
print(server.getsockname()[1], flush=True)
def serve(client):
    while data := client.recv(65536):
        client.sendall(data)
        global left
        left -= 1
        if left == 0:
            os._exit(3)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
";

/// A server in Python that ends with this value.
struct Python(Child, SocketAddr);

impl Python {
    fn start(messages: i64) -> Self {
        Self::run(THREADED, &[&messages.to_string()])
    }

    fn run(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", program]).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, SocketAddr::from(([127, 0, 0, 1], line.trim().parse().unwrap())))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SWITCHBOARD_")) {
        command.env_remove(name);
    }
    command.arg("compare").args(arguments).stdin(Stdio::null());
    command
}

/// Compares in a hurry, and reads the JSON.
fn compare(arguments: &[&str]) -> (Value, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (json, html) = (dir.path().join("c.json"), dir.path().join("c.html"));
    let rounds: &[&str] = if arguments.contains(&"--rounds") { &[] } else { &["--rounds", "3"] };
    let hurry = [rounds, &["--slice", "30ms", "--json", json.to_str().unwrap()]].concat();
    let output = command(&hurry).args(["--html", html.to_str().unwrap()]).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{}{stderr}", String::from_utf8_lossy(&output.stdout));
    let text = std::fs::read_to_string(json).unwrap();
    (serde_json::from_str(&text).unwrap(), dir)
}

/// A contestant's cell in the row of this name.
fn cell<'a>(report: &'a Value, row: &str, name: &str) -> &'a Value {
    let rows = report["rows"].as_array().unwrap();
    let row = rows.iter().find(|found| found["id"] == row).unwrap_or_else(|| panic!("no {row}"));
    let cells = row["cells"].as_array().unwrap();
    cells.iter().find(|cell| cell["contestant"] == name).unwrap()
}

fn median(cell: &Value, of: &str) -> f64 {
    cell[of]["median"].as_f64().unwrap_or_else(|| panic!("no {of} in {cell:#}"))
}

#[test]
fn two_engines_and_a_peer_are_compared_in_every_respect() {
    if !have(&["python3"], "a comparison with a server in Python") {
        return;
    }
    let python = Python::start(-1);
    let peer = format!("python={}@{}", python.1, python.0.id());
    let sizes = ["--connections", "1,8", "--idle", "0,50", "--quick"];
    let (report, dir) =
        compare(&[&["--engine", "reactor,threads", "--peer", &peer], sizes.as_slice()].concat());
    for key in
        ["schema", "program", "began", "command", "machine", "method", "contestants", "seconds", "warnings"]
    {
        assert!(!report[key].is_null(), "{key}");
    }
    assert_eq!((report["schema"].as_u64(), report["interrupted"].as_bool()), (Some(1), Some(false)));
    let ids: Vec<_> =
        report["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["echo-1", "echo-8", "idle-0", "idle-50", "churn", "chat-100", "http-64"]);
    for name in ["reactor", "threads", "python"] {
        for row in ["echo-1", "echo-8", "idle-50", "churn"] {
            let cell = cell(&report, row, name);
            assert_eq!(cell["failure"], Value::Null, "{row} {name}: {cell:#}");
            assert!(median(cell, "rate") > 1.0 && median(cell, "p50_us") <= median(cell, "p99_us"));
            assert!(cell["rate"]["low"].as_f64() <= cell["rate"]["high"].as_f64());
        }
        let held = report["memory"][0]["cells"].as_array().unwrap();
        let held = held.iter().find(|cell| cell["contestant"] == name).unwrap();
        assert!(held["pss"].as_f64().is_some() && held["kernel"].as_f64().is_some(), "{held:#}");
    }
    let one = median(cell(&report, "echo-8", "reactor"), "ratio");
    assert!((one - 1.0).abs() < 1e-9, "the first is what the others are compared with: {one}");
    assert!(median(cell(&report, "chat-100", "threads"), "rate") > 1.0);
    let why = cell(&report, "http-64", "python")["failure"].as_str().unwrap();
    assert!(why.contains("speaks http"), "{why}");
    check_page(&std::fs::read_to_string(dir.path().join("c.html")).unwrap());
}

/// Every element is closed, in order, and nothing is fetched from anywhere.
fn check_page(page: &str) {
    for foreign in ["http://", "https://", "src=", "@import", "url(", "<script", "<link"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for part in
        ["<svg", "Echo rate over connections", "Memory over idle", "Latency, ", "To repeat it", "speaks http"]
    {
        assert!(page.contains(part), "no {part}");
    }
    assert!(!page.contains("NaN") && !page.contains(">inf"));
    let mut open = Vec::new();
    for tag in page.split('<').skip(1).filter(|tag| !tag.starts_with('!')) {
        let inside = tag.split('>').next().unwrap();
        let name =
            inside.split(|c: char| c.is_whitespace() || c == '/').find(|word| !word.is_empty()).unwrap();
        if inside.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{inside}>");
        } else if !inside.ends_with('/') && !["meta", "br"].contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn an_interval_says_how_sure_it_is() {
    let echo = ["--engine", "reactor,threads", "--only", "echo", "--connections", "2"];
    // Of three slices, the least and the greatest hold the median between them in 1 - 2 / 2^3 of the cases; of
    // six, in 1 - 2 / 2^6.
    for (rounds, coverage) in [("3", "75.0 %"), ("6", "96.8 %")] {
        let (report, dir) = compare(&[echo.as_slice(), &["--rounds", rounds]].concat());
        let page = std::fs::read_to_string(dir.path().join("c.html")).unwrap();
        assert!(page.contains(&format!("(coverage {coverage})")), "{coverage}");
        let method = report["method"].as_array().unwrap();
        let said = format!("How sure the intervals here are: {coverage}");
        assert!(method.iter().any(|line| line.as_str().unwrap().contains(&said)), "{method:#?}");
    }
}

/// Answers an echo after 1.1 s: longer than any slice.
const SLOW: &str = "\
import socket, sys, threading, time
server = socket.create_server(('127.0.0.1', 0))
print(server.getsockname()[1], flush=True)
def serve(client):
    while data := client.recv(65536):
        time.sleep(1.1)
        client.sendall(data)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
";

#[test]
fn replies_that_come_after_their_slice_count_with_the_time_they_took() {
    if !have(&["python3"], "a comparison with a slow server") {
        return;
    }
    let python = Python::run(SLOW, &[]);
    let peer = format!("slow={}", python.1);
    let only = ["--engine", "reactor", "--only", "echo", "--connections", "2", "--peer", &peer];
    let (report, _) = compare(&[only.as_slice(), &["--rounds", "2"]].concat());
    let slow = cell(&report, "echo-2", "slow");
    assert_eq!(slow["failure"], Value::Null, "{slow:#}");
    // Two connections, one reply each in 1.1 s or a little more.
    let (rate, p50) = (median(slow, "rate"), median(slow, "p50_us"));
    assert!((0.2..=2.0 / 1.1).contains(&rate), "{rate}");
    assert!((1.1e6..1e7).contains(&p50), "{p50}");
}

#[test]
fn a_peer_that_dies_is_a_cell_with_the_reason_and_the_others_go_on() {
    if !have(&["python3"], "a comparison with a peer that dies") {
        return;
    }
    let python = Python::start(300);
    let peer = format!("mortal={}", python.1);
    let only = ["--engine", "reactor", "--only", "echo", "--connections", "2,4", "--peer", &peer];
    let (report, _) = compare(&only);
    for row in ["echo-2", "echo-4"] {
        assert!(median(cell(&report, row, "reactor"), "rate") > 1.0);
        let dead = cell(&report, row, "mortal");
        assert_eq!(dead["rate"], Value::Null, "{dead:#}");
    }
    let why = cell(&report, "echo-2", "mortal")["failure"].as_str().unwrap().to_owned();
    assert!(["reset", "cut short", "refused"].iter().any(|word| why.contains(word)), "{why}");
    let why = cell(&report, "echo-4", "mortal")["failure"].as_str().unwrap().to_owned();
    assert!(why.contains("refused"), "{why}");
}

#[test]
fn the_table_is_for_people_and_nothing_measured_is_a_failure() {
    let fast = ["--only", "echo", "--connections", "2", "--rounds", "2", "--slice", "20ms"];
    let output = command(&fast).args(["--engine", "reactor,threads"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for part in ["echo, 2 connections", "reactor", "threads", "echoes", "p99", "its ratio"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line == line.trim_end()));
    // A peer's port at which nobody listens, and no other row than what it does not speak.
    let alone = ["--engine", "reactor", "--peer", "x=nonsense"];
    assert_eq!(command(&alone).output().unwrap().status.code(), Some(2));
    let twice = ["--engine", "reactor", "--peer", "reactor=127.0.0.1:9"];
    let output = command(&twice).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The processes that have this one as their parent.
fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn start_long(dir: &TempDir) -> (Child, Vec<u32>) {
    let json = dir.path().join("c.json");
    let long = ["--engine", "reactor,threads", "--only", "echo", "--connections", "3", "--rounds", "1000"];
    let mut command = command(&long);
    let child = command.arg("--json").arg(&json).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let servers =
        wait_for(PATIENCE, || Some(children(child.id())).filter(|servers| servers.len() == 2)).unwrap();
    // Both are connected when they have served something.
    let served = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let reads = |text: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with("syscr")).unwrap_or("0");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    wait_for(PATIENCE, || servers.iter().all(|&pid| reads(&served(pid)) > 5000).then_some(())).unwrap();
    (child, servers)
}

#[test]
fn an_interrupt_ends_it_with_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, servers) = start_long(&dir);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = wait_for(PATIENCE, || child.try_wait().unwrap());
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(dir.path().join("c.json")).unwrap()).unwrap();
    assert_eq!(report["interrupted"], true);
    assert!(median(cell(&report, "echo-3", "reactor"), "rate") > 1.0);
    gone(&servers);
}

#[test]
fn what_it_started_ends_with_it_even_if_it_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, servers) = start_long(&dir);
    child.kill().unwrap();
    child.wait().unwrap();
    gone(&servers);
}

fn gone(servers: &[u32]) {
    // A process that has ended and is not waited for yet is gone as well.
    let lives = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    let patience = Duration::from_secs(10);
    assert!(wait_for(patience, || (!servers.iter().any(lives)).then_some(())).is_some(), "{servers:?}");
}
