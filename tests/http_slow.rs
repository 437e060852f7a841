//! Peers of the file server that are slow, silent or hostile, with every engine.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

mod support;

use support::daemon::engines;
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
    for engine in engines() {
        let daemon = with_big_file(engine);
        let idle = proc::descriptors(daemon.pid());
        let streams = [ask(&daemon, KEPT), ask(&daemon, CLOSED)];
        let begun = wait_for(PATIENCE, || (proc::descriptors(daemon.pid()) >= idle + 2).then_some(()));
        assert!(begun.is_some(), "{engine}: the requests are heard");
        // The file may still be open: it is kept for whoever asks next.
        let ended = wait_for(PATIENCE, || (proc::descriptors(daemon.pid()) <= idle + 1).then_some(()));
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
        for engine in engines() {
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
