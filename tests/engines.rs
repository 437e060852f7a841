//! What each way to serve takes, seen from outside: threads, turns. What all of them must do alike is in
//! `conformance.rs`.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

mod support;

use support::{Daemon, PATIENCE, Start, wait_for};

/// A client that has been answered.
fn greeted(daemon: &Daemon, service: &str) -> TcpStream {
    let mut client = TcpStream::connect(daemon.tcp(service)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"/who\n").unwrap();
    assert!(client.read(&mut [0; 100]).unwrap() > 0);
    client
}

/// How many threads the daemon has.
#[cfg(target_os = "linux")]
fn threads(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count()
}

#[test]
#[cfg(target_os = "linux")]
fn a_connection_has_one_thread_and_a_member_of_a_room_two() {
    let daemon = Start::engine("threads").run();
    // The main one, and one for each datagram socket; those may still be about to start.
    let ports = std::fs::read_to_string(daemon.path("ports")).unwrap();
    let alone = 1 + ports.lines().filter(|line| line.contains(" udp ")).count();
    let become_of = |expected: usize| {
        let is_so = wait_for(PATIENCE, || (threads(&daemon) == expected).then_some(()));
        assert!(is_so.is_some(), "{} threads, not {expected}", threads(&daemon));
    };
    become_of(alone);
    let connections: Vec<_> = (0..10).map(|_| greeted(&daemon, "echo")).collect();
    become_of(alone + 10);
    let members: Vec<_> = (0..5).map(|_| greeted(&daemon, "chat")).collect();
    become_of(alone + 20);
    drop((connections, members));
    become_of(alone);
}

#[test]
#[cfg(target_os = "linux")]
fn the_reactor_has_one_thread_whoever_comes() {
    let daemon = Start::reactor().run();
    let _connections: Vec<_> = ["echo", "chat", "modify"].map(|service| greeted(&daemon, service)).into();
    assert_eq!(threads(&daemon), 1);
}

#[test]
fn one_client_at_a_time_is_one_over_all_services() {
    let daemon = Start::engine("iterative").run();
    let first = greeted(&daemon, "echo");
    let mut second = TcpStream::connect(daemon.tcp("modify")).unwrap();
    second.write_all(b"hi\n").unwrap();
    // Long enough for an answer; that there is none takes that long to see.
    second.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let answer = second.read(&mut [0; 10]).unwrap_err();
    assert!(matches!(answer.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{answer}");
    drop(first);
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(second.read(&mut [0; 10]).unwrap() > 0, "{}", daemon.output());
}

/// The loops on the page are those of the code: a block names its file, and what is left out is `// ...`.
#[test]
fn the_page_quotes_the_code() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let trimmed = |text: &str| text.lines().flat_map(|line| [line.trim(), "\n"]).collect::<String>();
    let page = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```rust\n// ").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 5, "one for each engine, and one for what three of them share");
    for block in blocks {
        let (file, code) = block.split_once('\n').unwrap();
        let source = trimmed(&std::fs::read_to_string(root.join(file)).unwrap());
        for piece in trimmed(code).split("// ...\n") {
            assert!(source.contains(piece), "{file} has no such lines:\n{piece}");
        }
    }
}
