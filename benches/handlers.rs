//! Nanoseconds and allocations per event of the parts that every byte goes through.
//!
//! `cargo bench --bench handlers`
#![allow(clippy::unwrap_used, missing_docs)]

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};
use switchboard::framing::{Lines, Next, Telnet};
use switchboard::input::Input;
use switchboard::out::Out;
use switchboard::protocol::ConnId;
use switchboard::protocol::http::head_length;
use switchboard::room::{Form, Kind, Profile, Rooms, Saying, Style};
use switchboard::time::Time;

mod common;

use common::{BROWSER, Bench, CURL, EVENTS, Event, SHORT, UNUSUAL};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = EVENTS)]
fn event(bencher: Bencher<'_, '_>, event: &Event) {
    let mut bench = Bench::new(event);
    bencher.bench_local(|| bench.run());
}

/// A request's head taken apart, and nothing else: the first three are ordinary, the last is not.
#[divan::bench(args = ["short", "curl", "browser", "unusual"])]
fn http_parser(bencher: Bencher<'_, '_>, name: &str) {
    let head = match name {
        "short" => SHORT,
        "curl" => CURL,
        "browser" => BROWSER,
        _ => UNUSUAL,
    };
    assert_eq!(head_length(head), Some(head.len()));
    bencher.counter(BytesCount::new(head.len())).bench_local(|| head_length(black_box(head)));
}

#[divan::bench(args = [16, 64, 1024])]
fn framing(bencher: Bencher<'_, '_>, length: usize) {
    let text = [vec![b'x'; length], b"\r\n".to_vec()].concat().repeat(16);
    let mut out = Out::default();
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
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
    bencher.counter(ItemsCount::new(members)).bench_local(|| {
        let text = "a line of some length, as people write them";
        rooms.say(*ids.first().unwrap(), Saying { kind: Kind::Said, text, client: 0 });
        while let Some((id, _)) = rooms.next_pending() {
            rooms.feed(id, Time::START, |bytes| black_box(bytes).len());
        }
    });
}
