//! One room for many, on the real program and on every engine: who hears what, in which bytes, and what
//! happens to those who do not read.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use switchboard::check::Client;

mod support;

use support::{Daemon, PATIENCE, Start, proc, wait_for};

/// A test for each engine.
macro_rules! on_every_engine {
    ($($test:ident)*) => {
        mod reactor { $(#[test] fn $test() { super::$test("reactor"); })* }
        mod threads { $(#[test] fn $test() { super::$test("threads"); })* }
        mod processes { $(#[test] fn $test() { super::$test("processes"); })* }
    };
}

on_every_engine! {
    sixty_members_hear_every_line_once dribbling_senders_never_interleave resets_at_every_moment
    a_slow_reader_costs_a_log one_who_reads_nothing_is_given_up raw_is_the_text_alone transcript rooms
    timestamps history a_reply_comes_after_what_was_said_before
}

fn start(engine: &'static str) -> Start {
    Start::engine(engine).argument("-v")
}

/// A member that is in the room for certain, and has heard of everyone before it.
fn member(daemon: &Daemon) -> Client {
    let mut client = Client::connect(&daemon.target("chat")).unwrap();
    settle(&mut client);
    client
}

/// The answer to its question comes after all that was said before.
fn settle(client: &mut Client) {
    client.send(b"/who\n").unwrap();
    while !line(client).starts_with("* here: ") {}
}

fn line(client: &mut Client) -> String {
    client.line().unwrap_or_else(|failure| panic!("{failure}"))
}

/// The next line that is no notice.
fn said(client: &mut Client) -> String {
    loop {
        let line = line(client);
        if !line.starts_with("* ") {
            return line;
        }
    }
}

fn connect(daemon: &Daemon, service: &str) -> TcpStream {
    let stream = TcpStream::connect(daemon.tcp(service)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A member that is in the room and will be left alone.
fn bystander(daemon: &Daemon) -> TcpStream {
    let mut stream = connect(daemon, "chat");
    stream.write_all(b"/rooms\n").unwrap();
    read_until(&mut stream, "\n");
    stream
}

/// Reads no more than up to the first `end`.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn sixty_members_hear_every_line_once(engine: &'static str) {
    let daemon = start(engine).run();
    let mut members: Vec<Client> = (0..60).map(|_| member(&daemon)).collect();
    members.iter_mut().for_each(settle);
    for (n, member) in members.iter_mut().enumerate() {
        member.send(format!("first of {n}\nsecond of {n}\n").as_bytes()).unwrap();
    }
    let mut orders: Vec<Vec<String>> = Vec::new();
    for (n, member) in members.iter_mut().enumerate() {
        let heard: Vec<String> = (0..118).map(|_| said(member)).collect();
        let mut times: HashMap<&str, usize> = HashMap::new();
        for line in &heard {
            *times.entry(line.split_once(": ").unwrap().1).or_default() += 1;
        }
        assert!(times.len() == 118 && times.values().all(|n| *n == 1), "each once: {times:?}");
        assert!(!times.contains_key(format!("first of {n}\n").as_str()), "{n} heard itself");
        orders.push(heard);
        settle(member);
    }
    // The order is the same for everyone, own lines aside.
    for pair in orders.windows(2) {
        let common = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|line| b.contains(line)).cloned().collect()
        };
        assert_eq!(common(&pair[0], &pair[1]), common(&pair[1], &pair[0]));
    }
}

fn dribbling_senders_never_interleave(engine: &'static str) {
    let daemon = start(engine).run();
    let mut listener = member(&daemon);
    let mut senders: Vec<TcpStream> = (0..2).map(|_| connect(&daemon, "chat")).collect();
    // Each ends lines from the start, so that no pause completes one.
    senders.iter_mut().for_each(|sender| sender.write_all(b"/who\n").unwrap());
    let texts = ["aaaaaaaaaaaaaaaaaaaa\n", "bbbbbbbbbbbbbbbbbbbb\n"];
    for _ in 0..3 {
        for at in 0..texts[0].len() {
            for (sender, text) in senders.iter_mut().zip(texts) {
                sender.write_all(&text.as_bytes()[at..=at]).unwrap();
            }
        }
    }
    let mut heard: Vec<String> = (0..6).map(|_| said(&mut listener)).collect();
    heard.iter_mut().for_each(|line| *line = line.split_once(": ").unwrap().1.to_owned());
    heard.sort();
    assert_eq!(heard, [[texts[0]; 3], [texts[1]; 3]].concat());
    // Halves of lines are nobody's news, and come with the rest.
    senders[0].write_all(b"half a").unwrap();
    senders[1].write_all(b"whole\n").unwrap();
    assert!(said(&mut listener).ends_with(": whole\n"));
    senders[0].write_all(b" line\n").unwrap();
    assert!(said(&mut listener).ends_with(": half a line\n"));
}

fn resets_at_every_moment(engine: &'static str) {
    let daemon = start(engine).run();
    let (mut talker, mut listener) = (member(&daemon), member(&daemon));
    let conversation: &[u8] = b"/nick Resetting\nhello\n/me waves\n/msg nobody hi\n/join attic\nhalf";
    for at in 0..=conversation.len() {
        let mut leaves = Client::connect(&daemon.target("chat")).unwrap();
        leaves.send(&conversation[..at]).unwrap();
        if at % 3 == 0 {
            settle_somewhere(&mut leaves);
        }
        leaves.reset();
        talker.send(format!("still here {at}\n").as_bytes()).unwrap();
        while !line(&mut listener).ends_with(&format!(": still here {at}\n")) {}
    }
    // Nobody of those is left behind.
    let alone = wait_for(PATIENCE, || {
        listener.send(b"/rooms\n").unwrap();
        loop {
            let line = line(&mut listener);
            if line.starts_with("* rooms: ") {
                return (line == "* rooms: lobby (2)\n").then_some(());
            }
        }
    });
    assert!(alone.is_some(), "somebody stayed in a room");
}

/// Any answer: the line before it may be half typed.
fn settle_somewhere(client: &mut Client) {
    client.send(b"\n/rooms\n").unwrap();
    while !line(client).starts_with("* rooms: ") {}
}

fn a_slow_reader_costs_a_log(engine: &'static str) {
    let daemon = start(engine).run();
    let (mut talker, mut listener) = (member(&daemon), member(&daemon));
    let stalled: Vec<TcpStream> = (0..5).map(|_| bystander(&daemon)).collect();
    let before = proc::resident(daemon.pid());
    let text = "x".repeat(4000);
    for n in 0..4000 {
        talker.send(format!("{n} {text}\n").as_bytes()).unwrap();
        while !line(&mut listener).contains(&format!(": {n} x")) {}
    }
    let grown = proc::peak(daemon.pid()).saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB for 16 MB said to five who read nothing");
    for mut stream in stalled {
        stream.write_all(b"quit\n").unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        let heard = String::from_utf8(heard).unwrap();
        let lines = heard.lines().filter(|line| line.contains(": "));
        let missed: usize = heard
            .lines()
            .filter_map(|line| line.strip_prefix("* you missed "))
            .map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap())
            .sum();
        let numbers: Vec<usize> =
            lines.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order");
        let last = numbers.last().map_or(0, |last| last + 1);
        assert!(missed + numbers.len() >= last, "{missed} missed, {} heard of {last}", numbers.len());
        assert!(heard.ends_with('\n'), "no half line at the end");
    }
}

fn one_who_reads_nothing_is_given_up(engine: &'static str) {
    let daemon = start(engine).set("chat.quiet_reader=300ms").set("chat.max_line=16384").run();
    let (mut talker, mut listener) = (member(&daemon), member(&daemon));
    let stalled = bystander(&daemon);
    let text = "x".repeat(16_000);
    let given_up = wait_for(PATIENCE, || {
        talker.send(format!("{text}\n").as_bytes()).unwrap();
        loop {
            let line = line(&mut listener);
            if line == "* guest3 left\n" {
                return Some(());
            }
            if line.ends_with("x\n") {
                return None;
            }
        }
    });
    assert!(given_up.is_some(), "it may stay for ever\n{}", daemon.output());
    let logged = || String::from_utf8(daemon.stderr()).unwrap().contains("why=timed out").then_some(());
    assert!(wait_for(PATIENCE, logged).is_some(), "{}", daemon.output());
    drop(stalled);
}

fn raw_is_the_text_alone(engine: &'static str) {
    let daemon = start(engine).set("chat.style=raw").run();
    let mut members: Vec<TcpStream> = (0..3).map(|_| connect(&daemon, "chat")).collect();
    // There is no telling who is there, but to be heard: once for each, then from whoever is read to here.
    let heard = |mut member: &TcpStream| {
        member.set_nonblocking(true).unwrap();
        let heard = member.read(&mut [0; 1000]).is_ok();
        member.set_nonblocking(false).unwrap();
        heard
    };
    for n in [0, 1, 2] {
        let others = members.iter().enumerate().filter(|(other, _)| *other != n);
        let mut deaf: Vec<&TcpStream> = others.map(|(_, member)| member).collect();
        let all = wait_for(PATIENCE, || {
            (&members[n]).write_all(b"there?\n").unwrap();
            deaf.retain(|member| !heard(member));
            deaf.is_empty().then_some(())
        });
        assert!(all.is_some(), "nobody hears {n}");
    }
    members[1].write_all(b"begin\n").unwrap();
    members[2].write_all(b"begin\n").unwrap();
    for (n, times) in [(0, 2), (1, 1), (2, 1)] {
        (0..times).for_each(|_| assert!(read_until(&mut members[n], "begin\n").ends_with("begin\n")));
    }
    let sent = "/who\nquit\r\nexit\n  kept  \n\n\u{e9}\x1b[2J\n";
    let heard = "/who\nquit\nexit\n  kept  \n\n\u{e9}[2J\n";
    members[0].write_all(sent.as_bytes()).unwrap();
    for member in &mut members[1..] {
        let mut bytes = vec![0; heard.len()];
        member.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), heard);
    }
    // From one who has never ended a line.
    let mut student = connect(&daemon, "chat");
    student.write_all(b"unterminated").unwrap();
    for member in &mut members {
        let mut bytes = [0; 13];
        member.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"unterminated\n", "and not a byte before it");
    }
    for member in &members {
        member.shutdown(Shutdown::Write).unwrap();
    }
    let mut rest = Vec::new();
    members[2].read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"", "nor after it");
}

