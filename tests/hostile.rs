//! Input made to break things, in large amounts, with the daemon's memory, processor time and log
//! looked at from outside.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use switchboard::check::Client;
use switchboard::protocol::TABLE;

mod support;

use support::daemon::concurrent_engines;
use support::{Daemon, PATIENCE, Start, proc, wait_for};

/// What the daemon's memory may grow by, in KiB, whatever one peer sends.
const GROWTH: u64 = 32 * 1024;

/// What fills the kernel's buffers on one daemon after the other is not done while another is to be asleep: the
/// kernel wakes it when there is room again.
static QUIET: RwLock<()> = RwLock::new(());

/// A generator of bytes that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next().to_le_bytes()[4]).collect()
    }
}

/// The daemon is there and serves.
fn assert_serves(daemon: &Daemon) {
    let served = || {
        Client::connect(&daemon.target("echo"))?.send(b"still there?")?.expect(b"still there?")?;
        Client::connect(&daemon.target("modify"))?.send(b"Hello\n")?.expect(b"Hello Ali\n")?;
        Client::connect(&daemon.target("chat"))?.send(b"/who\n")?.find(b"* here: ").map(drop)
    };
    if let Err(failure) = served() {
        panic!("{failure}\n{}", daemon.output());
    }
}

fn start() -> Daemon {
    let daemon = Start::reactor().set("modify.name=Ali").argument("-v").run();
    assert_serves(&daemon);
    daemon
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Writes until the peer takes no more for a while, or ends it, or `bound` is reached.
fn stuff(stream: &mut TcpStream, unit: &[u8], bound: usize) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut total = 0;
    while total < bound {
        match stream.write(unit) {
            Ok(n) => total += n,
            Err(_) => break,
        }
    }
    total
}

/// Every service, for messages of failures that name it.
fn services() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|row| row.transport.has_tcp()).map(|row| row.name)
}

#[test]
fn random_bytes_on_every_port() {
    let daemon = start();
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    for service in services() {
        for round in 0..20 {
            let mut stream = connect(daemon.tcp(service));
            let size = usize::try_from(random.next() % 5000).unwrap();
            // The daemon may hang up on such a peer; a write that fails is then no fault.
            let _ = stream.write_all(&random.bytes(size));
            match round % 3 {
                0 => reset(stream),
                1 => drop(stream.shutdown(std::net::Shutdown::Write)),
                _ => {}
            }
        }
        if let Some(address) = daemon.address(service, "udp") {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            for size in [0, 1, 3, 512, 65_507] {
                socket.send_to(&random.bytes(size), address).unwrap();
            }
        }
        assert_serves(&daemon);
    }
}

#[test]
fn special_bytes_on_every_port() {
    let daemon = start();
    let storm = b"\xff\xfb\x1f\xff\xfd\x01\xff\xfa\x1f\xff\xff\xff\xf0\xff\xf6".repeat(5000);
    let inputs: [&[u8]; 7] = [
        &[0; 5000],
        &[0xff; 5001],
        b"\xc3\x28\xed\xa0\x80\xf4\x90\x80\x80\xc0\x80\r\n\xe2\x82",
        &storm,
        b"\xff\xfa\x1f never ended",
        b"\r\r\r\0\n\n\0\r\n\r",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\nTransfer-Encoding: chunked\r\n\r\nZZ",
    ];
    for service in services() {
        for input in inputs {
            let mut stream = connect(daemon.tcp(service));
            let _ = stream.write_all(input);
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        assert_serves(&daemon);
    }
}

#[test]
fn a_line_without_end_is_bounded() {
    let daemon = start();
    for service in services() {
        let before = proc::resident(daemon.pid());
        let mut stream = connect(daemon.tcp(service));
        stuff(&mut stream, &[b'A'; 16_384], 100_000_000);
        let grown = proc::peak(daemon.pid()).saturating_sub(before);
        assert!(grown < GROWTH, "{service}: {grown} KiB for a line without end");
        assert_serves(&daemon);
    }
}

#[test]
fn ten_thousand_connections_that_reset() {
    let daemon = start();
    let before = proc::resident(daemon.pid());
    let open = proc::descriptors(daemon.pid());
    let names: Vec<_> = services().collect();
    for n in 0..10_000 {
        reset(connect(daemon.tcp(names[n % names.len()])));
    }
    assert_serves(&daemon);
    let closed = wait_for(PATIENCE, || (proc::descriptors(daemon.pid()) <= open + 3).then_some(()));
    assert!(closed.is_some(), "{} descriptors are open, {open} before", proc::descriptors(daemon.pid()));
    let grown = proc::resident(daemon.pid()).saturating_sub(before);
    assert!(grown < GROWTH, "{grown} KiB");
}

#[test]
fn peers_that_read_nothing() {
    let _others_may_wake = QUIET.read().unwrap_or_else(PoisonError::into_inner);
    for engine in concurrent_engines() {
        read_nothing(engine);
    }
}

fn read_nothing(engine: &'static str) {
    let daemon = Start::engine(engine).set("modify.name=Ali").run();
    let before = proc::resident(daemon.pid());
    let mut stalled: Vec<TcpStream> = (0..20).map(|_| connect(daemon.tcp("chargen"))).collect();
    let mut chat = connect(daemon.tcp("chat"));
    let mut request = connect(daemon.tcp("http"));
    stuff(&mut request, &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100), 50_000_000);
    stalled.extend((0..20).map(|_| connect(daemon.tcp("chat"))));
    // More than the kernel keeps for the stalled members, and the room's log after that.
    stuff(&mut chat, format!("{}\n", "flood ".repeat(600)).as_bytes(), 20_000_000);
    let mut echo = connect(daemon.tcp("echo"));
    stuff(&mut echo, &[b'x'; 16_384], 50_000_000);
    assert_serves(&daemon);
    let grown = proc::peak(daemon.pid()).saturating_sub(before);
    assert!(grown < GROWTH, "{engine}: {grown} KiB for 43 peers that read nothing");
    assert!(stalled.iter().all(|stream| stream.peer_addr().is_ok()));
}

