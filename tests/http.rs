//! The file server as its clients see it, through real sockets and with every engine.

// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod support;

use support::daemon::concurrent_engines;

/// A running daemon; it is killed with this.
struct Daemon {
    child: Child,
    dir: TempDir,
    address: String,
}

impl Daemon {
    fn start(engine: &str, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (root, ports) = (dir.path().join("root"), dir.path().join("ports"));
        fs::create_dir(&root).unwrap();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("switchboard"));
        for name in support::own_settings() {
            command.env_remove(name);
        }
        command.args(["--only", "http", "--port", "http=0", "--bind", "127.0.0.1", "-q", "--engine", engine]);
        command.arg("--root").arg(&root).arg("--ports-file").arg(&ports).args(flags).current_dir(dir.path());
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let text = wait_for(&ports);
        let address = text.split_whitespace().nth(2).unwrap().to_owned();
        Self { child, dir, address }
    }

    fn put(&self, path: &str, content: &[u8]) {
        fs::write(self.dir.path().join("root").join(path), content).unwrap();
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// All that a connection gets which sends this and reads to the end.
    fn ask(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        reply
    }

    fn get(&self, path: &str, fields: &str) -> Vec<u8> {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n").as_bytes())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(path: &Path) -> String {
    let start = Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ if start.elapsed() > Duration::from_secs(20) => panic!("{} does not come", path.display()),
            _ => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn body(reply: &[u8]) -> &[u8] {
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    &reply[end + 4..]
}

#[test]
fn a_big_file_comes_whole_and_in_parts() {
    for engine in concurrent_engines() {
        let daemon = Daemon::start(engine, &[]);
        let content: Vec<u8> = (0..10 * 1024 * 1024_u32).map(|i| (i % 251) as u8).collect();
        daemon.put("big.bin", &content);
        assert!(body(&daemon.get("/big.bin", "")) == content, "{engine}");
        let part = daemon.get("/big.bin", "Range: bytes=5000000-9999999\r\n");
        assert!(body(&part) == &content[5_000_000..10_000_000], "{engine}");
        let parts = daemon.get("/big.bin", "Range: bytes=1000000-1000009,9000000-9000009\r\n");
        let has = |bytes: &[u8]| parts.windows(10).any(|window| window == bytes);
        assert!(has(&content[1_000_000..1_000_010]) && has(&content[9_000_000..9_000_010]), "{engine}");
    }
}

#[test]
fn the_end_of_a_file_of_5_gib_is_reached() {
    for engine in concurrent_engines() {
        let daemon = Daemon::start(engine, &[]);
        let mut file = File::create(daemon.dir.path().join("root/huge.bin")).unwrap();
        file.seek(SeekFrom::Start(5 * 1024 * 1024 * 1024)).unwrap();
        file.write_all(b"tail").unwrap();
        let reply = daemon.get("/huge.bin", "Range: bytes=-100004\r\n");
        assert!(body(&reply).len() == 100_004 && reply.ends_with(b"\0tail"), "{engine}");
    }
}

/// A file that becomes shorter ends the connection; one that grows is sent as it was promised.
#[test]
fn a_file_that_changes_while_it_is_sent_is_no_lie() {
    const SIZE: usize = 64 * 1024 * 1024;
    for engine in concurrent_engines() {
        for (new_size, is_whole) in [(SIZE as u64 / 2, false), (SIZE as u64 * 2, true)] {
            let daemon = Daemon::start(engine, &[]);
            daemon.put("big.bin", &vec![b'x'; SIZE]);
            let mut stream = daemon.connect();
            stream.write_all(b"GET /big.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
            let mut reply = vec![0; 100_000];
            stream.read_exact(&mut reply).unwrap();
            let path = daemon.dir.path().join("root/big.bin");
            File::options().write(true).open(path).unwrap().set_len(new_size).unwrap();
            let end = stream.read_to_end(&mut reply);
            let ended = end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
            assert!(ended, "{engine}: the connection ends");
            assert!(reply.starts_with(b"HTTP/1.1 200 "), "{engine}");
            assert_eq!(body(&reply).len() == SIZE, is_whole, "{engine}: {}", reply.len());
        }
    }
}

#[test]
fn a_slow_reader_delays_nobody() {
    for engine in concurrent_engines() {
        let daemon = Daemon::start(engine, &[]);
        daemon.put("big.bin", &vec![b'x'; 32 * 1024 * 1024]);
        daemon.put("small.txt", b"quick");
        let mut slow: Vec<TcpStream> = (0..30).map(|_| daemon.connect()).collect();
        for stream in &mut slow {
            stream.write_all(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        }
        // And clients that send a byte now and then.
        let drips: Vec<TcpStream> = (0..300)
            .map(|_| {
                let mut stream = daemon.connect();
                stream.write_all(b"GET / HT").unwrap();
                stream
            })
            .collect();
        let start = Instant::now();
        for _ in 0..20 {
            assert!(daemon.get("/small.txt", "").ends_with(b"quick"));
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{engine}: {:?}", start.elapsed());
        drop(drips);
    }
}

#[test]
fn deadlines_are_options() {
    for engine in concurrent_engines() {
        let daemon = Daemon::start(
            engine,
            &[
                "--set",
                "http.first_byte_timeout=150ms",
                "--set",
                "http.header_timeout=300ms",
                "--set",
                "http.body_timeout=300ms",
                "--set",
                "http.keep_alive=150ms",
            ],
        );
        assert_eq!(daemon.ask(b""), b"", "{engine}");
        let reply = daemon.ask(b"GET / HTTP/1.1\r\nHost: h\r\n");
        assert!(
            String::from_utf8(reply).unwrap().contains("408 Request Timeout: the blank line"),
            "{engine}"
        );
        let reply = daemon.ask(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
        let text = String::from_utf8(reply).unwrap();
        assert!(
            text.contains("408 Request Timeout: the body of the request has not come"),
            "{engine}: {text}"
        );
        let reply = daemon.ask(b"GET /none HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(reply.starts_with(b"HTTP/1.1 404 "), "{engine}");
    }
}

/// Refusals reach a client that is still sending.
#[test]
fn what_is_too_long_is_told_so() {
    for engine in concurrent_engines() {
        let daemon = Daemon::start(engine, &[]);
        let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(100_000));
        assert!(daemon.ask(long.as_bytes()).starts_with(b"HTTP/1.1 414 "), "{engine}");
        let fields = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(10_000));
        assert!(daemon.ask(fields.as_bytes()).starts_with(b"HTTP/1.1 431 "), "{engine}");
    }
}

#[test]
fn flags_and_variables_set_the_options() {
    for engine in concurrent_engines() {
        let flags = [
            "--index",
            "home.html",
            "--no-listing",
            "--hidden",
            "--cors",
            "--cache-control",
            "max-age=5",
            "--access-log",
            "log",
        ];
        let daemon = Daemon::start(engine, &flags);
        daemon.put(".hidden", b"seen");
        let reply = String::from_utf8(daemon.get("/.hidden", "")).unwrap();
        assert!(reply.ends_with("seen") && reply.contains("Cache-Control: max-age=5\r\n"), "{reply}");
        assert!(reply.contains("Access-Control-Allow-Origin: *\r\n"), "{reply}");
        assert!(daemon.get("/", "").starts_with(b"HTTP/1.1 403 "));
        daemon.put("home.html", b"home");
        assert!(daemon.get("/", "").ends_with(b"home"));
        // A line is written after the reply, when the turn ends.
        let start = Instant::now();
        let mut log = String::new();
        while log.lines().count() < 3 && start.elapsed() < Duration::from_secs(10) {
            log = fs::read_to_string(daemon.dir.path().join("log")).unwrap();
        }
        let statuses: Vec<&str> = log.lines().map(|line| line.split(' ').nth(8).unwrap()).collect();
        assert_eq!(statuses, ["200", "403", "200"], "{engine}: {log}");
    }
}

#[test]
fn curl_is_content() {
    if support::program::find("curl").is_none() {
        return support::left_out("  curl at the file server (not installed: curl)");
    }
    for engine in concurrent_engines() {
        let daemon = Daemon::start(engine, &[]);
        let content: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 241) as u8).collect();
        daemon.put("file.bin", &content);
        let curl = |arguments: &[&str]| {
            let url = format!("http://{}/file.bin", daemon.address);
            let output =
                Command::new("curl").args(["-sS", "--fail"]).args(arguments).arg(url).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        assert!(curl(&[]) == content);
        assert!(curl(&["--http1.0"]) == content);
        assert!(curl(&["-r", "10-19"]) == content[10..20]);
        assert!(curl(&["-r", "-7"]) == content[content.len() - 7..]);
        assert!(curl(&["-C", "999990"]) == content[999_990..]);
        assert!(curl(&["-z", "Thu, 01 Jan 2037 00:00:00 GMT"]).is_empty(), "not modified");
        assert!(curl(&["-d", "a body", "-X", "GET"]) == content);
        assert!(curl(&["-H", "Expect: 100-continue", "-d", "a body", "-X", "GET"]) == content);
    }
}

/// How many segments a client has received, by its kernel, when a reply has come: with an end, and without.
const SEGMENTS: &str = r#"
import socket, struct, sys
host, port = sys.argv[1].rsplit(":", 1)
for connection in ("close", "keep-alive"):
    client = socket.create_connection((host, int(port)))
    client.sendall(f"GET /a HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\n\r\n".encode())
    got = b""
    while not got.endswith(b"the file") or connection == "close":
        piece = client.recv(4096)
        got += piece
        if not piece:
            break
    assert got.endswith(b"\r\n\r\nthe file"), got
    # tcpi_segs_in of struct tcp_info
    print(struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 200), 140)[0])
"#;

#[test]
fn a_reply_and_the_end_behind_it_are_one_packet() {
    if !support::have(&["python3"], "the packets of a reply") {
        return;
    }
    for engine in support::daemon::engines() {
        let daemon = Daemon::start(engine, &[]);
        daemon.put("a", b"the file");
        let output = Command::new("python3").args(["-c", SEGMENTS, &daemon.address]).output().unwrap();
        assert!(output.status.success(), "{engine}: {}", String::from_utf8_lossy(&output.stderr));
        let segments = String::from_utf8(output.stdout).unwrap();
        let segments: Vec<u32> = segments.lines().map(|line| line.parse().unwrap()).collect();
        assert!(segments[0] > 1 && segments[0] == segments[1], "{engine}: {segments:?}");
    }
}
