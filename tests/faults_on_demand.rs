//! Services that do wrong on purpose, through the real program: with plain sockets, and with this program's
//! own clients, which must say what is wrong.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

mod support;

use rustix::process::Signal;
use support::own::{run, run_at};
use support::{Daemon, PATIENCE, Start, wait_for};

fn connect(daemon: &Daemon, service: &str) -> TcpStream {
    let stream = TcpStream::connect(daemon.tcp(service)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything up to the end, and how it ended.
fn rest(mut stream: &TcpStream) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).map(drop).map_err(|error| error.kind());
    (bytes, end)
}

fn log(daemon: &Daemon) -> String {
    String::from_utf8(daemon.stderr()).unwrap()
}

#[test]
fn latency_makes_every_reply_late() {
    let daemon = Start::reactor().set("echo.latency=150ms").run();
    let mut stream = connect(&daemon, "echo");
    for _ in 0..3 {
        let began = Instant::now();
        stream.write_all(b"hello").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(145), "{:?}", began.elapsed());
    }
}

#[test]
fn drips_are_a_byte_at_a_time() {
    let daemon =
        Start::reactor().set("modify.name=Ali").set("modify.chunk=1").set("modify.latency=20ms").run();
    let mut stream = connect(&daemon, "modify");
    let began = Instant::now();
    stream.write_all(b"hi\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (mut pieces, mut all, mut buffer) = (0, Vec::new(), [0; 100]);
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            n => all.extend_from_slice(&buffer[..n]),
        }
        pieces += 1;
    }
    assert_eq!(all, b"hi Ali\n");
    assert!(began.elapsed() >= Duration::from_millis(7 * 18), "{:?}", began.elapsed());
    // A busy machine may let this end sleep through some.
    assert!(pieces >= 2, "{pieces}");
}

#[test]
fn a_reply_that_is_cut_ends_cleanly_after_exactly_so_many_bytes() {
    let daemon = Start::reactor().set("http.truncate=5000").set("echo.truncate=0").run();
    for _ in 0..3 {
        let mut stream = connect(&daemon, "http");
        stream.write_all(b"GET /sub/long.bin HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let (bytes, end) = rest(&stream);
        assert_eq!((bytes.len(), end), (5000, Ok(())));
    }
    let mut stream = connect(&daemon, "echo");
    stream.write_all(b"hello").unwrap();
    assert_eq!(rest(&stream), (Vec::new(), Ok(())));
    let said = wait_for(PATIENCE, || log(&daemon).contains("service=echo").then(|| log(&daemon)));
    assert_eq!(said.unwrap().matches("why=fault on demand").count(), 4, "{}", log(&daemon));
}

#[test]
fn a_reset_comes_when_exactly_so_many_bytes_have_been_received() {
    let daemon = Start::reactor().set("chargen.reset_after=300000").run();
    for _ in 0..3 {
        let (bytes, end) = rest(&connect(&daemon, "chargen"));
        assert_eq!((bytes.len(), end), (300_000, Err(ErrorKind::ConnectionReset)));
    }
    // Also to a client that begins to read when all has long been written, and is on its way.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&daemon.tcp("chargen").into()).unwrap();
    let late = TcpStream::from(socket);
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let (bytes, end) = rest(&late);
    assert_eq!((bytes.len(), end), (300_000, Err(ErrorKind::ConnectionReset)));
}

#[test]
fn a_stalled_service_says_no_more_and_does_not_hinder_a_stop() {
    let mut daemon = Start::reactor().set("modify.name=Ali").set("modify.stall_after=4").run();
    let mut stream = connect(&daemon, "modify");
    stream.write_all(b"hi\n").unwrap();
    let mut four = [0; 4];
    stream.read_exact(&mut four).unwrap();
    assert_eq!(&four, b"hi A");
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(stream.read(&mut four).unwrap_err().kind(), ErrorKind::WouldBlock);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(PATIENCE).code(), Some(0));
}

