//! Instructions per event, which do not depend on what else the machine is doing. Those of `http` have a
//! limit, a tenth above what was measured with Rust 1.95: a request that costs more fails the run.
//!
//! Needs valgrind, and the runner of the same version: `cargo install gungraun-runner@0.20`.
//! Then `cargo bench --bench instructions`.
#![allow(clippy::unwrap_used, missing_docs, unused_qualifications)]

use std::hint::black_box;

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use switchboard::conn::{Conn, Env, Pool};
use switchboard::out::Front;
use switchboard::peer::Peer;
use switchboard::protocol::{ConnId, Options, Row};
use switchboard::shared::Shared;
use switchboard::show::Show;
use switchboard::time::Time;

const EVENTS: usize = 1000;

struct Bench {
    conn: Conn,
    shared: Shared,
    pool: Pool,
}

fn connection(protocol: &str) -> Bench {
    start(protocol, toml::Table::new(), b"warm\n")
}

fn start(protocol: &str, options: toml::Table, first: &[u8]) -> Bench {
    let row = Row::find(protocol).unwrap();
    let options = Options::parse(row.kind, options).unwrap();
    options.prepare().unwrap();
    let conn = Conn::new(options.session());
    let mut bench = Bench { conn, shared: Shared::new(Show::stdout()), pool: Pool::default() };
    event(&mut bench, first);
    bench
}

/// A connection that was answered once with a file of 1 KiB, and the head that it sends.
fn website(head: &'static str) -> (Bench, &'static [u8]) {
    let dir = tempfile::tempdir().unwrap().keep();
    std::fs::write(dir.join("file.html"), [b'x'; 1024]).unwrap();
    let mut options = toml::Table::new();
    options.insert("root".into(), dir.to_str().unwrap().into());
    let bench = start("http", options, head.as_bytes());
    std::fs::remove_dir_all(dir).unwrap();
    (bench, head.as_bytes())
}

fn event(bench: &mut Bench, bytes: &[u8]) {
    let mut env = Env {
        now: Time::START,
        shared: &bench.shared,
        pool: &mut bench.pool,
        peer: &Peer::Unix,
        id: ConnId { key: 0, generation: 0 },
    };
    bench.conn.input(black_box(bytes), &mut env);
    while let Some(out) = bench.conn.out() {
        let Front::Bytes(first, second) = out.front(bytes) else { break };
        out.advance((first.len() + second.len()) as u64);
    }
    bench.conn.settle(bytes, &mut bench.pool);
}

// A thousand messages of 64 bytes through one connection, system calls left out.
#[library_benchmark(setup = connection)]
#[bench::echo("echo")]
#[bench::discard("discard")]
#[bench::modify("modify")]
fn thousand_events(mut bench: Bench) -> Bench {
    let message = [[b'm'; 63].as_slice(), b"\n"].concat();
    for _ in 0..EVENTS {
        event(&mut bench, &message);
    }
    bench
}

const SHORT: &str = "GET /file.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

const CURL: &str = "GET /file.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/8.14.1\r\n\
    Accept: */*\r\n\r\n";

const BROWSER: &str = "GET /file.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; \
    Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\nAccept: \
    text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\r\n";

/// So many instructions may a thousand events take.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    LibraryBenchmarkConfig::default().tool(callgrind).clone()
}

// A thousand requests for a cached file of 1 KiB through one connection, system calls left out.
#[library_benchmark(setup = website)]
#[bench::short(args = (SHORT), config = at_most(1_710_000))]
#[bench::curl(args = (CURL), config = at_most(2_090_000))]
#[bench::browser(args = (BROWSER), config = at_most(4_610_000))]
fn thousand_requests((mut bench, head): (Bench, &'static [u8])) -> Bench {
    for _ in 0..EVENTS {
        event(&mut bench, head);
    }
    bench
}

library_benchmark_group!(name = events; benchmarks = thousand_events, thousand_requests);
main!(library_benchmark_groups = events);
