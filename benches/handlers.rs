//! Nanoseconds and allocations per event of the parts that every byte goes through.
//!
//! `cargo bench --bench handlers`
#![allow(clippy::unwrap_used, missing_docs)]

use divan::{AllocProfiler, Bencher, black_box};
use switchboard::conn::{Conn, Env, Pool};
use switchboard::framing::{Lines, Next, Telnet};
use switchboard::input::Input;
use switchboard::out::{Front, Out};
use switchboard::peer::Peer;
use switchboard::protocol::{ConnId, Options, Row};
use switchboard::room::{Form, Kind, Profile, Rooms, Saying, Style};
use switchboard::shared::Shared;
use switchboard::show::Show;
use switchboard::time::Time;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A connection with an engine that takes everything at once.
struct Bench {
    conn: Conn,
    shared: Shared,
    pool: Pool,
    now: Time,
}

impl Bench {
    fn new(protocol: &str) -> Self {
        let row = Row::find(protocol).unwrap();
        let options = Options::parse(row.kind, toml::Table::new()).unwrap();
        options.prepare().unwrap();
        let conn = Conn::new(options.session());
        let mut bench =
            Self { conn, shared: Shared::new(Show::stdout()), pool: Pool::default(), now: Time::START };
        bench.call(&[], Conn::open);
        bench
    }

    fn call(&mut self, bytes: &[u8], call: impl FnOnce(&mut Conn, &mut Env<'_>)) -> u64 {
        let mut env = Env {
            now: self.now,
            shared: &self.shared,
            pool: &mut self.pool,
            peer: &Peer::Unix,
            id: ConnId { key: 0, generation: 0 },
        };
        call(&mut self.conn, &mut env);
        let mut sent = 0;
        while let Some(out) = self.conn.out() {
            let n = match out.front(bytes) {
                Front::Empty => break,
                Front::Bytes(first, second) => (first.len() + second.len()) as u64,
                Front::File(range) => range.len,
            };
            out.advance(black_box(n));
            sent += n;
        }
        self.conn.settle(bytes, &mut self.pool);
        sent
    }

    fn input(&mut self, bytes: &[u8]) -> u64 {
        self.call(bytes, |conn, env| conn.input(black_box(bytes), env))
    }
}

const PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

/// What is sent in an event of this name; the first word is the protocol.
fn message(name: &str) -> &'static [u8] {
    match name {
        "http, a file" => {
            b"GET /Cargo.toml HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
        }
        "reqtime" => b"reqtime\n",
        "modify, unterminated" => b"hello, world",
        _ => b"hello, world\n",
    }
}

#[divan::bench(args = ["echo", "discard", "modify", "modify, unterminated", "reqtime", "http, a file"])]
fn event(bencher: Bencher<'_, '_>, name: &str) {
    let mut bench = Bench::new(name.split(',').next().unwrap());
    let bytes = message(name);
    bencher.bench_local(|| {
        let sent = bench.input(bytes);
        // An unterminated message is complete when the pause has passed.
        bench.now = bench.now.after(PAUSE);
        sent + bench.call(&[], Conn::tick)
    });
}

#[divan::bench(args = [16, 64, 1024])]
fn framing(bencher: Bencher<'_, '_>, length: usize) {
    let text = [vec![b'x'; length], b"\r\n".to_vec()].concat().repeat(16);
    let mut out = Out::default();
    bencher.counter(divan::counter::BytesCount::new(text.len())).bench_local(|| {
        let (mut lines, mut input) = (Lines::new(Telnet::WhenNegotiated), Input::new(&text));
        while let Next::Message(message) = lines.next(&mut input, 4096, &mut out) {
            black_box(message.text.len());
        }
    });
}

/// One line said, and every member fed.
#[divan::bench(args = [10, 100, 1000])]
fn room(bencher: Bencher<'_, '_>, members: u32) {
    let mut rooms = Rooms::default();
    let form = Form::Line(Style::default());
    let profile = Profile {
        form,
        guest: "guest".to_owned(),
        history: 0,
        quiet_reader: std::time::Duration::from_secs(300),
    };
    let ids: Vec<_> =
        (0..members).map(|key| rooms.join("lobby", &profile, None, ConnId { key, generation: 0 })).collect();
    bencher.counter(divan::counter::ItemsCount::new(members)).bench_local(|| {
        let text = "a line of some length, as people write them";
        rooms.say(*ids.first().unwrap(), Saying { kind: Kind::Said, text, client: 0 });
        while let Some((id, _)) = rooms.next_pending() {
            rooms.feed(id, Time::START, |bytes| black_box(bytes).len());
        }
    });
}
