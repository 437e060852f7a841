//! Clients that are reset in every state a connection can be in.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::common::{GROWTH, assert_lets_go, assert_serves, connect, memory, reset, stop, stuff, taken};
use crate::support::daemon::concurrent_engines;
use crate::support::{Daemon, PATIENCE, Start, wait_for};

/// How often each state is tried.
const ROUNDS: usize = 20;
/// More than the kernel keeps for a client that does not read.
const BIG: usize = 16_000_000;

const HANDSHAKE: &[u8] = b"GET /ws/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A state, the service that gets into it, and how.
type State = (&'static str, &'static str, fn(&mut TcpStream));

const STATES: &[State] = &[
    ("before the first byte", "echo", |_| {}),
    ("before the first byte of a member", "chat", |_| {}),
    ("after the first byte", "modify", |it| say(it, b"H")),
    ("in the middle of a line", "modify", |it| say(it, b"first\nsec")),
    ("in the middle of what a member says", "chat", |it| say(it, b"hello\nand mo")),
    ("in the middle of a reply", "echo", |it| stuff(it, &vec![b'x'; 65_536])),
    ("in the middle of an endless reply", "chargen", |it| hear(it, 1000)),
    ("with lines answered and not read", "modify", |it| stuff(it, &b"a line\n".repeat(5000))),
    ("after a message without a line end", "hello", |it| say(it, b"Hello World")),
    ("while it is received", "collect", |it| say(it, b"some bytes")),
    ("while it is dropped", "discard", |it| stuff(it, &vec![0; 65_536])),
    ("while the rest of a refused request is dropped", "http", |it| {
        say(it, b"GET / x HTTP/1.1\r\n\r\n");
        stuff(it, &vec![b'x'; 16_384]);
        hear(it, 12);
    }),
    ("in the middle of a request", "http", |it| say(it, b"GET /hello.txt HTTP/1.1\r\nHos")),
    ("in the middle of a file of http", "http", |it| {
        say(it, b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
        hear(it, 5000);
    }),
    ("in the middle of a file", "download", |it| {
        say(it, b"/get big.bin\n");
        hear(it, 5000);
    }),
    ("while a checksum is made", "download", |it| say(it, b"/sum sub/long.bin\n")),
    ("in the middle of a name", "upload", |it| say(it, b"half.b")),
    ("in the middle of an upload", "upload", |it| {
        say(it, &[b"half.bin\n", &vec![b'x'; 400_000][..]].concat());
        is_taken(it);
    }),
    ("in the middle of an upload of known length", "upload", |it| {
        say(it, &[b"/put 8000000 half.bin\n", &vec![b'x'; 400_000][..]].concat());
        is_taken(it);
    }),
    ("in the middle of a handshake", "console", |it| say(it, &HANDSHAKE[..60])),
    ("in the middle of a frame", "console", |it| {
        say(it, HANDSHAKE);
        hear(it, 12);
        say(it, b"\x82\xfe\x10\x00\x01\x02\x03\x04half of it");
    }),
    ("with frames answered and not read", "console", |it| {
        say(it, HANDSHAKE);
        let frame = [&b"\x82\xfe\x20\x00\x01\x02\x03\x04"[..], &[b'x'; 0x2000]].concat();
        stuff(it, &frame.repeat(8));
    }),
];

fn say(stream: &mut TcpStream, bytes: &[u8]) {
    // A daemon that has already closed is another state.
    let _ = stream.write_all(bytes);
}

/// Waits until the daemon has read all that was sent: a reset destroys what is on its way.
fn is_taken(stream: &TcpStream) {
    let ports = [stream.local_addr().unwrap(), stream.peer_addr().unwrap()];
    let ports = ports.map(|address| format!(":{:04X}", address.port()));
    let is_empty = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        // Their fourth column is the state, the fifth what waits to be sent and to be read.
        let ends = rows.filter(|row| {
            let is_of = |port: &String| row[1].ends_with(port) || row[2].ends_with(port);
            row.len() > 4 && ports.iter().all(is_of)
        });
        let waiting: Vec<_> = ends.map(|row| row[4].to_owned()).collect();
        (waiting == ["00000000:00000000"; 2]).then_some(())
    };
    assert!(wait_for(PATIENCE, is_empty).is_some(), "the daemon does not read");
}

fn hear(stream: &mut TcpStream, n: usize) {
    stream.read_exact(&mut vec![0; n]).unwrap();
}

#[test]
fn a_reset_in_any_state_costs_nothing() {
    for engine in concurrent_engines() {
        let daemon = Start::engine(engine).run();
        std::fs::write(daemon.path("root/big.bin"), vec![b'x'; BIG]).unwrap();
        let mut count = assert_serves(&daemon);
        let (before, open) = (memory(&daemon), taken(&daemon));
        for (name, service, get_into) in STATES {
            for _ in 0..ROUNDS {
                let mut stream = connect(daemon.tcp(service));
                get_into(&mut stream);
                reset(stream);
            }
            count += ROUNDS as u64 + assert_serves(&daemon);
            assert_lets_go(&daemon, open, &format!("{engine}: {name}"));
        }
        let grown = memory(&daemon).saturating_sub(before);
        println!("{engine}: {count} connections reset: {grown} KiB");
        assert!(grown < GROWTH, "{engine}: {grown} KiB");
        assert_eq!(names_stored(&daemon), Vec::<String>::new(), "{engine}");
        let totals = stop(daemon);
        assert_eq!((totals.connections, totals.cut_off), (count, 0), "{engine}");
    }
}

/// What lies where uploads are stored.
fn names_stored(daemon: &Daemon) -> Vec<String> {
    let entries = std::fs::read_dir(daemon.path("uploads")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
