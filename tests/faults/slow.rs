//! Clients that send byte by byte, and clients that read a little at a time, in every protocol: they get what
//! others get, and nobody waits for them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{GROWTH, assert_serves, connect, connect_narrow, finish, memory, text};
use crate::support::daemon::concurrent_engines;
use crate::support::{Daemon, Start, wait_for};

/// More than the kernel keeps for a client that does not read.
const BIG: usize = 6_000_000;
/// What a slow reader takes at once.
const SIP: usize = 32 * 1024;
/// How often somebody else is served meanwhile, at the least.
const OTHERS: usize = 3;

const HANDSHAKE: &str = "GET /ws/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Whether all that a client got is right.
type Check = fn(&str) -> bool;

/// What is sent at once and then byte by byte, and what must come back. Whoever has not ended a line may not
/// pause in it: so the first line comes whole.
const WRITERS: &[(&str, &str, &str, Check)] = &[
    ("echo", "", "one byte after another", |got| got == "one byte after another"),
    ("discard", "", "one byte after another", str::is_empty),
    ("modify", "first\n", "second\nthird\r\n", |got| got == "first Ali\nsecond Ali\nthird Ali\r\n"),
    ("reqtime", "reqtime\n", "reqtime\nreqtime\n", |got| got.lines().count() == 3),
    ("chat", "/nick zoe\n", "/who\n/quit\n", |got| got.contains("* here: zoe")),
    ("collect", "", "shown in the end", str::is_empty),
    ("hello", "Hello World\n", "Hello again\n", |got| got.contains("Hello Yourself")),
    ("http", "", "GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n", |got| got.ends_with("\r\n\r\nHello there\n")),
    ("upload", "", "slow.txt\nits content\n", |got| got.starts_with("stored 12 ")),
    ("download", "/sum hello.txt\n", "/get hello.txt\n", |got| got.ends_with("\nok 12\nHello there\n")),
    ("console", "", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", |got| got.contains("</html>")),
    ("console", HANDSHAKE, "\u{1}\u{0}", |got| got.starts_with("HTTP/1.1 101 ")),
    ("daytime", "", "", |got| got.lines().count() == 1),
    ("time", "", "", |got| !got.is_empty()),
];

fn writes_slowly(daemon: &Daemon, (service, at_once, slowly, check): (&str, &str, &str, Check)) {
    let mut stream = connect(daemon.tcp(service));
    stream.write_all(at_once.as_bytes()).unwrap();
    for byte in slowly.as_bytes() {
        // Being slow is what is tried.
        std::thread::sleep(Duration::from_millis(5));
        stream.write_all(&[*byte]).unwrap();
    }
    let got = text(&finish(&mut stream));
    assert!(check(&got), "{service}, byte by byte: {got:?}");
}

/// What is sent, and what comes back, all of it.
fn readers() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let lines =
        |end: &str| -> Vec<u8> { (0..BIG / 64).flat_map(|n| format!("{n:059}{end}").into_bytes()).collect() };
    let bytes: Vec<u8> = (0..=250).cycle().take(BIG).collect();
    let file = vec![b'x'; BIG];
    let frames = |mask: &[u8]| -> Vec<u8> {
        let one = [&[0x82, if mask.is_empty() { 127 } else { 255 }], &100_000_u64.to_be_bytes()[..], mask];
        [&one.concat()[..], &vec![b'x'; 100_000]].concat().repeat(BIG / 100_000)
    };
    vec![
        ("echo", bytes.clone(), bytes),
        ("modify", lines("\n"), lines(" Ali\n")),
        ("chargen", Vec::new(), chargen()),
        ("http", b"GET /big.bin HTTP/1.0\r\n\r\n".to_vec(), file.clone()),
        ("download", b"big.bin\n".to_vec(), file),
        // A mask of zeros changes nothing.
        ("console", [HANDSHAKE.as_bytes(), &frames(&[0; 4])].concat(), frames(&[])),
    ]
}

/// RFC 864: lines of 72 of the 95 characters, each a character further.
fn chargen() -> Vec<u8> {
    let line = |n: usize| (0..72).map(move |at| b' ' + u8::try_from((n + at) % 95).unwrap()).chain(*b"\r\n");
    (0..).flat_map(line).take(BIG).collect()
}

fn reads_slowly(daemon: &Daemon, service: &str, sent: &[u8], expected: &[u8]) {
    let mut stream = connect_narrow(daemon.tcp(service));
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(sent).unwrap();
            // The end of its input is the end of endless text.
            (service != "chargen").then(|| writer.shutdown(Shutdown::Write).unwrap());
        });
        let got = sip(&mut stream, |got| service == "chargen" && got >= expected.len());
        // The head of http, or of the handshake, is another matter.
        let end = if service == "chargen" { expected.len() } else { got.len() };
        let is_whole = got[..end].ends_with(expected);
        assert!(is_whole, "{service}, read slowly: {} bytes, of which {} were to come", end, expected.len());
    });
}

fn sip(stream: &mut TcpStream, is_enough: impl Fn(usize) -> bool) -> Vec<u8> {
    let (mut got, mut buffer) = (Vec::new(), vec![0; SIP]);
    loop {
        // Being slow is what is tried.
        std::thread::sleep(Duration::from_millis(2));
        let n = stream.read(&mut buffer).unwrap();
        got.extend_from_slice(&buffer[..n]);
        if n == 0 || is_enough(got.len()) {
            return got;
        }
    }
}

#[test]
fn the_slow_get_what_others_get_and_nobody_waits_for_them() {
    for engine in concurrent_engines() {
        let daemon = Start::engine(engine).set("modify.name=Ali").run();
        std::fs::write(daemon.path("root/big.bin"), vec![b'x'; BIG]).unwrap();
        assert_serves(&daemon);
        let before = memory(&daemon);
        let (is_over, all) = (AtomicBool::new(false), readers());
        let (others, peak) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| watch(&daemon, &is_over));
            let writers = WRITERS.iter().map(|it| scope.spawn(|| writes_slowly(&daemon, *it)));
            let mut slow: Vec<_> = writers.collect();
            slow.extend(all.iter().map(|(service, sent, expected)| {
                scope.spawn(|| reads_slowly(&daemon, service, sent, expected))
            }));
            // One that has failed is told of when all have ended: the watch must, too.
            let ends: Vec<_> = slow.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            is_over.store(true, Ordering::Relaxed);
            let failed = ends.iter().filter(|end| end.is_err()).count();
            assert_eq!(failed, 0, "{engine}: {failed} slow clients did not get what others get");
            watch.join().unwrap()
        });
        assert!(others >= OTHERS, "{engine}: others were served {others} times only");
        let grown = peak.saturating_sub(before);
        println!("{engine}: slow: {grown} KiB; others were served {others} times");
        assert!(grown < GROWTH, "{engine}: {grown} KiB for {} slow clients", WRITERS.len() + all.len());
        let shown = || text(&daemon.stdout()).contains("shown in the end").then_some(());
        assert!(wait_for(Duration::from_secs(5), shown).is_some(), "{engine}: {}", daemon.output());
    }
}

/// How often others were served meanwhile, and the most memory.
fn watch(daemon: &Daemon, is_over: &AtomicBool) -> (usize, u64) {
    let (mut others, mut peak) = (0, 0);
    while !is_over.load(Ordering::Relaxed) {
        assert_serves(daemon);
        others += 1;
        peak = peak.max(memory(daemon));
        std::thread::sleep(Duration::from_millis(20));
    }
    (others, peak)
}
