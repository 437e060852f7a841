//! Instructions per event, which do not depend on what else the machine is doing.
//!
//! Needs valgrind, and the runner of the same version: `cargo install gungraun-runner@0.20`.
//! Then `cargo bench --bench instructions`.
#![allow(clippy::unwrap_used, missing_docs, unused_qualifications)]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
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
    let row = Row::find(protocol).unwrap();
    let options = Options::parse(row.kind, toml::Table::new()).unwrap();
    let conn = Conn::new(options.session());
    let mut bench = Bench { conn, shared: Shared::new(Show::stdout()), pool: Pool::default() };
    event(&mut bench, b"warm\n");
    bench
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

library_benchmark_group!(name = events; benchmarks = thousand_events);
main!(library_benchmark_groups = events);