#[test]
fn the_same_seed_refuses_the_same() {
    let refused = |seed: u32| {
        let seed = format!("echo.seed={seed}");
        let daemon = Start::reactor().set("echo.refuse=0.5").set(&seed).run();
        let refused = |_| {
            let mut stream = connect(&daemon, "echo");
            // Either may find the reset.
            let written = stream.write_all(b"hello").and_then(|()| stream.shutdown(Shutdown::Write));
            written.is_err() || rest(&stream).1.is_err()
        };
        (0..30).map(refused).collect::<Vec<_>>()
    };
    let first = refused(1);
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
    assert_eq!(first, refused(1));
    assert_ne!(first, refused(2));
}

#[test]
fn hup_changes_the_faults() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("switchboard.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("[service.echo]\ntruncate = 2\n");
    let daemon = Start::reactor().argument("--config").argument(file.to_str().unwrap()).run();
    let echoed = || {
        let mut stream = connect(&daemon, "echo");
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        rest(&stream).0
    };
    assert_eq!(echoed(), b"he");
    write("[service.echo]\ntruncate = 3\n");
    daemon.signal(Signal::HUP);
    assert!(wait_for(PATIENCE, || (echoed() == b"hel").then_some(())).is_some(), "{}", log(&daemon));
    write("");
    daemon.signal(Signal::HUP);
    assert!(wait_for(PATIENCE, || (echoed() == b"hello").then_some(())).is_some(), "{}", log(&daemon));
}

#[test]
fn the_first_faults_take_a_restart_and_other_engines_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("switchboard.toml");
    std::fs::write(&file, "").unwrap();
    let daemon = Start::reactor().argument("--config").argument(file.to_str().unwrap()).run();
    std::fs::write(&file, "[service.echo]\ntruncate = 2\n").unwrap();
    daemon.signal(Signal::HUP);
    let said = "nothing has changed: service echo: the first faults on the wire take a restart";
    assert!(wait_for(PATIENCE, || log(&daemon).contains(said).then_some(())).is_some(), "{}", log(&daemon));
    for engine in support::daemon::engines().filter(|engine| *engine != "reactor") {
        let ran =
            run(&["--engine", engine, "--only", "echo", "--port", "echo=0", "--set", "echo.latency=1ms"]);
        assert_eq!(ran.code, Some(2), "{engine}: {ran:?}");
        assert!(ran.stderr.contains("service echo: faults on the wire"), "{ran:?}");
    }
}

/// What this program's clients make of it.
#[test]
fn our_own_clients_say_what_is_wrong() {
    let daemon = Start::reactor()
        .set("http.truncate=5000")
        .set("download.reset_after=500000")
        .set("echo.chunk=1..3")
        .set("echo.latency=2ms 2ms")
        .set("modify.stall_after=4")
        .set("time.refuse=all")
        .set("daytime.truncate=10")
        .run();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("got").display().to_string();

    let at = daemon.tcp("http");
    let ran = run(&["get", &format!("http://{at}/sub/long.bin"), "-o", &file]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.error(at).contains("the body is short: "), "{ran:?}");

    let at = daemon.tcp("download");
    let ran = run(&["fetch", "sub/long.bin", &at.to_string(), "-o", &file]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("reset"), "{ran:?}");

    // Late and in pieces, but right.
    assert_eq!(
        run_at(daemon.tcp("echo"), "echo ADDRESS --count 1..20 --verify").succeed().lines().count(),
        20
    );

    let ran = run_at(daemon.tcp("modify"), "echo ADDRESS Hello --verify --timeout 500ms");
    assert_eq!(ran.code, Some(1), "{ran:?}");

    let ran = run_at(daemon.tcp("time"), "time ADDRESS");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("reset"), "{ran:?}");

    let ran = run_at(daemon.tcp("daytime"), "check ADDRESS --as daytime");
    assert_eq!(ran.code, Some(1), "{ran:?}");
}
