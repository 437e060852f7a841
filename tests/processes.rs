//! What only the engine of processes can do wrong: children that stay, descriptors that leak, counts that are
//! lost on the way to the parent.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::{Pid, Signal, kill_process};

mod support;

use support::{Daemon, PATIENCE, Start, wait_for};

fn connect(daemon: &Daemon, service: &str) -> TcpStream {
    let stream = TcpStream::connect(daemon.tcp(service)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The children of a process; those that have ended and wait to be reaped as well.
fn children(of: u32) -> BTreeSet<u32> {
    let list = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// What a process has open that is a socket, a pipe or a poll.
fn channels(pid: u32) -> Vec<String> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let names = targets.map(|target| target.display().to_string());
    names.filter(|name| name.starts_with("socket:") || name.starts_with("anon_inode:")).collect()
}

fn greet(client: &mut TcpStream) {
    client.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

/// The child that was not there before.
fn child_of(daemon: &Daemon, before: &BTreeSet<u32>) -> u32 {
    let new = || children(daemon.pid()).difference(before).next().copied();
    wait_for(PATIENCE, new).unwrap_or_else(|| panic!("no child\n{}", daemon.output()))
}

#[test]
fn a_child_has_its_own_socket_and_no_other() {
    let daemon = Start::engine("processes").run();
    let (mut first, mut member) = (connect(&daemon, "echo"), connect(&daemon, "chat"));
    greet(&mut first);
    member.write_all(b"/who\n").unwrap();
    assert!(member.read(&mut [0; 100]).unwrap() > 0);
    let before = children(daemon.pid());
    let mut second = connect(&daemon, "echo");
    greet(&mut second);
    let child = child_of(&daemon, &before);
    assert_eq!(channels(child).len(), 1, "{:?}", channels(child));
}

#[test]
fn children_are_reaped_and_what_they_moved_is_counted() {
    let mut daemon = Start::engine("processes").run();
    for _ in 0..20 {
        let mut client = connect(&daemon, "echo");
        greet(&mut client);
    }
    // One for each datagram socket stays.
    let ports = fs::read_to_string(daemon.path("ports")).unwrap();
    let datagrams = ports.lines().filter(|line| line.contains(" udp ")).count();
    let gone = wait_for(PATIENCE, || (children(daemon.pid()).len() == datagrams).then_some(()));
    assert!(gone.is_some(), "{:?} are more than {datagrams}", children(daemon.pid()));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(PATIENCE).code(), Some(0));
    let log = String::from_utf8(daemon.stderr()).unwrap();
    assert!(log.contains("20 connections, 0 cut off, 100 bytes in, 100 out"), "{log}");
}

#[test]
fn a_child_that_dies_takes_nobody_with_it() {
    let mut daemon = Start::engine("processes").run();
    let mut lives = connect(&daemon, "echo");
    greet(&mut lives);
    let before = children(daemon.pid());
    let mut dies = connect(&daemon, "echo");
    greet(&mut dies);
    let child = child_of(&daemon, &before);
    kill_process(Pid::from_raw(child.try_into().unwrap()).unwrap(), Signal::ABORT).unwrap();
    assert_eq!(dies.read(&mut [0; 1]).unwrap_or(0), 0);
    greet(&mut lives);
    greet(&mut connect(&daemon, "echo"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(PATIENCE).code(), Some(0));
    let log = String::from_utf8(daemon.stderr()).unwrap();
    assert!(log.contains("ended badly") && log.contains("1 cut off"), "{log}");
}

#[test]
fn children_do_not_outlive_their_parent() {
    let daemon = Start::engine("processes").run();
    let mut client = connect(&daemon, "echo");
    let mut member = connect(&daemon, "chat");
    greet(&mut client);
    member.write_all(b"/who\n").unwrap();
    assert!(member.read(&mut [0; 100]).unwrap() > 0);
    let all = children(daemon.pid());
    drop(daemon);
    let is_there = |pid: &u32| fs::exists(format!("/proc/{pid}")).unwrap();
    let gone = wait_for(PATIENCE, || (!all.iter().any(is_there)).then_some(()));
    assert!(gone.is_some(), "still there: {:?}", all.iter().filter(|pid| is_there(pid)).collect::<Vec<_>>());
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    member.read_to_end(&mut rest).unwrap();
}
