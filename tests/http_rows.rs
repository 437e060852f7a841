//! The conformance suite of `http`, the same tables that its handler is tried with, through the real
//! program: every row with every engine, whole, cut in several places, and pipelined.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[path = "../src/protocol/http/tests/rows/mod.rs"]
#[allow(dead_code, unused_imports)]
mod rows;
mod support;

use support::daemon::concurrent_engines;
use support::{Daemon, PATIENCE, Start, wait_for};

/// Sent behind a row: whoever answers it has found the end of the row, and closes.
const LAST: &str = "GET /sub/b.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const LAST_BODY: &[u8] = b"\r\n\r\nbelow\n";

/// Connections at a time.
const CLIENTS: usize = 4;

/// One request, and what it gets.
struct Row {
    raw: String,
    statuses: Vec<u16>,
    keeps: bool,
    has: &'static [&'static str],
    lacks: &'static [&'static str],
}

/// All rows of all tables. `tag` is the entity tag of `/a.txt`.
fn all_rows(tag: &str) -> Vec<Row> {
    let raw = |begin: &str, &(raw, statuses, keeps): &rows::Raw| Row {
        raw: format!("{begin}{raw}"),
        statuses: statuses.to_vec(),
        keeps,
        has: &[],
        lacks: &[],
    };
    let case = |case: &rows::Case| {
        let mut fields = case.fields.replace(" | ", "\r\n").replace("{t}", tag);
        if !fields.is_empty() {
            fields.push_str("\r\n");
        }
        let raw = format!("{} HTTP/1.1\r\nHost: h\r\n{fields}\r\n", case.line);
        Row { raw, statuses: vec![case.status], keeps: true, has: case.has, lacks: case.lacks }
    };
    let requests = rows::REQUESTS.iter().map(|row| raw("", row));
    let bodies = rows::BODIES.iter().map(|row| raw(rows::BEGIN, row));
    let tables = [rows::CONDITIONS, rows::FORMS, rows::TYPES, rows::RANGES];
    requests.chain(bodies).chain(tables.into_iter().flatten().map(case)).collect()
}

/// What a connection gets that sends these pieces, and then no more.
fn ask(address: SocketAddr, pieces: &[&[u8]], is_all: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for piece in pieces {
        // One that was refused may have been closed in the middle of what it sends.
        if stream.write_all(piece).is_err() {
            break;
        }
        // Lets the daemon run, so that it most likely reads this piece alone.
        thread::yield_now();
    }
    if is_all {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut got = Vec::new();
    match stream.read_to_end(&mut got) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}: {:?}", pieces.concat()),
        _ => got,
    }
}

fn statuses(replies: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(replies);
    text.split("HTTP/1.1 ").skip(1).filter_map(|reply| reply.get(..3)?.parse().ok()).collect()
}

fn check(address: SocketAddr, tag: &str, row: &Row) -> Result<(), String> {
    let raw = row.raw.as_bytes();
    let is_whole = !row.keeps || !row.statuses.is_empty();
    if !is_whole {
        // The end comes in the middle of it.
        let got = ask(address, &[raw], true);
        return if statuses(&got) == [400] {
            Ok(())
        } else {
            Err(format!("cut short: {:?}", statuses(&got)))
        };
    }
    // A row that closes is followed by a request as well: nothing behind it is ever taken for one.
    let both = [raw, LAST.as_bytes()].concat();
    let twice = [raw, raw, LAST.as_bytes()].concat();
    let mut tries = vec![("whole", vec![both.as_slice()], 1), ("twice", vec![twice.as_slice()], 2)];
    for at in [1, raw.len() / 3, raw.len() / 2, raw.len() - 1] {
        let (first, second) = both.split_at(at);
        tries.push(("cut", vec![first, second], 1));
    }
    tries.push(("in pieces", both.chunks(17).collect(), 1));
    for (how, pieces, times) in tries {
        let got = ask(address, &pieces, false);
        let mut expected = if row.keeps { row.statuses.repeat(times) } else { row.statuses.clone() };
        expected.extend(row.keeps.then_some(200));
        let shown = || format!("{how}: {}", got.escape_ascii());
        if statuses(&got) != expected || got.ends_with(LAST_BODY) != row.keeps {
            return Err(format!("expected {expected:?}; {}", shown()));
        }
        let text = String::from_utf8_lossy(&got).replace(tag, "{t}");
        if let Some(has) = row.has.iter().find(|has| !text.contains(**has)) {
            return Err(format!("has no {has:?}; {}", shown()));
        }
        let own = text.rsplit_once("HTTP/1.1 ").map_or("", |(own, _)| own);
        if let Some(lacks) = row.lacks.iter().find(|lacks| own.contains(**lacks)) {
            return Err(format!("has {lacks:?}; {}", shown()));
        }
    }
    Ok(())
}

/// The daemon with the files of the tables, which are old enough for strong entity tags.
fn start(engine: &'static str) -> (Daemon, String) {
    let daemon = Start::engine(engine).run();
    let root = daemon.path("root");
    fs::create_dir(daemon.path("outside")).unwrap();
    rows::fill(&root, &daemon.path("outside"));
    rows::fill_forms(&root);
    rows::fill_digits(&root);
    let strong = wait_for(PATIENCE, || {
        let reply = ask(daemon.tcp("http"), &[b"HEAD /a.txt HTTP/1.0\r\n\r\n"], false);
        let text = String::from_utf8(reply).unwrap();
        let tag = text.split("\r\n").find_map(|line| line.strip_prefix("ETag: ")).unwrap().to_owned();
        tag.starts_with('"').then_some(tag)
    });
    (daemon, strong.unwrap_or_else(|| panic!("the tags stay weak")))
}

#[test]
fn every_row_on_every_engine() {
    for engine in concurrent_engines() {
        let (daemon, tag) = start(engine);
        let (address, rows) = (daemon.tcp("http"), all_rows(&tag));
        assert!(rows.len() >= 300, "{} rows", rows.len());
        let next = AtomicUsize::new(0);
        let check_some = || {
            let mut failures = Vec::new();
            while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(failure) = check(address, &tag, row) {
                    failures.push(format!("{}\n    {failure}", row.raw.escape_debug()));
                }
            }
            failures
        };
        let failures: Vec<String> = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(check_some)).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        let (failed, all) = (failures.len(), rows.len());
        assert!(failures.is_empty(), "{engine}: {failed} of {all} failed:\n{}", failures.join("\n"));
    }
}
