//! `switchboard stress` against servers that do something wrong: it must notice, say what, and go on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod support;

use support::stress::{command, echo, server, stress};

const SHORT: &[&str] = &["--duration", "400ms", "--active", "4", "--timeout", "300ms"];

#[test]
fn a_wrong_byte_is_found_where_it_is() {
    let address = server(|number, stream| {
        echo(stream, move |message, mut bytes| {
            if number == 3 && message == 5 {
                bytes[17] ^= 1;
            }
            Some(bytes)
        });
    });
    let done = stress(address, SHORT);
    assert_eq!((done.code, done.errors("wrong")), (1, 1), "{:#}", done.brief());
    let wrong = &done.report["wrong"][0];
    assert_eq!((&wrong["offset"], &wrong["reply"]), (&17.into(), &6.into()), "{wrong}");
    assert!(wrong["note"].as_str().unwrap().contains("changed"), "{wrong}");
    assert!(done.number("/requests/answered") > 4.0, "the others went on");
    let text = command(&[&address.to_string(), "--requests", "10"]).output().unwrap();
    assert_eq!(text.status.code(), Some(0), "the server was wrong only once");
}

#[test]
fn bytes_of_a_stranger_are_known_as_such() {
    let last = Arc::new(Mutex::new(Vec::new()));
    let address = server(move |number, stream| {
        let last = Arc::clone(&last);
        echo(stream, move |message, bytes| {
            let stranger = std::mem::replace(&mut *last.lock().unwrap(), bytes.clone());
            let swap = number == 2 && message == 9 && stranger.len() == bytes.len();
            Some(if swap { stranger } else { bytes })
        });
    });
    let done = stress(address, SHORT);
    assert_eq!((done.code, done.errors("wrong")), (1, 1), "{:#}", done.brief());
    let note = done.report["wrong"][0]["note"].as_str().unwrap();
    assert!(note.contains("another message or connection"), "{note}");
}

#[test]
fn unasked_bytes_are_wrong() {
    let address = server(|_, stream| echo(stream, |_, bytes| Some(bytes.repeat(2))));
    let done = stress(address, &[SHORT, &["--no-verify"]].concat());
    assert!(done.code == 1 && done.errors("unasked") > 0, "{:#}", done.brief());
}

#[test]
fn each_way_to_fail_is_counted_as_what_it_is() {
    let short = server(|_, mut stream| {
        let mut buffer = [0; 64];
        for part in [64, 64, 34] {
            stream.read_exact(&mut buffer).unwrap_or_default();
            stream.write_all(&buffer[..part]).unwrap_or_default();
        }
    });
    let done = stress(short, SHORT);
    assert!(done.code == 0 && done.errors("short") > 0 && done.errors("wrong") == 0, "{:#}", done.brief());

    let stalls = server(|_, stream| {
        echo(stream, |n, bytes| {
            if n == 1 {
                std::thread::park_timeout(Duration::from_secs(20));
            }
            Some(bytes)
        });
    });
    let done = stress(stalls, &[SHORT, &["--duration", "1s"]].concat()[2..]);
    assert!(done.errors("stalled") >= 4 && done.code == 0, "{:#}", done.brief());

    let resets = server(|_, mut stream| {
        let _ = stream.read(&mut [0; 10]);
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    });
    let done = stress(resets, SHORT);
    assert!(done.code == 1 && done.errors("reset") > 0, "nothing was answered: {:#}", done.brief());
    let meaning = done.report["errors"][0]["meaning"].as_str().unwrap();
    assert!(meaning.contains("crashed"), "{meaning}");
}

#[test]
fn nobody_there_is_said_at_once() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = command(&[&gone]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("refused: nothing listens there"), "{text}");
    let output = command(&[&gone, "--pipeline", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn lost_and_forgotten_idle_connections_are_found() {
    let drops = server(|number, stream| {
        if number % 2 == 0 {
            echo(stream, |_, bytes| Some(bytes));
        }
    });
    let done = stress(drops, &["--idle", "20", "--duration", "300ms"]);
    assert_eq!(done.code, 1);
    assert_eq!(
        (done.errors("idle_closed"), done.number("/connections/idle_proven")),
        (10, 10.0),
        "{:#}",
        done.brief()
    );

    let forgets = server(|number, stream| {
        if number % 4 == 0 {
            std::thread::park_timeout(Duration::from_secs(20));
        }
        echo(stream, |_, bytes| Some(bytes));
    });
    let done = stress(forgets, &["--idle", "20", "--duration", "100ms", "--timeout", "500ms"]);
    assert_eq!((done.code, done.errors("idle_dead")), (1, 5), "{:#}", done.brief());
}

#[test]
fn a_stall_shows_in_the_latency_of_all_who_would_have_come() {
    let stalled = AtomicBool::new(false);
    let stalled = Arc::new(stalled);
    let address = server(move |_, stream| {
        let stalled = Arc::clone(&stalled);
        echo(stream, move |message, bytes| {
            if message == 100 && !stalled.swap(true, Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
            }
            Some(bytes)
        });
    });
    let done = stress(address, &["--rate", "500", "--active", "1", "--duration", "1s"]);
    assert_eq!(done.code, 0, "{:#}", done.brief());
    let over = |pointer: &str, ms: u64| {
        let buckets = done.report.pointer(pointer).unwrap().as_array().unwrap();
        let late = buckets.iter().filter(|bucket| bucket[0].as_u64().unwrap() > ms * 1_000_000);
        late.map(|bucket| bucket[1].as_u64().unwrap()).sum::<u64>()
    };
    // 100 were due in those 200 ms; half of them waited for 100 ms or longer.
    assert!(over("/latency_histogram_ns", 100) >= 45, "{:#}", done.brief());
    assert!(done.number("/latency_us/p99") > 150_000.0, "{:#}", done.brief());
    assert!(done.number("/latency_us/max") >= 195_000.0, "{:#}", done.brief());
    // Without the correction it would have been one of five hundred.
    assert!(done.number("/service_us/p90") < done.number("/latency_us/p99") / 2.0, "{:#}", done.brief());
}

#[test]
fn lost_datagrams_are_lost_and_the_rest_goes_on() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        for number in 0.. {
            let Ok((n, from)) = socket.recv_from(&mut buffer) else { return };
            let times = [1, 0, 2][usize::from(number % 100 == 50) + 2 * usize::from(number % 100 == 70)];
            for _ in 0..times {
                let _ = socket.send_to(&buffer[..n], from);
            }
        }
    });
    let done = stress(address, &["--udp", "--requests", "1000", "--active", "5", "--timeout", "200ms"]);
    assert_eq!((done.code, done.errors("wrong")), (0, 0), "{:#}", done.brief());
    assert!(done.errors("lost") >= 5 && done.errors("stray") >= 5, "{:#}", done.brief());
    assert_eq!(done.count("/requests/answered") + done.errors("lost"), 1000);
}