fn transcript(engine: &'static str) {
    let dir = support::daemon::new_dir();
    let path = dir.path().join("chat.txt");
    let daemon = start(engine).argument("--transcript").argument(path.to_str().unwrap()).run();
    let (mut a, mut b) = (member(&daemon), member(&daemon));
    b.send(b"/nick Ben\n/join attic\n").unwrap();
    b.find(b"* you are in attic\n").unwrap();
    a.send(b"in the lobby\x1b[2J\r/msg\xfe\n/me waves\n/msg ben a secret\n").unwrap();
    a.find(b"* told Ben\n").unwrap();
    b.send("in the attic \u{202e}\u{e9}\n/rooms\n".as_bytes()).unwrap();
    b.find(b"* rooms: ").unwrap();
    let whole = || {
        let text = fs::read_to_string(&path).unwrap();
        (text.lines().count() == 3).then_some(text)
    };
    let text = wait_for(PATIENCE, whole).unwrap_or_else(|| panic!("{:?}", fs::read_to_string(&path)));
    let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert!(lines.iter().all(|(date, _)| date.starts_with("20") && date.as_bytes()[10] == b'T'), "{text}");
    let said: Vec<&str> = lines.iter().map(|(_, said)| *said).collect();
    let expected = [
        "lobby guest1: in the lobby[2J/msg\u{fffd}",
        "lobby ** guest1 waves",
        "attic Ben: in the attic \u{e9}",
    ];
    assert_eq!(said, expected);
}

