//! Limits and access of services, through the real program and over every engine.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

mod support;

use support::daemon::engines;
use support::{Daemon, PATIENCE, Start, wait_for};

fn connect(daemon: &Daemon, service: &str) -> TcpStream {
    let stream = TcpStream::connect(daemon.tcp(service)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything up to the end.
fn rest(mut stream: &TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap_or_else(|error| panic!("{error} after {text:?}"));
    String::from_utf8(text).unwrap()
}

fn log(daemon: &Daemon) -> String {
    String::from_utf8(daemon.stderr()).unwrap()
}

/// Asks `modify` something; what it answers, or why it does not.
fn asked(daemon: &Daemon) -> String {
    let mut stream = connect(daemon, "modify");
    let _ = stream.write_all(b"hi\n");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    rest(&stream)
}

#[test]
fn instances_are_refused_with_a_reason_until_one_leaves() {
    for engine in engines() {
        let daemon = Start::engine(engine).set("modify.instances=2").run();
        let mut inside: Vec<_> = (0..2).map(|_| connect(&daemon, "modify")).collect();
        for stream in &mut inside {
            stream.write_all(b"hi\n").unwrap();
            stream.read_exact(&mut [0; 3]).unwrap();
        }
        let refused = asked(&daemon);
        assert_eq!(
            refused, "error: this service has as many clients as it takes; try again later\r\n",
            "{engine}"
        );
        drop(inside.pop());
        let let_in = wait_for(PATIENCE, || Some(asked(&daemon)).filter(|text| !text.starts_with("error")));
        assert!(let_in.is_some(), "{engine}");
        let log = log(&daemon);
        assert_eq!(log.matches("reason=instances").count(), 1, "{engine}: {log}");
        assert!(log.contains("service=modify"), "{log}");
    }
}

#[test]
fn each_protocol_refuses_in_its_own_words() {
    for engine in engines() {
        let mut start = Start::engine(engine);
        for service in ["http", "console", "upload", "download", "chat", "echo"] {
            start = start.set(&format!("{service}.no_access=127.0.0.0/8"));
        }
        let daemon = start.set("hello.instances=0").set("hello.banner=x").run();
        let said = |service: &str| rest(&connect(&daemon, service));
        for service in ["http", "console"] {
            let reply = said(service);
            assert!(reply.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{engine} {service}: {reply}");
            assert!(reply.ends_with("your address may not use this service\n"), "{reply}");
        }
        for service in ["upload", "download", "chat"] {
            assert_eq!(
                said(service),
                "error: your address may not use this service\r\n",
                "{engine} {service}"
            );
        }
        assert_eq!(said("echo"), "", "{engine}");
        assert!(said("hello").starts_with("error: this service has"), "no banner for who is not let in");
    }
}

#[test]
fn a_busy_web_server_answers_503() {
    for engine in engines() {
        let daemon = Start::engine(engine).set("http.per_source=1").run();
        let mut inside = connect(&daemon, "http");
        inside.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        inside.read_exact(&mut [0; 12]).unwrap();
        let reply = rest(&connect(&daemon, "http"));
        assert!(reply.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{engine}: {reply}");
        assert!(reply.contains("\r\nRetry-After: "), "{reply}");
    }
}

#[test]
fn too_many_at_once_are_refused_for_a_while() {
    for engine in engines() {
        let daemon = Start::engine(engine).set("modify.cps=3 1s").run();
        let all: Vec<String> = (0..10).map(|_| asked(&daemon)).collect();
        let refused = all.iter().filter(|text| text.contains("too many connections at once")).count();
        assert!((1..=7).contains(&refused), "{engine}: {all:?}");
        assert!(
            wait_for(PATIENCE, || Some(asked(&daemon)).filter(|text| !text.starts_with("error"))).is_some()
        );
    }
}

#[test]
fn access_counts_for_datagrams_too() {
    for engine in engines() {
        let daemon =
            Start::engine(engine).set("echo.only_from=10.0.0.0/8").set("time.only_from=127.0.0.1").run();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(b"to echo", daemon.udp("echo")).unwrap();
        assert!(
            wait_for(PATIENCE, || log(&daemon).contains("reason=access").then_some(())).is_some(),
            "{engine}"
        );
        socket.send_to(b"", daemon.udp("time")).unwrap();
        assert_eq!(socket.recv(&mut [0; 100]).unwrap(), 4, "{engine}: only time answers");
    }
}

#[test]
fn a_banner_comes_before_anything_else() {
    for engine in engines() {
        let daemon = Start::engine(engine).set("echo.banner=Only for the class.").run();
        let mut stream = connect(&daemon, "echo");
        stream.write_all(b"hello").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(rest(&stream), "Only for the class.\r\nhello", "{engine}");
    }
}

#[test]
fn the_silent_are_closed_when_their_time_is_up() {
    for engine in engines() {
        let daemon = Start::engine(engine).set("echo.idle=1s").set("discard.first_byte=300ms").run();
        let began = Instant::now();
        let (mut echo, discard) = (connect(&daemon, "echo"), connect(&daemon, "discard"));
        echo.write_all(b"x").unwrap();
        assert_eq!(rest(&discard), "", "{engine}");
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!(rest(&echo), "x", "{engine}");
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert!(
            wait_for(PATIENCE, || (log(&daemon).matches("why=timed out").count() == 2).then_some(()))
                .is_some(),
            "{engine}: {}",
            log(&daemon)
        );
    }
}

#[test]
fn who_takes_nothing_is_closed() {
    for engine in engines() {
        let daemon = Start::engine(engine).set("chargen.progress=1s").run();
        let stuck = connect(&daemon, "chargen");
        let why = wait_for(PATIENCE, || log(&daemon).contains("why=timed out").then_some(()));
        assert!(why.is_some(), "{engine}: {}", log(&daemon));
        drop(stuck);
    }
}
