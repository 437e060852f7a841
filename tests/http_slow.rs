//! Peers of the file server that are slow, silent or hostile, with every engine.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

mod support;

use support::daemon::concurrent_engines;
use support::{Daemon, PATIENCE, Start, proc, wait_for};

/// More than the kernel keeps for a connection that is not read.
const BIG: usize = 24 * 1024 * 1024;

fn ask(daemon: &Daemon, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(daemon.tcp("http")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Two requests for the big file: one whose connection stays, one whose connection ends.
const KEPT: &str = "GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n";
const CLOSED: &str = "GET /big.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

fn with_big_file(engine: &'static str) -> Daemon {
    let daemon = Start::engine(engine).set("http.progress_timeout=1s").run();
    fs::write(daemon.path("root/big.bin"), vec![b'x'; BIG]).unwrap();
    daemon
}

#[test]
fn a_reply_that_nobody_reads_is_given_up() {
    for engine in concurrent_engines() {
        let daemon = with_big_file(engine);
        // The first answer says that the engine has made whatever it has when it is idle.
        let mut first = ask(&daemon, "GET /hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        first.read_to_end(&mut Vec::new()).unwrap();
        drop(first);
        let looks = || {
            let before = proc::taken(daemon.pid());
            thread::sleep(Duration::from_millis(200));
            (before == proc::taken(daemon.pid())).then_some(before)
        };
        let idle = wait_for(PATIENCE, looks).unwrap();
        let streams = [ask(&daemon, KEPT), ask(&daemon, CLOSED)];
        let begun = wait_for(PATIENCE, || (proc::taken(daemon.pid()) >= idle + 2).then_some(()));
        assert!(begun.is_some(), "{engine}: the requests are heard");
        // The file may still be open: it is kept for whoever asks next.
        let ended = wait_for(PATIENCE, || (proc::taken(daemon.pid()) <= idle + 1).then_some(()));
        assert!(ended.is_some(), "{engine}: somebody is waited for who reads nothing");
        for mut stream in streams {
            let mut got = Vec::new();
            let _ = stream.read_to_end(&mut got);
            assert!(got.starts_with(b"HTTP/1.1 200 ") && got.len() < BIG, "{engine}: {}", got.len());
        }
    }
}

/// The kernel takes megabytes for a peer that reads kilobytes, so that what the daemon can write says
/// nothing of what the peer has read.
#[test]
fn a_slow_reader_is_not_cut_off() {
    thread::scope(|scope| {
        for engine in concurrent_engines() {
            for request in [KEPT, CLOSED] {
                scope.spawn(move || read_slowly(engine, request));
            }
        }
    });
}

fn read_slowly(engine: &'static str, request: &str) {
    let daemon = with_big_file(engine);
    let mut stream = ask(&daemon, request);
    let (mut got, mut piece) = (0, vec![0; 32 * 1024]);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        got += stream.read(&mut piece).unwrap();
        // The passing of time is what is tried: about 300 KB a second.
        thread::sleep(Duration::from_millis(100));
    }
    while got < BIG {
        let n = stream.read(&mut piece).unwrap();
        assert!(n > 0, "{engine}: cut off after {got} bytes: {request}");
        got += n;
    }
}

/// The median time of a small file on a fresh connection.
fn fresh(daemon: &Daemon) -> Duration {
    let one = || {
        let start = Instant::now();
        let mut got = Vec::new();
        ask(daemon, "GET /hello.txt HTTP/1.0\r\n\r\n").read_to_end(&mut got).unwrap();
        assert!(got.ends_with(b"Hello there\n"));
        start.elapsed()
    };
    let mut times: Vec<Duration> = (0..31).map(|_| one()).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn clients_that_send_by_drops_delay_nobody_and_end() {
    for engine in concurrent_engines() {
        let daemon = Start::engine(engine).set("http.header_timeout=3s").run();
        let idle = fresh(&daemon);
        let mut drips: Vec<TcpStream> = (0..300).map(|_| ask(&daemon, "GET / HTTP/1.1\r\n")).collect();
        let is_over = AtomicBool::new(false);
        let busy = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for stream in &drips {
                        // Refused ones may be closed already.
                        let _ = (&*stream).write(b"x");
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            });
            let busy = fresh(&daemon);
            is_over.store(true, Ordering::Relaxed);
            busy
        });
        // A hundred drops for each request here, so many times the work; a delay by any deadline is seconds.
        assert!(busy < idle * 20 + Duration::from_millis(50), "{engine}: {idle:?} became {busy:?}");
        for stream in &mut drips {
            let mut got = Vec::new();
            let _ = stream.read_to_end(&mut got);
            let text = String::from_utf8_lossy(&got);
            assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("the blank line"), "{engine}: {text}");
        }
    }
}

/// What a flood of oversized requests leaves behind: some buffers for reuse, however long it lasts.
#[test]
fn requests_that_are_too_long_cost_nothing_afterwards() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(100_000));
    let fields = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    for engine in concurrent_engines() {
        let daemon = Start::engine(engine).run();
        let before = proc::resident(daemon.pid());
        let wave = || {
            let streams: Vec<TcpStream> =
                (0..40).map(|n| ask(&daemon, if n % 2 == 0 { &long } else { &fields })).collect();
            for (n, mut stream) in streams.into_iter().enumerate() {
                let mut got = [0; 13];
                stream.read_exact(&mut got).unwrap();
                let expected = if n % 2 == 0 { b"HTTP/1.1 414 " } else { b"HTTP/1.1 431 " };
                assert_eq!(&got, expected, "{engine}");
            }
            proc::resident(daemon.pid())
        };
        let first = wave();
        for _ in 0..20 {
            wave();
        }
        let last = wave();
        // 1.6 MB are sent in each wave.
        assert!(last < first + 4 * 1024, "{engine}: {before} KiB, {first} after one wave, {last} after many");
        assert!(last < before + 16 * 1024, "{engine}: {before} KiB before, {last} after");
    }
}