#[test]
fn a_server_that_serves_only_some_gives_way_in_a_ramp() {
    let open = Arc::new(Mutex::new(0));
    let address = server(move |_, stream| {
        *open.lock().unwrap() += 1;
        if *open.lock().unwrap() > 4 {
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        } else {
            echo(stream, |_, bytes| Some(bytes));
        }
        *open.lock().unwrap() -= 1;
    });
    let done = stress(address, &["--ramp", "--active", "16", "--duration", "300ms", "--max-latency", "10s"]);
    assert_eq!(done.report["ramp"]["at"], 8, "{:#}", done.brief());
    assert_eq!(done.report["ramp"]["gave_way"]["errors"], "reset", "{:#}", done.brief());
    assert!(done.number("/ramp/knee") <= 4.0);
}

#[test]
fn pages_are_read_however_they_end() {
    for reply in [
        "HTTP/1.0 200 OK\r\n\r\nHello",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nHello",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n",
    ] {
        let address = server(move |_, mut stream| {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(reply.as_bytes());
        });
        let done = stress(address, &["--as", "http", "--requests", "50", "--active", "3"]);
        done.passed();
        assert_eq!(done.count("/requests/answered"), 50, "{reply:?}: {:#}", done.brief());
        assert_eq!(done.report["load"]["exchange"], "GET / HTTP/1.1 brings 200 with 5 bytes");
    }
}

#[test]
fn what_cannot_be_learnt_is_asked_for() {
    let counter = Arc::new(Mutex::new(0));
    let address = server(move |_, stream| {
        let counter = Arc::clone(&counter);
        echo(stream, move |_, _| {
            *counter.lock().unwrap() += 1;
            Some(format!("{}\n", counter.lock().unwrap()).into_bytes())
        });
    });
    let output = command(&[&address.to_string(), "--as", "modify"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("--expect"), "{text}");
}

/// A chat that does one thing wrong with the tenth line that it passes on.
fn chat(wrong: fn(&[u8]) -> Vec<u8>) -> SocketAddr {
    let members = Arc::new(Mutex::new(Vec::<(usize, TcpStream)>::new()));
    let said = Arc::new(Mutex::new(0));
    server(move |number, stream| {
        members.lock().unwrap().push((number, stream.try_clone().unwrap()));
        let mut lines = std::io::BufRead::split(std::io::BufReader::new(stream), b'\n');
        while let Some(Ok(mut line)) = lines.next() {
            line.push(b'\n');
            let mut members = members.lock().unwrap();
            let mut said = said.lock().unwrap();
            *said += 1;
            for (other, member) in members.iter_mut().filter(|(other, _)| *other != number) {
                let passed = if *said == 30 && *other % 3 == 0 { wrong(&line) } else { line.clone() };
                let _ = member.write_all(&passed);
            }
        }
    })
}

#[test]
fn chat_lines_that_are_lost_doubled_or_changed_are_found() {
    let run = |wrong| {
        let more = ["--as", "chat", "--active", "4", "--requests", "60", "--timeout", "500ms"];
        stress(chat(wrong), &more)
    };
    run(<[u8]>::to_vec).passed();
    let lost = run(|_| Vec::new());
    assert!(lost.errors("missed") + lost.errors("stalled") >= 1, "{:#}", lost.brief());
    let doubled = run(|line| line.repeat(2));
    assert!(doubled.code == 1 && doubled.errors("disorder") >= 1, "{:#}", doubled.brief());
    let changed = run(|line| line.to_ascii_uppercase().replace_mark());
    assert!(changed.code == 1 && changed.errors("wrong") >= 1, "{:#}", changed.brief());
}

/// The mark must stay, or it would be somebody else's line.
trait Mark {
    fn replace_mark(self) -> Vec<u8>;
}

impl Mark for Vec<u8> {
    fn replace_mark(self) -> Vec<u8> {
        let text = String::from_utf8(self).unwrap();
        let (head, tail) = text.rsplit_once(':').unwrap();
        format!("{}:{tail}", head.to_ascii_lowercase()).into_bytes()
    }
}
