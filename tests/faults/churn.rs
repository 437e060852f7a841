//! Many connections that come and go, each with something to say that nobody else says: a byte that reaches a
//! stranger is found.

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;

use crate::common::{GROWTH, assert_serves, connect, finish, memory, reset, stop, text};
use crate::support::daemon::concurrent_engines;
use crate::support::{Daemon, Start};

const CLIENTS: usize = 4;
/// Connections that each client has open at once, so that slots are given back and taken in disorder.
const OPEN: usize = 24;

/// Connections in all. A process for each takes its time.
fn connections(engine: &str) -> usize {
    if engine == "processes" { 2_000 } else { 20_000 }
}

#[test]
fn no_byte_reaches_a_stranger() {
    for engine in concurrent_engines() {
        let daemon = Start::engine(engine).set("modify.name=Ali").run();
        let others = assert_serves(&daemon);
        let before = memory(&daemon);
        let count = connections(engine);
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let daemon = &daemon;
                scope.spawn(move || churn(daemon, client, count / CLIENTS));
            }
        });
        let grown = memory(&daemon).saturating_sub(before);
        println!("{engine}: {count} connections: {grown} KiB");
        assert!(grown < GROWTH, "{engine}: {grown} KiB for {count} connections that are gone");
        let totals = stop(daemon);
        assert_eq!((totals.connections, totals.cut_off), (count as u64 + others, 0), "{engine}");
    }
}

/// What nobody else says, of a length that differs.
fn words(client: usize, number: usize) -> Vec<u8> {
    let word = format!("<{client}-{number}>");
    let length = word.len() + number * 37 % 3000;
    word.into_bytes().into_iter().cycle().take(length).collect()
}

fn churn(daemon: &Daemon, client: usize, count: usize) {
    let mut open = VecDeque::new();
    for number in 0..count {
        let said = words(client, number);
        let mut stream = connect(daemon.tcp(if number % 4 == 1 { "modify" } else { "echo" }));
        if number % 4 == 3 {
            // It leaves with its answer on the way, or not yet read.
            stream.write_all(&said.repeat(8)).unwrap();
            reset(stream);
            continue;
        }
        stream.write_all(&said).unwrap();
        let mut answer = said;
        if number % 4 == 1 {
            stream.write_all(b"\n").unwrap();
            answer.extend_from_slice(b" Ali\n");
        }
        open.push_back((stream, answer));
        if open.len() > OPEN {
            check(open.pop_front().unwrap());
        }
    }
    open.into_iter().for_each(check);
}

fn check((mut stream, answer): (TcpStream, Vec<u8>)) {
    let got = finish(&mut stream);
    assert!(got == answer, "{} came instead of {}", text(&got), text(&answer));
}
