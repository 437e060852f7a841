//! Each client against servers that do wrong: half a reply, a reset, silence, garbage, a line without end.
//! A client must end in time, say in one line what is wrong and what to check, and exit with 1; whatever
//! comes, its memory stays small.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod support;

use support::own::{run, run_at};
use support::proc;

/// What a server does with each connection.
type Manners = fn(&mut TcpStream);

/// A server that does so until the test ends.
fn server(manners: Manners) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || manners(&mut stream.unwrap()));
        }
    });
    address
}

fn read_some(stream: &mut TcpStream) {
    assert!(stream.read(&mut [0; 1024]).is_ok());
}

/// Waits for the client to leave, so that nothing else ends the connection.
fn stay(stream: &mut TcpStream) {
    let _ = std::io::copy(stream, &mut std::io::sink());
}

fn silence(stream: &mut TcpStream) {
    stay(stream);
}

fn close(stream: &mut TcpStream) {
    read_some(stream);
}

fn reset(stream: &mut TcpStream) {
    read_some(stream);
    socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).unwrap();
}

fn half_a_time(stream: &mut TcpStream) {
    stream.write_all(b"Sat Nov 21").unwrap();
    stay(stream);
}

fn half_a_time_and_close(stream: &mut TcpStream) {
    stream.write_all(b"Sa").unwrap();
    read_some(stream);
}

fn garbage(stream: &mut TcpStream) {
    stream.write_all(b"\x00\xff\x1b[2J garbage").unwrap();
    stay(stream);
}

fn half_a_reply(stream: &mut TcpStream) {
    read_some(stream);
    stream.write_all(b"He").unwrap();
}

fn garbage_for_a_message(stream: &mut TcpStream) {
    read_some(stream);
    garbage(stream);
}

fn endless_line(stream: &mut TcpStream) {
    // Bounded all the same: a client that reads on for ever would be found by this.
    for _ in 0..64 * 1024 {
        if stream.write_all(&[b'x'; 16 * 1024]).is_err() {
            return;
        }
    }
}

fn endless_head(stream: &mut TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
    endless_line(stream);
}

fn endless_chunk_line(stream: &mut TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    endless_line(stream);
}

fn http(stream: &mut TcpStream, reply: &[u8]) {
    read_some(stream);
    stream.write_all(reply).unwrap();
    // The client asks for nothing more, so this is no reset.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stay(stream);
}

