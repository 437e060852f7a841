//! The bound of all buffers together, through the real program.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

mod support;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use support::own::run;
use support::{Daemon, PATIENCE, Start, Stops, proc, wait_for};

/// Who writes a line without an end, so that all of it waits in memory, and stays.
const HOARDERS: usize = 1500;
/// Who asks for more than it reads. What the kernel keeps for each of them is megabytes.
const READERS: usize = 60;

fn connect(at: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None).unwrap();
    // Not only the kernels' buffers are to fill.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&at.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn log(daemon: &Daemon) -> String {
    String::from_utf8(daemon.stderr()).unwrap()
}

/// Lets everybody come who takes memory; they stay as long as what is returned.
fn flood(daemon: &Daemon) -> Vec<TcpStream> {
    let mut all: Vec<_> = (0..READERS).map(|_| connect(daemon.tcp("chargen"))).collect();
    for _ in 0..HOARDERS {
        let mut stream = connect(daemon.tcp("modify"));
        // It may be closed already.
        let _ = stream.write_all(b"x\n").and_then(|()| stream.write_all(&vec![b'x'; 60_000]));
        all.push(stream);
    }
    all
}

/// Clients that behave, until they are told to stop; counts what they have done.
fn behave(daemon: &Daemon, stop: &AtomicBool, done: &AtomicUsize) {
    let (mut echo, modify) = (TcpStream::connect(daemon.tcp("echo")).unwrap(), daemon.tcp("modify"));
    echo.set_read_timeout(Some(PATIENCE)).unwrap();
    let (message, mut back) = (vec![b'm'; 100_000], vec![0; 100_000]);
    while !stop.load(Ordering::SeqCst) {
        let mut writer = echo.try_clone().unwrap();
        let sending = message.clone();
        let sender = thread::spawn(move || writer.write_all(&sending).unwrap());
        echo.read_exact(&mut back).unwrap();
        sender.join().unwrap();
        assert_eq!(back, message);
        let mut stream = TcpStream::connect(modify).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"hi\n").unwrap();
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hi Ali\n");
        done.fetch_add(1, Ordering::SeqCst);
    }
}

/// By how many KiB memory grows in the flood.
fn growth(most: &str) -> (u64, Daemon) {
    let daemon = Start::reactor().set("modify.name=Ali").argument("--max-buffers").argument(most).run();
    let before = proc::peak(daemon.pid());
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let stops = Stops(&stop);
        let good = scope.spawn(|| behave(&daemon, &stop, &done));
        let flood = flood(&daemon);
        // They go on as before, with all of the others there.
        let by_now = done.load(Ordering::SeqCst);
        let goes_on = || (good.is_finished() || done.load(Ordering::SeqCst) >= by_now + 5).then_some(());
        assert!(wait_for(PATIENCE, goes_on).is_some(), "{}", log(&daemon));
        drop(stops);
        good.join().unwrap();
        drop(flood);
    });
    (proc::peak(daemon.pid()) - before, daemon)
}

#[test]
fn a_flood_takes_no_more_memory_than_it_may_and_hinders_nobody_else() {
    const MIB: u64 = 1024;
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let (free, _) = growth("unlimited");
    assert!(free > 64 * MIB, "it would take {free} KiB, which shows nothing");
    let (bounded, daemon) = growth("8MiB");
    // What the allocator keeps, buffers for reuse and the slots come to that.
    assert!(bounded < 8 * MIB + 24 * MIB, "{bounded} KiB, and {free} KiB without a bound");

    daemon.signal(Signal::USR1);
    let said =
        wait_for(PATIENCE, || log(&daemon).contains("state: the last who gave way: ").then(|| log(&daemon)));
    let said = said.unwrap_or_else(|| panic!("{}", log(&daemon)));
    assert!(said.contains("state: buffers: ") && said.contains(" bytes of 8388608, held by "), "{said}");
    assert!(said.contains("buffers have grown to their bound of 8388608 bytes: 127.0.0.1:"), "{said}");
    assert!(said.contains("why=gave way"), "{said}");
    for line in said.lines().filter(|line| line.contains("why=gave way")) {
        assert!(line.contains("service=modify") || line.contains("service=chargen"), "{line}");
    }
}

#[test]
fn it_is_off_on_the_loopback_and_on_where_others_can_connect() {
    let state = |start: Start| {
        let daemon = start.run();
        daemon.signal(Signal::USR1);
        wait_for(PATIENCE, || {
            log(&daemon).lines().find(|line| line.contains("state: buffers")).map(str::to_owned)
        })
    };
    let off = state(Start::reactor()).unwrap();
    assert!(off.contains("0 bytes without a bound, held by 0"), "{off}");
    let open = || Start::reactor().argument("--bind").argument("0.0.0.0");
    let on = state(open()).unwrap();
    assert!(on.contains("0 bytes of 268435456, held by 0"), "{on}");
    let set = state(open().argument("--max-buffers").argument("unlimited")).unwrap();
    assert!(set.contains("without a bound"), "{set}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let ran = run(&["--max-buffers", "1KiB"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("4.0 MiB is the least"), "{ran:?}");
    for engine in support::daemon::engines().filter(|engine| *engine != "reactor") {
        let ran = run(&["--engine", engine, "--max-buffers", "64MiB", "--only", "echo", "--port", "echo=0"]);
        assert_eq!(ran.code, Some(2), "{engine}: {ran:?}");
        assert!(ran.stderr.contains("--max-buffers: max_buffers goes with --engine reactor only"), "{ran:?}");
    }
}