fn rooms(engine: &'static str) {
    let daemon = start(engine).run();
    let (mut a, mut b, mut c) = (member(&daemon), member(&daemon), member(&daemon));
    settle(&mut a);
    settle(&mut b);
    b.send(b"/nick Ben\n/join Attic\n").unwrap().find(b"* you are in Attic\n").unwrap();
    while line(&mut a) != "* guest2 is now Ben\n" {}
    while line(&mut a) != "* Ben left\n" {}
    a.send(b"lobby only\n/msg ben psst\n").unwrap().expect(b"* told Ben\n").unwrap();
    assert_eq!(said(&mut c), "guest1: lobby only\n");
    b.expect(b"guest1 (to you): psst\n").unwrap().send(b"/who\n").unwrap();
    b.expect(b"* here: Ben\n").unwrap().send(b"/rooms\n").unwrap();
    b.expect(b"* rooms: Attic (1), lobby (2)\n").unwrap();
    c.send(b"/nick ben\n/nick guest9\n/msg xyz hi\n/msg\n/join a b\n/join lobby\n/me\n/what\n").unwrap();
    let rule = "1 to 32 bytes of letters, digits, - _ and .";
    for expected in [
        "* ben is taken; you are still guest3".to_owned(),
        "* guest9 is a guest's name; you are still guest3".to_owned(),
        "* nobody is called xyz".to_owned(),
        "* /msg NAME TEXT".to_owned(),
        format!("* a room's name has {rule}; you are still in lobby"),
        "* you are in lobby already".to_owned(),
        "* /me WHAT YOU DO".to_owned(),
        "* there is no /what; try /help".to_owned(),
    ] {
        assert_eq!(line(&mut c), expected + "\n");
    }
    c.send(b"/me waves\n").unwrap();
    assert_eq!(said(&mut a), "** guest3 waves\n");
    b.send(b"/join lobby\n").unwrap().expect(b"* you are in lobby\n").unwrap();
    assert_eq!(line(&mut a), "* Ben joined\n");
    b.send(b"/quit\n").unwrap().expect_eof().unwrap();
    assert_eq!(line(&mut a), "* Ben left\n");
}