#[test]
fn the_log_cannot_be_forged() {
    let daemon = start();
    let forged =
        b"2026-01-01T00:00:00Z ERROR forged\r\n\x1b[2J\x1b]0;title\x07\n\xc2\x9b31m{\"level\":\"forged\"}\n";
    for service in services() {
        let mut stream = connect(daemon.tcp(service));
        let _ = stream.write_all(forged);
        let _ = stream
            .write_all(b"GET /forged\x1b[2J%0aforged HTTP/1.1\r\nHost: x\r\nUser-Agent: \x1b[2J\r\n\r\n");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read(&mut [0; 1000]);
    }
    assert_serves(&daemon);
    let closed = || (daemon.stderr().windows(6).filter(|w| w == b"closed").count() >= 10).then_some(());
    assert!(wait_for(PATIENCE, closed).is_some(), "no log of closed connections\n{}", daemon.output());
    let log = String::from_utf8(daemon.stderr()).unwrap();
    for line in log.lines() {
        // Every line begins with the time, and nothing in it moves a cursor.
        let begins_well = line.starts_with("20") && line.as_bytes().get(10) == Some(&b'T');
        assert!(begins_well && !line.chars().any(char::is_control), "a strange line of the log: {line:?}");
        assert!(!line.starts_with("2026-01-01T00:00:00Z"), "a forged line: {line:?}");
    }
}

#[test]
fn the_largest_datagram_and_a_flood_of_small_ones() {
    let daemon = start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let large = Random(77).bytes(65_507);
    let mut buffer = vec![0; 70_000];
    socket.send_to(&large, daemon.udp("echo")).unwrap();
    let n = socket.recv(&mut buffer).unwrap();
    assert!(buffer[..n] == large, "{n} of 65507 bytes");
    let flood = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..20_000 {
        flood.send_to(b"reqtime", daemon.udp("reqtime")).unwrap();
    }
    socket.send_to(b"after the flood", daemon.udp("echo")).unwrap();
    assert_eq!(socket.recv(&mut buffer).unwrap(), 15);
    assert_serves(&daemon);
}

/// Wake-ups in two seconds in which nothing happens.
fn idle_wake_ups(daemon: &Daemon) -> u64 {
    // What is still under way comes to its end first, up to the two seconds that a connection lingers.
    let settled = wait_for(PATIENCE, || {
        let before = proc::sleeps(daemon.pid());
        std::thread::sleep(Duration::from_millis(2500));
        (proc::sleeps(daemon.pid()) == before).then_some(before)
    });
    let before = settled.unwrap_or_else(|| panic!("it does not come to rest\n{}", daemon.output()));
    std::thread::sleep(Duration::from_secs(2));
    proc::sleeps(daemon.pid()) - before
}

#[test]
fn idle_is_asleep() {
    let _alone = QUIET.write().unwrap_or_else(PoisonError::into_inner);
    let daemon = Start::reactor().set("modify.name=Ali").set("hello.quiet=60s").run();
    assert_serves(&daemon);
    assert_eq!(idle_wake_ups(&daemon), 0, "without connections");
    let mut open = Vec::new();
    for service in services().filter(|&name| name != "chargen") {
        open.extend((0..10).map(|_| connect(daemon.tcp(service))));
    }
    for stream in &mut open {
        // Whoever has closed (daytime, time) need not hear it.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    let mut stalled = connect(daemon.tcp("chargen"));
    stalled.read_exact(&mut [0; 1000]).unwrap();
    assert_eq!(idle_wake_ups(&daemon), 0, "with {} connections", open.len() + 1);
    assert_serves(&daemon);
}
