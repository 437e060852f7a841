//! The chat without a server: several of ours on one machine, and ours with the labs' own programs on two.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::UdpSocket;

use support::namespace::Machines;
use support::{Program, Terminal, program};

mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchboard");
const HERE: [&str; 2] = ["--broadcast", "127.255.255.255"];

/// A port that nobody has, as text.
fn free_port() -> String {
    UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port().to_string()
}

fn arguments<'a>(port: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["udp-chat", "--port", port], more].concat()
}

/// One that hears; it is ready when this returns.
fn listener(port: &str, more: &[&str]) -> Program {
    let mut one = Program::start(PROGRAM, arguments(port, more));
    await_ready(&mut one);
    one
}

/// What is said to oneself shows that the socket is there.
fn await_ready(one: &mut Program) {
    one.say("(ready)\n").expect("(ready)\n");
}

#[test]
fn what_one_says_all_on_the_machine_see_once() {
    let port = free_port();
    let (mut one, mut two) = (listener(&port, &HERE), listener(&port, &HERE));
    one.expect_times("(ready)\n", 2);
    let mut terminal = Terminal::start(&arguments(&port, &[&HERE[..], &["--name", "ali"]].concat()), 60, 12);
    terminal.expect_typed(">");
    terminal.press("héllo\rhéllo\r");
    for program in [&mut one, &mut two] {
        program.expect_times("ali: héllo\n", 2);
    }
    two.say("hello yourself\n");
    terminal.expect("hello yourself");
    one.expect("hello yourself\n");
    terminal.press("exit\r");
    assert!(terminal.finish().success());
    let own: Vec<String> = terminal.rows().into_iter().filter(|row| row.contains("héllo")).collect();
    assert_eq!(own, ["> héllo", "> héllo"], "one's own lines are there as they were typed, and not again");
    for program in [&mut one, &mut two] {
        let text = program.end_input().succeed();
        assert_eq!(text.matches("hello yourself").count(), 1, "{text}");
        assert_eq!(text.matches("ali: héllo").count(), 2, "{text}");
        assert!(!text.contains("exit"), "{text}");
    }
}

#[test]
fn a_pipe_says_what_it_gets_and_ends() {
    let port = free_port();
    let mut hearing = listener(&port, &HERE);
    let long = "é".repeat(1200);
    let mut piped = Program::start(PROGRAM, arguments(&port, &HERE));
    piped.say(format!("one\n\n{long}\nexit\nnever\n"));
    assert_eq!(piped.succeed(), format!("one\n\n{long}\n"));
    hearing.expect(&format!("one\n{}\n{}\n{}\n", "é".repeat(500), "é".repeat(500), "é".repeat(200)));
    assert!(!hearing.text().contains("never"));
}

#[test]
fn nobody_can_do_anything_to_another_s_terminal() {
    let port = free_port();
    let terminal = Terminal::start(&arguments(&port, &[&HERE[..], &["--from"]].concat()), 60, 12);
    terminal.expect_typed(">");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_broadcast(true).unwrap();
    let to = format!("127.255.255.255:{port}");
    socket.send_to(b"evil\x1b[2J\x1b[H\rx\ntwo lines\n", &to).unwrap();
    socket.send_to(&vec![b'x'; 60_000], &to).unwrap();
    socket.send_to(b"", &to).unwrap();
    socket.send_to(b"end", &to).unwrap();
    terminal.expect("127.0.0.1 evil[2J[Hx");
    terminal.expect("127.0.0.1 two lines");
    terminal.expect("127.0.0.1 end");
}

