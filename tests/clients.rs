//! The clients that the labs really use: telnet, nc, curl, a few lines of Python.
//!
//! They are other people's programs, so they may be missing. Nothing is then counted as passed that did
//! not run: there is one test for all of them, it runs what it can, and at its end it says how many ran
//! and names what was left out for want of which program. Under `tests/run` (`SWITCHBOARD_TESTS=all`)
//! a missing program is a failure.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

mod support;

use support::program::{file, find};
use support::{Daemon, PATIENCE, Program, Start, wait_for};

struct Lab {
    name: &'static str,
    needs: &'static [&'static str],
    run: fn(&Daemon),
}

const LABS: &[Lab] = &[
    Lab { name: "net_client in lockstep", needs: &["python3"], run: net_client },
    Lab { name: "reqtime over TCP", needs: &["python3"], run: reqtime_tcp },
    Lab { name: "reqtime over UDP", needs: &["python3"], run: reqtime_udp },
    Lab { name: "echo over UDP", needs: &["python3"], run: udp_echo },
    Lab { name: "sock_client is shown", needs: &["python3"], run: sock_client },
    Lab { name: "the hello session", needs: &["python3"], run: hello_session },
    Lab { name: "chat with select", needs: &["python3"], run: chat_clients },
    Lab { name: "a web client by hand", needs: &["python3"], run: http_get },
    Lab { name: "curl, a file and a page", needs: &["curl"], run: curl },
    Lab { name: "curl at the wrong port", needs: &["curl"], run: curl_at_the_wrong_port },
    Lab { name: "three telnets", needs: &["python3", "telnet"], run: three_telnets },
    Lab { name: "telnet in the chat", needs: &["python3", "telnet", "nc"], run: telnet_in_chat },
    Lab { name: "nc sends a line", needs: &["nc"], run: nc_line },
    Lab { name: "nc -N sends 10 MB", needs: &["nc"], run: nc_half_close },
    Lab { name: "nc over UDP", needs: &["nc"], run: nc_udp },
    Lab { name: "telnets and Pythons in a room", needs: &["python3", "telnet"], run: everyone_in_chat },
    Lab { name: "three nc in the chat", needs: &["nc"], run: three_nc_in_chat },
];

/// One test, so that what was left out cannot hide among what passed.
#[test]
fn the_clients_of_the_labs() {
    let daemon = Start::reactor().set("modify.name=Ali").set("hello.quiet=500ms").run();
    let (mut passed, mut failed, mut left_out) = (0, String::new(), String::new());
    for lab in LABS {
        let missing: Vec<_> = lab.needs.iter().filter(|name| find(name).is_none()).collect();
        if !missing.is_empty() {
            writeln!(left_out, "  {} (not installed: {missing:?})", lab.name).unwrap();
        } else if let Err(reason) = catch_unwind(AssertUnwindSafe(|| (lab.run)(&daemon))) {
            let reason = reason.downcast_ref::<String>().cloned().unwrap_or_default();
            writeln!(failed, "  {}: {reason}", lab.name).unwrap();
        } else {
            passed += 1;
        }
    }
    assert!(failed.is_empty(), "failed:\n{failed}left out:\n{left_out}{}", daemon.output());
    if !left_out.is_empty() {
        support::left_out(&format!("{left_out}  ({passed} of {} ran)", LABS.len()));
    }
    assert!(passed > 0, "not one of the clients is installed:\n{left_out}");
}

/// The arguments that name an address: host, port.
fn at(address: SocketAddr) -> [String; 2] {
    [address.ip().to_string(), address.port().to_string()]
}

fn python(name: &str, address: SocketAddr) -> Program {
    let script = file(&format!("labs/{name}.py")).display().to_string();
    let [host, port] = at(address);
    Program::start("python3", [script, host, port])
}

/// telnet on a terminal, as a person uses it.
fn telnet(address: SocketAddr) -> Program {
    let [host, port] = at(address);
    let pty = file("support/pty.py").display().to_string();
    let mut telnet = Program::start("python3", [pty, "telnet".to_owned(), host, port]);
    telnet.expect("Escape character is");
    telnet
}