fn timestamps(engine: &'static str) {
    let daemon = start(engine).set("chat.timestamps=true").run();
    let (mut a, mut b) = (member(&daemon), connect(&daemon, "chat"));
    b.write_all(b"hello\n").unwrap();
    for end in ["] * guest2 joined\n", "] guest2: hello\n"] {
        let line = line(&mut a);
        let shape: String = line.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert!(shape.starts_with("[00:00:00] ") && line.ends_with(end), "{line:?}");
    }
}

fn history(engine: &'static str) {
    let daemon = start(engine).set("chat.history=2").run();
    let mut a = member(&daemon);
    a.send(b"one\ntwo\n/me three\n/rooms\n").unwrap().find(b"* rooms: ").unwrap();
    let mut b = Client::connect(&daemon.target("chat")).unwrap();
    b.expect(b"* the last 2 lines said here:\nguest1: two\n** guest1 three\n").unwrap();
    a.send(b"four\n").unwrap();
    assert_eq!(said(&mut b), "guest1: four\n");
}

/// Two thousand members, a hundred of whom never read, and one who talks: all others hear everything in
/// order, and an echo on another port is answered meanwhile. (Ten thousand are tried on the simulated
/// network.)
/// Whoever knows that something was said, and asks then, hears what was said first.
fn a_reply_comes_after_what_was_said_before(engine: &'static str) {
    let daemon = start(engine).run();
    let (mut speaker, mut asker) = (member(&daemon), member(&daemon));
    settle(&mut speaker);
    for n in 0..200 {
        speaker.send(format!("number {n}\n").as_bytes()).unwrap();
        settle(&mut speaker);
        asker.send(b"/who\n").unwrap();
        let first = loop {
            let line = line(&mut asker);
            if line.starts_with("* here: ") || !line.starts_with("* ") {
                break line;
            }
        };
        assert!(first.ends_with(&format!(": number {n}\n")), "{engine}, {n}: {first}");
        while !line(&mut asker).starts_with("* here: ") {}
    }
}

#[test]
fn two_thousand_members() {
    const MEMBERS: usize = 2000;
    const LINES: usize = 50;
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let daemon = Start::reactor().run();
    let (mut talker, mut echo) = (member(&daemon), connect(&daemon, "echo"));
    let mut listeners: Vec<TcpStream> = (0..MEMBERS).map(|_| connect(&daemon, "chat")).collect();
    // They are accepted in their order.
    listeners.push(bystander(&daemon));
    let mut longest = Duration::ZERO;
    for n in 0..LINES {
        talker.send(format!("line {n}\n").as_bytes()).unwrap();
        let asked = Instant::now();
        echo.write_all(b"x").unwrap();
        echo.read_exact(&mut [0]).unwrap();
        longest = longest.max(asked.elapsed());
    }
    for listener in &mut listeners[100..] {
        let mut heard = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let end = format!(": line {}\n", LINES - 1);
        // The notice of those who joined is gathered and told by the clock: it may come behind the last line.
        while !String::from_utf8_lossy(&heard).contains(&end) {
            let n = listener.read(&mut buffer).unwrap();
            assert_ne!(n, 0);
            heard.extend_from_slice(&buffer[..n]);
        }
        let heard = String::from_utf8(heard).unwrap();
        let lines: Vec<_> =
            heard.lines().filter_map(|line| line.split_once(": ")).map(|line| line.1).collect();
        let expected: Vec<String> = (0..LINES).map(|n| format!("line {n}")).collect();
        assert_eq!(lines, expected);
    }
    // No figure of speed, only that nobody waited for two thousand writes times fifty lines.
    assert!(longest < Duration::from_secs(2), "an echo took {longest:?}");
}
