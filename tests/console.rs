//! The console of the real program, on every engine: what its pages say, and whom it lets in.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use tungstenite::{Error, Message};

mod support;

use support::{Daemon, PATIENCE, Start};

const ENGINES: [&str; 3] = ["reactor", "threads", "processes"];

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request that closes, and gives the head and the body of the answer.
fn ask(daemon: &Daemon, request: &str) -> (String, String) {
    let mut stream = connect(daemon.tcp("console"));
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}

fn get(daemon: &Daemon, path: &str, host: &str, fields: &str) -> (String, String) {
    ask(daemon, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n"))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn the_front_page_names_what_runs_as_the_browser_reaches_it() {
    for engine in ENGINES {
        let daemon = Start::engine(engine).argument("--without").argument("discard").run();
        let (port, echo) = (daemon.tcp("console").port(), daemon.tcp("echo").port());
        let (head, body) = get(&daemon, "/", &format!("localhost:{port}"), "");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(body.contains(&format!("nc localhost {echo}")), "{body}");
        assert!(body.contains("RFC 862"), "{body}");
        assert!(
            body.contains(&format!("href=\"http://localhost:{}/\"", daemon.tcp("http").port())),
            "{body}"
        );
        assert!(!body.contains("discard"), "{body}");
        let (_, body) = get(&daemon, "/", &format!("127.0.0.1:{port}"), "");
        assert!(body.contains(&format!("nc 127.0.0.1 {echo}")), "{body}");
    }
}

#[test]
fn pages_are_kept_from_doing_harm() {
    let daemon = Start::reactor().run();
    for path in ["/", "/chat", "/chat.js", "/chat.css", "/front.css", "/icon.svg", "/no-such-page"] {
        let (head, body) = get(&daemon, path, "localhost", "");
        let policy = field(&head, "Content-Security-Policy").unwrap_or_else(|| panic!("{path}: {head}"));
        assert!(
            policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(field(&head, "X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(field(&head, "Referrer-Policy"), Some("no-referrer"));
        // What the policy forbids is not there: nothing inline, nothing from elsewhere.
        for forbidden in ["<style", " style=", "<script>", " onclick=", "src=\"http", "@import", "url("] {
            assert!(!body.contains(forbidden), "{path} has {forbidden}");
        }
        assert_eq!(field(&head, "Content-Length"), Some(body.len().to_string().as_str()), "{path}");
    }
}

#[test]
fn who_has_a_page_gets_it_once() {
    let daemon = Start::reactor().run();
    for path in ["/", "/chat", "/chat.js"] {
        let (head, _) = get(&daemon, path, "localhost", "");
        let etag = field(&head, "ETag").unwrap().to_owned();
        let (head, body) = get(&daemon, path, "localhost", &format!("If-None-Match: {etag}\r\n"));
        assert!(head.starts_with("HTTP/1.1 304 ") && body.is_empty(), "{head}");
        let (head, body) =
            ask(&daemon, &format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{head}");
        assert_eq!(field(&head, "ETag"), Some(etag.as_str()));
    }
    let (head, _) = ask(&daemon, "POST /chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 405 ") && field(&head, "Allow").is_some(), "{head}");
    let (head, _) = ask(&daemon, "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi");
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
}

#[test]
fn only_names_of_this_machine_are_answered() {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let short = name.split('.').next().unwrap().to_owned();
    let daemon = Start::reactor().argument("--host=lab.example.org").argument("--host=second.example").run();
    for (host, status) in [
        ("localhost", "200"),
        ("127.0.0.1:1", "200"),
        ("[::1]", "200"),
        ("10.1.2.3", "200"),
        (&name, "200"),
        (&format!("{short}.local:80"), "200"),
        ("LAB.example.org:8000", "200"),
        ("second.example", "200"),
        ("evil.example", "421"),
        ("lab.example.org.evil.example", "421"),
    ] {
        let (head, body) = get(&daemon, "/", host, "");
        assert_eq!(head.split(' ').nth(1), Some(status), "{host}: {head}");
        assert!(status == "200" || body.contains(&format!("--host {host}")), "{body}");
    }
}

const GOOD: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn each_bad_handshake_is_refused_for_its_reason() {
    let without = |name: &str| {
        let lines = GOOD.split_inclusive('\n').filter(|line| !line.starts_with(name));
        lines.collect::<String>()
    };
    let host = "Host: localhost\r\n";
    let cases = [
        (format!("GET {{}} HTTP/1.1\r\n{host}{GOOD}\r\n"), "101"),
        (format!("GET {{}}?x=1 HTTP/1.1\r\n{host}Origin: http://localhost\r\n{GOOD}\r\n"), "101"),
        (format!("GET {{}} HTTP/1.1\r\n{host}{}\r\n", without("Upgrade")), "426"),
        (format!("GET {{}} HTTP/1.1\r\n{host}{}\r\n", without("Connection")), "400"),
        (format!("GET {{}} HTTP/1.1\r\n{host}{}\r\n", without("Sec-WebSocket-Key")), "400"),
        (format!("GET {{}} HTTP/1.1\r\n{host}{}\r\n", without("Sec-WebSocket-Version")), "400"),
        (format!("GET {{}} HTTP/1.1\r\n{host}{}\r\n", GOOD.replace("13", "8")), "426"),
        (format!("GET {{}} HTTP/1.1\r\n{host}{}\r\n", GOOD.replace("dGhl", "")), "400"),
        (format!("GET {{}} HTTP/1.0\r\n{host}{GOOD}\r\n"), "400"),
        (format!("POST {{}} HTTP/1.1\r\n{host}{GOOD}\r\n"), "405"),
        (format!("GET {{}} HTTP/1.1\r\n{host}Content-Length: 1\r\n{GOOD}\r\nx"), "413"),
        (format!("GET {{}} HTTP/1.1\r\nHost: evil.example\r\n{GOOD}\r\n"), "421"),
        (format!("GET {{}} HTTP/1.1\r\n{GOOD}\r\n"), "400"),
        (format!("GET {{}} HTTP/1.1\r\n{host}Origin: http://evil.example\r\n{GOOD}\r\n"), "403"),
        (format!("GET {{}} HTTP/1.1\r\n{host}Origin: null\r\n{GOOD}\r\n"), "403"),
        (format!("GET {{}} HTTP/1.1\r\n{host}Origin: http://localhost:81\r\n{GOOD}\r\n"), "403"),
    ];
    for engine in ENGINES {
        let daemon = Start::engine(engine).run();
        for path in ["/ws/echo", "/ws/chat"] {
            for (request, status) in &cases {
                let request = request.replace("{}", path);
                let mut stream = connect(daemon.tcp("console"));
                stream.write_all(request.as_bytes()).unwrap();
                let mut answer = vec![0; 4096];
                let n = stream.read(&mut answer).unwrap();
                let head = String::from_utf8_lossy(&answer[..n]).into_owned();
                assert_eq!(head.split(' ').nth(1), Some(*status), "{engine}: {request}\n{head}");
                let names_version = field(&head, "Sec-WebSocket-Version") == Some("13");
                assert_eq!(names_version, *status == "426", "{head}");
            }
        }
    }
}

fn websocket(daemon: &Daemon, path: &str) -> tungstenite::WebSocket<TcpStream> {
    let stream = connect(daemon.tcp("console"));
    let url = format!("ws://{}{path}", daemon.tcp("console"));
    tungstenite::client(url, stream).unwrap().0
}

#[test]
fn large_messages_come_back_and_larger_ones_do_not() {
    for engine in ENGINES {
        let daemon = Start::engine(engine).run();
        let mut client = websocket(&daemon, "/ws/echo");
        for length in [0, 1, 125, 126, 65_535, 65_536, 1024 * 1024] {
            let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
            client.send(Message::text(text.clone())).unwrap();
            assert_eq!(client.read().unwrap(), Message::text(text), "{engine}, {length}");
        }
        let too_long = Message::binary(vec![0; 1024 * 1024 + 1]);
        // It may have been told so before it had sent all of it.
        let _ = client.send(too_long);
        match client.read() {
            Ok(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 1009),
            other => panic!("{engine}: {other:?}"),
        }
    }
}

#[test]
fn a_stop_says_going_away() {
    for engine in ENGINES {
        let mut daemon = Start::engine(engine).run();
        let mut client = websocket(&daemon, "/ws/echo");
        client.send(Message::text("before")).unwrap();
        assert_eq!(client.read().unwrap(), Message::text("before"));
        daemon.signal(Signal::TERM);
        match client.read() {
            Ok(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 1001, "{engine}"),
            other => panic!("{engine}: {other:?}"),
        }
        assert!(matches!(client.read(), Err(Error::ConnectionClosed)), "{engine}");
        assert!(daemon.wait(PATIENCE).success());
    }
}

#[test]
fn the_silent_are_asked_and_those_who_do_not_answer_are_closed() {
    for engine in ENGINES {
        let daemon =
            Start::engine(engine).set("console.ping_every=100ms").set("console.ping_patience=100ms").run();
        let mut answering = websocket(&daemon, "/ws/echo");
        for _ in 0..3 {
            // tungstenite answers when it is called again.
            assert_eq!(answering.read().unwrap(), Message::Ping(Vec::new().into()), "{engine}");
        }
        let mut silent = websocket(&daemon, "/ws/echo").get_ref().try_clone().unwrap();
        silent.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut rest = Vec::new();
        let ended = silent.read_to_end(&mut rest);
        assert!(ended.is_ok(), "{engine}: {ended:?}");
        assert!(rest.starts_with(&[0x89, 0]), "{engine}: {rest:?}");
    }
}