fn nc(options: &[&str], address: SocketAddr) -> Program {
    let options: Vec<String> = options.iter().map(|&option| option.to_owned()).chain(at(address)).collect();
    Program::start("nc", options)
}

fn net_client(daemon: &Daemon) {
    let text = python("net_client", daemon.tcp("modify")).succeed();
    for number in 1..=20 {
        let line = format!("sent 'message number {number}' got 'message number {number} Ali'");
        assert!(text.lines().any(|l| l == line), "no {line:?} in {text}");
    }
    assert_eq!(text.lines().count(), 20, "{text}");
}

fn reqtime_tcp(daemon: &Daemon) {
    let text = python("reqtime_tcp", daemon.tcp("reqtime")).succeed();
    assert_eq!(text.matches("close").count(), 3, "{text}");
}

fn reqtime_udp(daemon: &Daemon) {
    let text = python("reqtime_udp", daemon.udp("reqtime")).succeed();
    assert_eq!(text.matches("says").count(), 3, "{text}");
}

fn udp_echo(daemon: &Daemon) {
    let text = python("udp_echo", daemon.udp("echo")).succeed();
    assert_eq!(text, "b'Hello there'\nb''\nb'na\\xc3\\xafve'\n");
}

fn sock_client(daemon: &Daemon) {
    let port = python("sock_client", daemon.tcp("collect")).succeed();
    let shown = format!("Connected by ('127.0.0.1', {})\nHello, world", port.trim());
    let seen =
        wait_for(PATIENCE, || String::from_utf8_lossy(&daemon.stdout()).contains(&shown).then_some(()));
    assert!(seen.is_some(), "no {shown:?}");
}

fn hello_session(daemon: &Daemon) {
    let text = python("hello_session", daemon.tcp("hello")).succeed();
    assert_eq!(text, "11\nb'Hello Yourself'\nb'Goodbye'\nb''\n");
}

fn chat_clients(daemon: &Daemon) {
    let mut a = python("chat_client", daemon.tcp("chat"));
    a.expect("connected").say("Hello there\n");
    let mut b = python("chat_client", daemon.tcp("chat"));
    a.expect("joined");
    b.say("I am new\n");
    a.expect(": I am new").say("welcome\n");
    b.expect(": welcome");
    assert!(!a.text().contains("welcome"), "it heard itself: {}", a.text());
    b.say("quit\n");
    assert!(b.succeed().ends_with("bye\n"));
    a.expect("left").say("quit\n");
    assert!(a.succeed().ends_with("bye\n"));
}

fn http_get(daemon: &Daemon) {
    let script = file("labs/http_get.py").display().to_string();
    let get = |address: SocketAddr, path: &str| {
        let [host, port] = at(address);
        Program::start("python3", [script.clone(), host, port, path.to_owned()]).succeed()
    };
    let text = get(daemon.tcp("http"), "/hello.txt");
    assert!(
        text.starts_with("HTTP/1.") && text.contains(" 200 ") && text.ends_with("Hello there\n\n"),
        "{text}"
    );
    let text = get(daemon.tcp("hello"), "/index.html");
    assert!(text.starts_with("HTTP/1.0 200 OK\r\n") && text.contains("<h1>Hello World</h1>"), "{text}");
}

fn curl(daemon: &Daemon) {
    let get = |path: &str| {
        let url = format!("http://{}{path}", daemon.tcp("http"));
        Program::start("curl", ["-sS", "--noproxy", "*", "-w", " %{http_code}", &url]).succeed()
    };
    assert_eq!(get("/hello.txt"), "Hello there\n 200");
    let listing = get("/");
    assert!(listing.contains("hello.txt") && listing.ends_with(" 200"), "{listing}");
    assert!(get("/no-such-file").ends_with(" 404"));
}

fn curl_at_the_wrong_port(daemon: &Daemon) {
    for service in ["modify", "chat", "reqtime"] {
        let url = format!("http://{}/", daemon.tcp(service));
        let text = Program::start("curl", ["-sS", "--noproxy", "*", "-w", " %{http_code}", &url]).succeed();
        let web = format!("http://{}/", daemon.tcp("console"));
        assert!(text.contains(&web) && text.ends_with(" 400"), "{service}: {text}");
    }
}