/// IPv4: the loopback has no route for IPv6 groups.
#[test]
fn a_group_is_chatted_with_by_those_who_join() {
    let port = free_port();
    let group = ["--group", "239.255.40.0", "--interface", "lo"];
    let (mut one, mut two) = (listener(&port, &group), listener(&port, &group));
    let mut elsewhere = listener(&port, &["--group", "239.255.40.1", "--interface", "lo"]);
    one.expect_times("(ready)\n", 2);
    one.say("to the group\n").expect("to the group\n");
    two.expect("to the group\n").say("back\n");
    one.expect("back\n");
    for program in [&mut one, &mut two] {
        assert_eq!(program.end_input().succeed().matches("to the group").count(), 1);
    }
    assert_eq!(elsewhere.end_input().succeed(), "(ready)\n", "another group hears nothing");
}

#[test]
fn what_cannot_be_done_is_told() {
    let failure = |arguments: &[&str], code: i32| {
        let (status, output) = Program::start(PROGRAM, arguments).finish();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
        String::from_utf8_lossy(&output).into_owned()
    };
    let alone = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = alone.local_addr().unwrap().port().to_string();
    assert!(failure(&arguments(&port, &[]), 1).contains("shares it with nobody"));
    assert!(failure(&["udp-chat", "--interface", "nosuch0"], 1).contains("lo"));
    assert!(failure(&["udp-chat", "--group", "192.0.2.1"], 1).contains("multicast"));
    failure(&["udp-chat", "--port", "0"], 2);
    failure(&["udp-chat", "--group", "239.1.1.1", "--broadcast", "127.255.255.255"], 2);
}

/// Two machines, or a loud word on what is not tried.
fn machines(name: &str) -> Option<Machines> {
    let made = Machines::new(name);
    let left_out = |reason: &String| support::not_allowed("the UDP chat on two machines, as root", reason);
    made.inspect_err(left_out).ok()
}

/// The labs' own pair shares its port with nobody, so each of them needs a machine of its own.
#[test]
fn the_labs_own_programs_chat_with_ours_on_two_machines() {
    if !support::have(&["python3"], "the labs' UDP programs") {
        return;
    }
    let Some(machines) = machines("labs") else { return };
    let (send, receive) = (program::file("labs/lan_send.py"), program::file("labs/lan_receive.py"));
    let (send, receive) = (send.to_str().unwrap(), receive.to_str().unwrap());

    let mut ours = Program::start("ip", machines.on(0, &[PROGRAM, "udp-chat", "--from"]));
    await_ready(&mut ours);
    Program::start("ip", machines.on(1, &["python3", send])).succeed();
    ours.expect("192.0.2.2 Hello there\n");

    let mut lab = Program::start("ip", machines.on(1, &["python3", receive]));
    lab.expect("receiving");
    ours.say("héllo from ours\n");
    lab.expect("héllo from ours\n");
    // A long line comes whole, in datagrams that the lab's program can take.
    ours.say(format!("{}end\n", "é".repeat(900)));
    lab.expect(&format!("{}\n", "é".repeat(500))).expect("end\n");
}

#[test]
fn two_of_ours_on_two_machines_hear_each_other_once() {
    let Some(machines) = machines("ours") else { return };
    let start = |at: usize| Program::start("ip", machines.on(at, &[PROGRAM, "udp-chat"]));
    let (mut one, mut two) = (start(0), start(1));
    await_ready(&mut one);
    await_ready(&mut two);
    one.say("from one\n");
    two.expect("from one\n").say("from two\n");
    one.expect("from two\n");
    for program in [&mut one, &mut two] {
        let text = program.end_input().succeed();
        for said in ["from one", "from two"] {
            assert_eq!(text.matches(said).count(), 1, "{text}");
        }
    }
    // A group by its interface, over both versions of IP.
    for group in ["239.255.40.0", "ff02::4000"] {
        let words = [PROGRAM, "udp-chat", "--group", group, "--interface", "eth0"];
        let (mut one, mut two) =
            (Program::start("ip", machines.on(0, &words)), Program::start("ip", machines.on(1, &words)));
        await_ready(&mut one);
        await_ready(&mut two);
        one.say("to the group\n");
        two.expect("to the group\n");
    }
}
