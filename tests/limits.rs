//! Limits and access of services, through the real program and over every engine.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

mod support;

use rustix::process::Signal;
use support::daemon::{concurrent_engines, engines, is_concurrent};
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

/// `2026-11-21T10:13:37.598Z INFO  [switchboard::observer] closed service=modify`: the reactor writes many of
/// these lines at once, the other engines one at a time.
#[test]
fn every_closed_connection_has_a_line_framed_like_all_others() {
    for engine in engines() {
        let mut daemon = Start::engine(engine).run();
        (0..40).for_each(|_| drop(connect(&daemon, "modify")));
        let closed = || log(&daemon).matches(" closed service=modify peer=127.0.0.1:").count();
        assert!(wait_for(PATIENCE, || (closed() == 40).then_some(())).is_some(), "{engine}: {}", closed());
        daemon.signal(Signal::TERM);
        daemon.wait(PATIENCE);
        for line in log(&daemon).lines() {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.parse::<jiff::Timestamp>().is_ok() && time.len() == 24, "{engine}: {line}");
            assert!(rest.starts_with("INFO  [switchboard::") && rest.contains("] "), "{engine}: {line}");
        }
    }
}

#[test]
fn instances_are_refused_with_a_reason_until_one_leaves() {
    for engine in concurrent_engines() {
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
        // Not every engine serves everything.
        let is_served = |service: &&str| daemon.address(service, "tcp").is_some();
        for service in ["http", "console"].into_iter().filter(is_served) {
            let reply = said(service);
            assert!(reply.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{engine} {service}: {reply}");
            assert!(reply.ends_with("your address may not use this service\n"), "{reply}");
        }
        for service in ["upload", "download", "chat"].into_iter().filter(is_served) {
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
    for engine in concurrent_engines() {
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
        let answered = socket.recv(&mut [0; 100]).unwrap_or_else(|error| panic!("{engine}: {error}"));
        assert_eq!(answered, 4, "{engine}: only time answers");
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

/// A daemon with this configuration file, which can be written anew.
fn configured(engine: &'static str, file: &std::path::Path, text: &str) -> Daemon {
    std::fs::write(file, text).unwrap();
    Start::engine(engine).argument("--config").argument(file.to_str().unwrap()).run()
}

/// Writes the file anew and has it read; waits for what the log says of it.
fn read_again(daemon: &Daemon, file: &std::path::Path, text: &str, said: &str) {
    let before = log(daemon).matches(said).count();
    std::fs::write(file, text).unwrap();
    daemon.signal(Signal::HUP);
    let heard = wait_for(PATIENCE, || (log(daemon).matches(said).count() > before).then_some(()));
    assert!(heard.is_some(), "{said}: {}", log(daemon));
}

#[test]
fn hup_reads_limits_access_and_options_again_and_drops_nobody() {
    for engine in engines() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("switchboard.toml");
        let daemon = configured(engine, &file, "[service.modify]\nname = \"Ali\"\n");
        // With one client at a time, whoever stays would keep all others out.
        let mut early = is_concurrent(engine).then(|| connect(&daemon, "modify"));
        let mut ask = |expected: &str| {
            let Some(early) = &mut early else { return };
            early.write_all(b"hi\n").unwrap();
            let mut answer = vec![0; expected.len()];
            early.read_exact(&mut answer).unwrap();
            assert_eq!(String::from_utf8(answer).unwrap(), expected, "{engine}");
        };
        ask("hi Ali\n");
        let ok = "the configuration was read again; it counts";
        read_again(&daemon, &file, "[service.modify]\nname = \"Bo\"\nper_source = 2\n", ok);
        assert_eq!(asked(&daemon), "hi Bo\n", "{engine}");
        ask("hi Ali\n");
        if is_concurrent(engine) {
            // Whoever was there before is counted by source from now on.
            let _second = connect(&daemon, "modify");
            let refused = || Some(asked(&daemon)).filter(|text| text.contains("as many connections"));
            assert!(wait_for(PATIENCE, refused).is_some(), "{engine}");
        }
        read_again(&daemon, &file, "[service.modify]\nno_access = \"127.0.0.1\"\n", ok);
        assert_eq!(asked(&daemon), "error: your address may not use this service\r\n", "{engine}");
        ask("hi Ali\n");
    }
}

#[test]
fn a_broken_file_changes_nothing_and_says_why() {
    for engine in engines() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("switchboard.toml");
        let daemon = configured(engine, &file, "[service.modify]\nname = \"Ali\"\n");
        let other_services = "without = [\"echo\"]\n[service.modify]\nname = \"Bo\"\n";
        let restart = [(other_services, "that takes a restart")];
        let broken = [
            (
                "[service.modify]\nname = \"Bo\"\ninstances = -1\n",
                "switchboard.toml:3: service.modify.instances",
            ),
            ("[service.modify]\nname = \"Bo\"\nno such thing", "switchboard.toml:3"),
        ];
        // Only the reactor can do that.
        let refused = restart.into_iter().filter(|_| engine != "reactor");
        for (broken, why) in broken.into_iter().chain(refused) {
            read_again(&daemon, &file, broken, why);
            assert_eq!(asked(&daemon), "hi Ali\n", "{engine}: {broken}");
        }
        assert!(log(&daemon).contains("nothing has changed"), "{}", log(&daemon));
    }
}

#[test]
fn usr1_writes_how_things_are_to_the_log() {
    for engine in concurrent_engines() {
        let daemon = Start::engine(engine).set("modify.instances=1").run();
        let mut inside = connect(&daemon, "modify");
        inside.write_all(b"hi\n").unwrap();
        inside.read_exact(&mut [0; 3]).unwrap();
        assert!(asked(&daemon).starts_with("error"));
        daemon.signal(Signal::USR1);
        let line = "state: service modify: 1 open, 1 in all, \
                    refused access 0 instances 1 per_source 0 cps 0 proxy 0;";
        let said = wait_for(PATIENCE, || log(&daemon).contains(line).then_some(()));
        assert!(said.is_some(), "{engine}: {}", log(&daemon));
    }
}

#[test]
fn usr1_is_heard_while_one_client_is_served() {
    let daemon = Start::engine("iterative").run();
    let mut inside = connect(&daemon, "modify");
    inside.write_all(b"hi\n").unwrap();
    inside.read_exact(&mut [0; 3]).unwrap();
    daemon.signal(Signal::USR1);
    let line = "state: service modify: 1 open, 1 in all";
    let said = wait_for(PATIENCE, || log(&daemon).contains(line).then_some(()));
    assert!(said.is_some(), "{}", log(&daemon));
}

#[test]
fn usr1_names_who_reads_slowly() {
    let daemon = Start::reactor().run();
    let stuck = connect(&daemon, "chargen");
    let named = wait_for(PATIENCE, || {
        daemon.signal(Signal::USR1);
        log(&daemon)
            .contains(&format!("bytes wait for {} of chargen", stuck.local_addr().unwrap()))
            .then_some(())
    });
    assert!(named.is_some(), "{}", log(&daemon));
    assert!(log(&daemon).contains("in the run queue"));
}

#[test]
fn hup_still_ends_a_daemon_without_a_file() {
    let mut daemon = Start::reactor().run();
    daemon.signal(Signal::HUP);
    assert_eq!(daemon.wait(PATIENCE).code(), None, "as it ends any program");
}
