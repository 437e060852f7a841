//! put and fetch against servers that misbehave, and in front of a person.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

mod support;

use support::{PATIENCE, Start};

const SWITCHBOARD: &str = env!("CARGO_BIN_EXE_switchboard");
/// How long the clients below wait for a server.
const TIMEOUT: &str = "300ms";

/// What a server does when it has said what it says.
#[derive(Debug, Clone, Copy)]
enum Then {
    Close,
    Reset,
    KeepSilent,
    /// Says the last byte again and again.
    GoOn,
    /// Reads nothing and says nothing from the start.
    ReadNothing,
}

/// A server of one connection; it ends when its client does.
fn server(says: &'static [u8], then: Then) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 16_384];
        if !matches!(then, Then::ReadNothing) {
            read_some(&mut stream);
        }
        let _ = stream.write_all(says);
        match then {
            Then::Close => {}
            Then::Reset => drop(socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))),
            Then::KeepSilent => {
                while stream.read(&mut buffer).map_or(true, |n| n > 0) {}
                // It has half-closed, perhaps, and waits.
                std::thread::sleep(Duration::from_secs(2));
            }
            Then::GoOn => while stream.write_all(&says[says.len() - 1..].repeat(1000)).is_ok() {},
            Then::ReadNothing => wait_for_the_end(&stream),
        }
    });
    address
}

/// Reads a short request to its end.
fn read_some(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (mut buffer, mut got) = ([0; 16_384], 0);
    while got < "/put 5 short\nhello".len() {
        match stream.read(&mut buffer) {
            Ok(n @ 1..) => got += n,
            _ => break,
        }
    }
}

/// Until the client has closed, without reading what it sent.
fn wait_for_the_end(stream: &TcpStream) {
    let hung_up = rustix::event::PollFlags::RDHUP;
    let mut fds = [rustix::event::PollFd::new(stream, hung_up)];
    let _ = rustix::event::poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 }));
}

fn client(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(SWITCHBOARD);
    command.args(arguments).args(["--timeout", TIMEOUT]).current_dir(dir).stdin(Stdio::null());
    command.output().unwrap()
}

/// The client fails in time, says in one line what is wrong, and leaves nothing behind.
fn fails(arguments: &[&str], says: &'static [u8], then: Then, word: &str) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("short"), "hello").unwrap();
    fs::write(dir.path().join("long"), vec![b'x'; 20_000_000]).unwrap();
    let address = server(says, then).to_string();
    let mut all: Vec<&str> = arguments.to_vec();
    all.push(&address);
    let start = Instant::now();
    let output = client(dir.path(), &all);
    let said = String::from_utf8(output.stderr).unwrap();
    let case = format!("{arguments:?}, {:?}, {then:?}: {said}", String::from_utf8_lossy(says));
    assert_eq!(output.status.code(), Some(1), "{case}");
    assert!(said.starts_with("error: ") && said.lines().count() == 1 && said.len() < 600, "{case}");
    assert!(said.contains(word), "{case}");
    assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{case}");
    assert!(start.elapsed() < PATIENCE, "{case}");
    let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["long", "short"], "{case}");
}

#[test]
fn put_against_servers_that_misbehave() {
    let put = &["put", "short"][..];
    fails(put, b"", Then::Close, "closed without an answer");
    fails(put, b"", Then::Reset, "reset");
    fails(put, b"", Then::KeepSilent, "timed out");
    fails(put, b"stored 5 2cf2", Then::Close, "which this kind of server does not");
    fails(put, b"stored 5 2cf2", Then::Reset, "reset");
    fails(put, b"stored 5 2cf2", Then::KeepSilent, "timed out");
    fails(put, b"\xff\x00\x1b[2J\n", Then::Close, "it said \"");
    fails(put, b"x", Then::GoOn, "which this kind of server does not");
    fails(put, b"\n", Then::GoOn, "which this kind of server does not");
    fails(put, b"HTTP/1.1 400 Bad Request\r\n\r\n", Then::Close, "HTTP/1.1 400");
    fails(put, b"error: short: no\x1b[31m\n", Then::Close, "error: short: no\\u{1b}[31m\n");
    fails(put, b"stored 5 0000 short\n", Then::Close, "checksum differ");
    let other_size = b"stored 4 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 short\n";
    fails(put, other_size, Then::Close, "size or checksum");
    let long = &["put", "long"][..];
    fails(long, b"", Then::Close, "");
    fails(long, b"", Then::Reset, "reset");
    fails(long, b"", Then::ReadNothing, "timed out");
    fails(long, b"error: long: the disk is full\n", Then::KeepSilent, "error: long: the disk is full\n");
    fails(long, b"error: long: the disk is full\n", Then::Close, "error: long: the disk is full\n");
    let lab = &["put", "--lab", "short"][..];
    fails(lab, b"error: short: no\n", Then::Close, "error: short: no\n");
    fails(lab, b"", Then::KeepSilent, "timed out");
    fails(lab, b"", Then::Reset, "reset");
}

