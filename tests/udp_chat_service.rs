//! The UDP chat joined to the room, by the real daemon: with both engines, with one daemon and with two.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::UdpSocket;
use std::time::Duration;

use support::namespace::Machines;
use support::{Daemon, Program, Start};

mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchboard");
const ENGINES: [&str; 3] = ["reactor", "threads", "processes"];

fn free_port() -> String {
    UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port().to_string()
}

fn has_nc() -> bool {
    support::have(&["nc"], "the UDP chat in the room")
}

/// A daemon in whose room one talks to this port's network on this machine.
fn bridged(engine: &'static str, port: &str) -> Daemon {
    let start = Start::engine(engine).argument("--with").argument("udp-chat");
    start.argument("--port").argument(&format!("udp-chat={port}")).run()
}

fn member(daemon: &Daemon, name: &str) -> Program {
    let mut member = Program::start("nc", ["127.0.0.1", &daemon.tcp("chat").port().to_string()]);
    member.say(format!("/nick {name}\n")).expect(&format!("you are {name}"));
    member
}

/// Somebody of the network; what it says to itself shows that it hears.
fn neighbour(port: &str) -> Program {
    let words = ["udp-chat", "--port", port, "--broadcast", "127.255.255.255"];
    let mut one = Program::start(PROGRAM, words);
    one.say("(ready)\n").expect("(ready)\n");
    one
}

#[test]
fn it_runs_only_when_it_is_asked_for() {
    let daemon = Start::reactor().run();
    assert!(daemon.address("udp-chat", "udp").is_none(), "off unless asked");
    for asking in [&["--only", "udp-chat"][..], &["--with", "udp-chat"], &["--set", "udp-chat.enabled=true"]]
    {
        let start = asking.iter().fold(Start::reactor(), |start, word| start.argument(word));
        let address = start.run().udp("udp-chat");
        assert!(address.to_string().starts_with("127.255.255.255:"), "this machine only: {address}");
    }
}

#[test]
fn a_room_and_a_network_hear_each_other_once() {
    if !has_nc() {
        return;
    }
    for engine in ENGINES {
        let port = free_port();
        let daemon = bridged(engine, &port);
        let (mut ali, mut bob) = (member(&daemon, "ali"), member(&daemon, "bob"));
        let mut neighbour = neighbour(&port);
        ali.expect("lan/127.0.0.1: (ready)\n").say("héllo\nhéllo\n");
        neighbour.expect_times("ali: héllo\n", 2).say("hello \x1b[2Jyourself\n");
        for program in [&mut ali, &mut bob] {
            program.expect("lan/127.0.0.1: hello [2Jyourself\n");
        }
        bob.expect_times("ali: héllo\n", 2).say("the end\n");
        neighbour.expect("bob: the end\n");
        let heard = neighbour.end_input().succeed();
        assert_eq!(heard.matches("héllo").count(), 2, "{engine}: {heard}");
        assert!(!heard.contains("* "), "{engine}: no notices: {heard}");
        assert!(!ali.text().contains("lan/127.0.0.1: ali"), "{engine}: {}", ali.text());
    }
}

#[test]
fn two_daemons_on_a_network_repeat_nothing() {
    if !has_nc() {
        return;
    }
    for engines in [["reactor", "reactor"], ["reactor", "threads"]] {
        let port = free_port();
        let daemons = engines.map(|engine| bridged(engine, &port));
        let (mut ali, mut bob) = (member(&daemons[0], "ali"), member(&daemons[1], "bob"));
        let mut witness = neighbour(&port);
        for n in 0..20 {
            ali.say(format!("from ali {n}\n"));
            bob.say(format!("from bob {n}\n"));
        }
        ali.expect("lan/127.0.0.1: bob: from bob 19\n");
        bob.expect("lan/127.0.0.1: ali: from ali 19\n");
        witness.expect("from ali 19\n").expect("from bob 19\n");
        // Whatever went round would be here by the time that this has been heard by all.
        ali.say("the end\n");
        bob.expect("the end\n");
        witness.expect("the end\n").end_input();
        let heard = witness.succeed();
        assert_eq!(heard.lines().count(), 42, "each line is one datagram: {heard}");
        assert_eq!(ali.text().matches("from bob").count(), 20, "{}", ali.text());
        assert!(!ali.text().contains("from ali"), "{}", ali.text());
    }
}

/// A forged sender gets nothing, and whoever sends to the service makes nobody send anything.
#[test]
fn nobody_is_answered_and_nothing_is_multiplied() {
    if !has_nc() {
        return;
    }
    for engine in ENGINES {
        let port = free_port();
        let daemon = bridged(engine, &port);
        let mut ali = member(&daemon, "ali");
        let victim = UdpSocket::bind("127.0.0.1:0").unwrap();
        victim.set_broadcast(true).unwrap();
        victim.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        for n in 0..2000 {
            victim.send_to(format!("flood {n}").as_bytes(), format!("127.255.255.255:{port}")).unwrap();
        }
        ali.expect("flood 0\n");
        assert!(victim.recv(&mut [0; 100]).is_err(), "{engine}");
        ali.say("/who\n").expect("* here: ali, udp-chat");
        let lines = ali.text().matches("flood").count();
        assert!((1..=300).contains(&lines), "{engine}: {lines} of 2000 in a moment");
    }
}

/// Two machines: a daemon that is open to the network, and the lab's own programs on the other one.
#[test]
fn the_labs_own_programs_are_in_the_room() {
    if !support::have(&["python3", "nc"], "a room and the labs' UDP programs") {
        return;
    }
    let machines = match Machines::new("room") {
        Ok(machines) => machines,
        Err(reason) => {
            support::not_allowed("a room and the labs' UDP programs on two machines", &reason);
            return;
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("room");
    let listen = format!("chat.listen=unix:{}", socket.display());
    let words = ["--only", "chat,udp-chat", "--bind", "0.0.0.0", "--set", &listen];
    let mut daemon = Program::start("ip", machines.on(0, &[&[PROGRAM], &words[..]].concat()));
    daemon.expect("OPEN: everyone who can reach this machine");
    let mut ali = Program::start("nc", ["-U", socket.to_str().unwrap()]);
    ali.say("/nick ali\n").expect("you are ali");
    let (send, receive) = ("labs/lan_send.py", "labs/lan_receive.py");
    let [send, receive] = [send, receive].map(|name| support::program::file(name).display().to_string());
    Program::start("ip", machines.on(1, &["python3", &send])).succeed();
    ali.expect("lan/192.0.2.2: Hello there\n");
    let mut lab = Program::start("ip", machines.on(1, &["python3", &receive]));
    lab.expect("receiving");
    ali.say("hello yourself\n");
    lab.expect("ali: hello yourself\n");
}