fn three_telnets(daemon: &Daemon) {
    let mut telnets: Vec<Program> = (0..3).map(|_| telnet(daemon.tcp("modify"))).collect();
    for round in 1..=3 {
        for (n, telnet) in telnets.iter_mut().enumerate() {
            telnet.say(format!("Hello {round} of {n}\n"));
        }
        for (n, telnet) in telnets.iter_mut().enumerate() {
            telnet.expect(&format!("Hello {round} of {n} Ali"));
        }
    }
    for telnet in &mut telnets {
        // Control-], then telnet's own command.
        telnet.say("\x1d").expect("telnet>").say("quit\n");
        let (status, _) = telnet.finish();
        assert!(status.success(), "{status}: {}", telnet.text());
    }
}

fn telnet_in_chat(daemon: &Daemon) {
    let mut telnet = telnet(daemon.tcp("chat"));
    telnet.say("/nick Bo\n").expect("* you are Bo");
    let mut nc = nc(&[], daemon.tcp("chat"));
    nc.say("/who\n").expect("* here: ").say("Hello from nc\n");
    telnet.expect(": Hello from nc").say("Hello from telnet\n");
    nc.expect("Bo: Hello from telnet\n");
    telnet.say("/quit\n").expect("Connection closed by foreign host");
    nc.expect("* Bo left");
}

fn nc_line(daemon: &Daemon) {
    let mut nc = nc(&["-N"], daemon.tcp("modify"));
    assert_eq!(nc.say("Hello\nunfinished").end_input().succeed(), "Hello Ali\nunfinished Ali");
    let mut nc = self::nc(&["-N"], daemon.tcp("reqtime"));
    assert_eq!(nc.say("reqtime\n").end_input().succeed().len(), 25);
}

fn nc_half_close(daemon: &Daemon) {
    let bytes: Vec<u8> = (0..10_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut nc = nc(&["-N"], daemon.tcp("echo"));
    let (status, came) = nc.say(&bytes).end_input().finish();
    assert!(status.success() && came == bytes, "{status}: {} of {} bytes", came.len(), bytes.len());
}

fn nc_udp(daemon: &Daemon) {
    nc(&["-u"], daemon.udp("echo")).say("Hello\n").expect("Hello\n");
    let mut nc = nc(&["-u"], daemon.udp("reqtime"));
    nc.say("reqtime\n").expect(":").expect("\n");
}

fn three_nc_in_chat(daemon: &Daemon) {
    let mut members: Vec<Program> = (0..3).map(|_| nc(&[], daemon.tcp("chat"))).collect();
    for (n, member) in members.iter_mut().enumerate() {
        member.say(format!("/nick nc-{n}\n")).expect(&format!("* you are nc-{n}\n"));
    }
    for (n, member) in members.iter_mut().enumerate() {
        member.say(format!("one from {n}\ntwo from {n}\n"));
    }
    for (n, member) in members.iter_mut().enumerate() {
        for other in (0..3).filter(|&other| other != n) {
            member.expect(&format!("nc-{other}: one from {other}\nnc-{other}: two from {other}\n"));
        }
        assert!(!member.text().contains(&format!("from {n}")), "{n} heard itself: {}", member.text());
    }
}

/// Three telnets and three Python clients of the lab's kind: each hears every line of the five others.
fn everyone_in_chat(daemon: &Daemon) {
    let address = daemon.tcp("chat");
    let mut members: Vec<Program> = (0..3).map(|_| telnet(address)).collect();
    for (n, member) in members.iter_mut().enumerate() {
        member.say(format!("/nick telnet-{n}\n")).expect(&format!("* you are telnet-{n}"));
    }
    for n in 3..6 {
        members.push(python("chat_client", address));
        members[n].expect("connected");
        // The lab's client sends without a line end, which is a message after a pause.
        members[n].say(format!("hello from {n}\n"));
        members[0].expect(&format!("hello from {n}"));
    }
    for n in 0..6 {
        members[n].say(format!("<from {n}>\n"));
        for other in (0..6).filter(|other| *other != n) {
            members[other].expect(&format!(": <from {n}>"));
        }
    }
    for member in &members {
        (0..6).for_each(|n| assert!(member.text().matches(&format!(": <from {n}>")).count() <= 1));
    }
}