#[test]
fn fetch_against_servers_that_misbehave() {
    let fetch = &["fetch", "new"][..];
    fails(fetch, b"", Then::Close, "closed without an answer");
    fails(fetch, b"", Then::Reset, "reset");
    fails(fetch, b"", Then::KeepSilent, "timed out");
    fails(fetch, b"ok", Then::KeepSilent, "timed out");
    fails(fetch, b"ok 10\nhello", Then::Close, "closed after 5 of 10 bytes");
    fails(fetch, b"ok 10\nhello", Then::Reset, "reset");
    fails(fetch, b"ok 10\nhello", Then::KeepSilent, "timed out");
    fails(fetch, b"ok 18446744073709551615\nhello", Then::Close, "closed after 5 of 18446744073709551615");
    fails(fetch, b"ok -1\n", Then::Close, "it said \"ok -1\"");
    fails(fetch, b"ok 99999999999999999999\n", Then::Close, "it said");
    fails(fetch, b"ok 5\nhellook 5 0000\n", Then::Close, "checksum differs");
    fails(fetch, b"ok 5\nhellook 6 0000\n", Then::Close, "checksum differs");
    fails(fetch, b"ok 5\nhello", Then::Close, "closed without an answer");
    fails(fetch, b"ok 5\nhelloerror: new: no such file\n", Then::Close, "error: new: no such file\n");
    fails(fetch, b"\x1b]0;title\x07\n", Then::Close, "it said \"\\u{1b}]0;title\\u{7}\"");
    fails(fetch, b"x", Then::GoOn, "which this kind of server does not");
    fails(fetch, b"HTTP/1.1 400 Bad Request\r\n\r\n", Then::Close, "HTTP/1.1 400");
    let lab = &["fetch", "--lab", "new"][..];
    fails(lab, b"hello", Then::KeepSilent, "timed out");
    fails(lab, b"hello", Then::Reset, "reset");
    fails(lab, b"error: new: no such file\n", Then::Close, "error: new: no such file\n");
}

#[test]
fn nobody_at_home() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "x").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (arguments, word) in [
        (["put", "a", &free], "refused"),
        (["fetch", "b", &free], "refused"),
        (["put", "a", "no.such.host.invalid"], "name not found"),
    ] {
        let output = client(dir.path(), &arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(word), "{arguments:?}: {said}");
    }
}

/// The lab's own server need not answer: what it got is all that counts.
#[test]
fn a_server_of_a_lab_gets_the_name_and_the_content() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut got = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut got).unwrap();
        got
    });
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.txt"), "con\ntent").unwrap();
    let output = client(dir.path(), &["put", "--lab", "a.txt", &address]);
    assert_eq!((output.status.code(), server.join().unwrap()), (Some(0), b"a.txt\ncon\ntent".to_vec()));
    assert!(String::from_utf8(output.stdout).unwrap().contains("whether they arrived, nobody said"));
}

/// A terminal of 80 columns: the side of the screen, and the side of the program.
fn terminal() -> (OwnedFd, OwnedFd) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let program = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let size = rustix::termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&program, size).unwrap();
    (screen, program)
}

/// Runs a client on a terminal; all that it has drawn there.
fn on_a_terminal(dir: &Path, arguments: &[&str]) -> String {
    let (screen, program) = terminal();
    let mut command = Command::new(SWITCHBOARD);
    command.args(arguments).current_dir(dir).env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(program).spawn().unwrap();
    // The last one who has the program's side is the child.
    drop(command);
    let (mut screen, mut drawn) = (fs::File::from(screen), Vec::new());
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = screen.read(&mut buffer) {
        drawn.extend_from_slice(&buffer[..n]);
    }
    assert!(child.wait().unwrap().success());
    String::from_utf8(drawn).unwrap()
}

#[test]
fn a_person_sees_a_bar_that_goes_away() {
    let daemon = Start::reactor().run();
    let dir = tempfile::tempdir().unwrap();
    fs::File::create(dir.path().join("large.bin")).unwrap().set_len(100_000_000).unwrap();
    let put = on_a_terminal(dir.path(), &["put", "large.bin", &daemon.tcp("upload").to_string()]);
    fs::rename(daemon.path("uploads/large.bin"), daemon.path("root/large.bin")).unwrap();
    fs::remove_file(dir.path().join("large.bin")).unwrap();
    let fetch = on_a_terminal(dir.path(), &["fetch", "large.bin", &daemon.tcp("download").to_string()]);
    for drawn in [put, fetch] {
        assert!(drawn.contains("large.bin [") && drawn.contains("/95.37 MiB"), "{drawn:?}");
        let steps: Vec<u32> = drawn.split('%').filter_map(|it| it.rsplit(' ').next()?.parse().ok()).collect();
        assert!(steps.len() > 1 && steps.is_sorted(), "{steps:?}");
        // Each picture fits into a line, and the last thing that happens is that the line is cleared.
        assert!(
            drawn.split('\r').all(|line| line.chars().filter(|c| !c.is_control()).count() < 100),
            "{drawn:?}"
        );
        assert!(drawn.trim_end().ends_with("\u{1b}[2K") || drawn.ends_with("\u{1b}[K"), "{drawn:?}");
    }
}