fn short_body(stream: &mut TcpStream) {
    http(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
}

fn short_chunks(stream: &mut TcpStream) {
    http(stream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
}

fn false_chunk(stream: &mut TcpStream) {
    http(stream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n");
}

fn half_a_head(stream: &mut TcpStream) {
    http(stream, b"HTTP/1.1 200 OK\r\nContent-Le");
}

fn two_lengths(stream: &mut TcpStream) {
    http(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
}

fn other_coding(stream: &mut TcpStream) {
    http(stream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\nhello");
}

fn elsewhere(stream: &mut TcpStream) {
    http(stream, b"HTTP/1.1 302 Found\r\nLocation: http://h/\x1b[2J\r\nContent-Length: 0\r\n\r\n");
}

/// The server, the client's words, and the last line it says.
const CASES: &[(Manners, &str, &str)] = &[
    (
        silence,
        "echo ADDRESS Hello -w 200ms",
        "error: 127.0.0.1:PORT: timed out: nothing came of the reply to message 1 (\"Hello\") in 200ms; does the \
         server wait for a line end? (--line-end lf)",
    ),
    (
        close,
        "echo ADDRESS Hello",
        "error: 127.0.0.1:PORT: closed: nothing came of the reply to message 1 (\"Hello\"); did the server crash, \
         or is one message all it takes?",
    ),
    (
        reset,
        "echo ADDRESS Hello",
        "error: 127.0.0.1:PORT: reset: the server closed before everything was said; did it crash, or refuse this \
         client?",
    ),
    (
        half_a_reply,
        "echo ADDRESS Hello --verify",
        "error: 127.0.0.1:PORT: closed: only 2 bytes (\"He\") came of the reply to message 1 (\"Hello\"); did the \
         server crash, or is one message all it takes?",
    ),
    (
        garbage_for_a_message,
        "echo ADDRESS Hello --verify",
        "error: reply 1 differs at byte 1: sent \"Hello\" (5 bytes), came \"\\u{0}\\xff\\u{1b}[2J garbage\" (14 bytes)",
    ),
    (
        endless_line,
        "echo ADDRESS Hello --pause 5s",
        "error: 127.0.0.1:PORT: more than 1048576 bytes came for one message; is that the right port?",
    ),
    (
        silence,
        "time ADDRESS -w 200ms",
        "error: 127.0.0.1:PORT: timed out: no answer; is the host up, and does a firewall drop it? (--timeout waits \
         longer)",
    ),
    (
        close,
        "time ADDRESS",
        "error: 127.0.0.1:PORT: closed: the server ended the connection too early; is this the right port?",
    ),
    (
        reset,
        "time ADDRESS",
        "error: 127.0.0.1:PORT: reset: the server closed before everything was said; did it crash, or refuse this \
         client?",
    ),
    (
        half_a_time,
        "time ADDRESS -w 200ms",
        "error: 127.0.0.1:PORT: only \"Sat Nov 21\" came; timed out: no answer; is the host up, and does a firewall \
         drop it? (--timeout waits longer)",
    ),
    (
        half_a_time_and_close,
        "time ADDRESS --protocol time -w 200ms",
        "error: 127.0.0.1:PORT: only \"Sa\" came; timed out: no answer; is the host up, and does a firewall drop it? \
         (--timeout waits longer)",
    ),
    (
        endless_line,
        "time ADDRESS --protocol daytime",
        "error: 127.0.0.1:PORT: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is no time as \
         strftime %c tells it (\"Sat Nov 21 01:07:09 2026\"); does it speak daytime?",
    ),
    (
        silence,
        "get ADDRESS/ -w 200ms",
        "error: 127.0.0.1:PORT: timed out: no answer; is the host up, and does a firewall drop it? (--timeout waits \
         longer)",
    ),
    (
        close,
        "get ADDRESS/",
        "error: 127.0.0.1:PORT: closed: the server ended the connection too early; is this the right port?",
    ),
    (
        reset,
        "get ADDRESS/",
        "error: 127.0.0.1:PORT: reset: the server closed before everything was said; did it crash, or refuse this \
         client?",
    ),
    (
        garbage,
        "get ADDRESS/",
        "error: 127.0.0.1:PORT: \"\\u{0}\\xff\\u{1b}[2J garbage\" is no HTTP; is a web server at this port?",
    ),
    (endless_head, "get ADDRESS/", "error: 127.0.0.1:PORT: the head of the reply is longer than 32768 bytes"),
    (
        endless_chunk_line,
        "get ADDRESS/",
        "error: 127.0.0.1:PORT: a line between two chunks does not end; the server does not speak HTTP well",
    ),
    (
        short_body,
        "get ADDRESS/",
        "error: 127.0.0.1:PORT: the body is short: 5 of 10 bytes came, then the server closed",
    ),
    (
        short_chunks,
        "get ADDRESS/",
        "error: 127.0.0.1:PORT: the body is short: 5 bytes and no last chunk came, then the server closed",
    ),
    (
        false_chunk,
        "get ADDRESS/",
        "error: 127.0.0.1:PORT: \"zz\" is no length of a chunk; the server does not speak HTTP well",
    ),
    (
        half_a_head,
        "get ADDRESS/",
        "error: 127.0.0.1:PORT: the reply ends in the middle of its head: \"HTTP/1.1 200 OK\\r\\nContent-Le\"",
    ),
    (two_lengths, "get ADDRESS/", "error: 127.0.0.1:PORT: its Content-Length is no length: \"5, 6\""),
    (other_coding, "get ADDRESS/", "error: 127.0.0.1:PORT: the transfer coding \"br\" is unknown here"),
    (
        reset,
        "send ADDRESS Hello",
        "error: 127.0.0.1:PORT: reset: the server closed before everything was said; did it crash, or refuse this \
         client?",
    ),
];

#[test]
fn every_wrong_is_told_in_a_line() {
    let mut wrong = Vec::new();
    for (manners, words, expected) in CASES {
        let address = server(*manners);
        let ran = run_at(address, words);
        let said = ran.error(address);
        if ran.code != Some(1) || said != *expected {
            wrong.push(format!("{words}: {:?}\n  said     {said}\n  expected {expected}", ran.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_place_that_is_elsewhere_is_told_without_its_control_characters() {
    let address = server(elsewhere);
    let ran = run_at(address, "get ADDRESS/");
    assert!(ran.code == Some(1) && !ran.stderr.contains('\x1b'), "{ran:?}");
}

#[test]
fn a_receiver_that_says_nothing_does_not_hold_up_who_sends() {
    let ran = run_at(server(silence), "send ADDRESS Hello --wait 100ms");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn nobody_there() {
    let address = {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let refused =
        "error: 127.0.0.1:PORT: refused: nothing listens there; is the server running, on this port?";
    for words in [
        "echo ADDRESS a",
        "time ADDRESS",
        "get ADDRESS/",
        "send ADDRESS a",
        "time -u ADDRESS",
        "send -u ADDRESS a",
    ] {
        let ran = run_at(address, words);
        assert_eq!((ran.code, ran.error(address).as_str()), (Some(1), refused), "{words}");
    }
    for words in
        ["echo no-such-host.invalid a", "get http://no-such-host.invalid/", "lookup no-such-host.invalid"]
    {
        let ran = run(&words.split(' ').chain(["-w", "30s"]).collect::<Vec<_>>());
        let named = "error: no-such-host.invalid: name not found (";
        let asks =
            "; is it spelt right, and is there a network? An address such as 192.168.1.5 works without\n";
        assert!(ran.code == Some(1) && ran.stderr.contains(named) && ran.stderr.ends_with(asks), "{ran:?}");
    }
    let ran = run(&["echo", "-6", "127.0.0.1", "a"]);
    assert_eq!(ran.stderr, "error: 127.0.0.1: it has no IPv6 address; try it without -6\n");
}

#[test]
fn datagrams_that_are_wrong() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        // One answer, then silence.
        let (_, client) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(b"no time", client).unwrap();
        std::thread::park();
    });
    let ran = run_at(address, "time -u ADDRESS");
    assert!(ran.code == Some(1) && ran.stderr.contains("\"no time\" is no time as strftime %c"), "{ran:?}");
    let ran = run_at(address, "time -u ADDRESS -w 100ms");
    assert!(ran.code == Some(1) && ran.stderr.contains("timed out"), "{ran:?}");
}

#[test]
fn whatever_comes_memory_stays_small() {
    fn endless_body(stream: &mut TcpStream) {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        endless_line(stream);
    }
    let address = server(endless_body);
    let url = format!("http://{address}/");
    let mut client = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["get", &url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = client.stdout.take().unwrap();
    let mut buffer = vec![0; 1024 * 1024];
    for _ in 0..200 {
        stdout.read_exact(&mut buffer).unwrap();
    }
    let peak = proc::peak(client.id());
    assert!(peak < 40 * 1024, "{peak} KiB after 200 MiB");
    // Who has read enough leaves; the client then ends without a word.
    drop(stdout);
    assert_eq!(client.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_leaves_ends_a_client_quietly_and_a_full_disk_does_not() {
    if !support::have(&["sh"], "a reader that leaves, and a full disk") {
        return;
    }
    let address = server(|stream| {
        let _ = std::io::copy(&mut stream.try_clone().unwrap(), stream);
    });
    let shell = |script: &str| {
        let binary = env!("CARGO_BIN_EXE_switchboard");
        let output = Command::new("sh").args(["-c", script, binary, &address.to_string()]).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let started = Instant::now();
    let quiet = shell("{ \"$0\" echo $1 --count 1..100000000 --verify; echo $? >&2; } | head -n 1");
    assert_eq!(quiet, (Some(0), "1\n".to_owned(), "0\n".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(30));
    let (code, _, said) = shell("\"$0\" lookup 127.0.0.1 > /dev/full");
    assert!(code == Some(1) && said.starts_with("error: standard output: No space left"), "{said}");
}

fn an_hour_ahead(stream: &mut TcpStream) {
    read_some(stream);
    let hour_ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let text = hour_ahead.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y").to_string();
    stream.write_all(text.as_bytes()).unwrap();
}

/// Sets no clock: it runs without the capability to, or not at all.
#[test]
fn the_clock_is_not_set_by_whoever_may_not() {
    if !support::have(&["setpriv", "python3"], "a clock that may not be set") {
        return;
    }
    let address = server(an_hour_ahead);
    // CAP_SYS_TIME is number 25; who still has it must not come as far as the client.
    let guard = "caps=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status); \
                 [ $((0x$caps >> 25 & 1)) = 0 ] || exit 77; exec \"$0\" time $1 --set --utc --samples 1";
    let binary = env!("CARGO_BIN_EXE_switchboard");
    let output = Command::new("setpriv")
        .args([
            "--bounding-set=-sys_time",
            "--inh-caps=-sys_time",
            "sh",
            "-c",
            guard,
            binary,
            &address.to_string(),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    if output.status.code() == Some(77) || said.starts_with("setpriv:") {
        return support::not_allowed("setting the clock without the right to", "the right cannot be dropped");
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: the clock is not set: that needs the capability CAP_SYS_TIME"),
        "{said}"
    );
}
