//! The clients against the daemon, and against servers in the manner of the labs; both ways round.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::net::{SocketAddr, UdpSocket};

mod support;

use support::own::{run, run_at, run_with};
use support::program::file;
use support::{Daemon, Program, Start};

/// A lab's server in Python, which says its port first; none where there is no Python.
fn lab_server(name: &str, arguments: &[&str]) -> Option<(Program, SocketAddr)> {
    if !support::have(&["python3"], name) {
        return None;
    }
    let script = file(&format!("labs/{name}.py")).display().to_string();
    let mut server = Program::start("python3", [&[script.as_str(), "0"], arguments].concat());
    let port = server.expect("port ").expect("\n").text();
    let port: u16 = port.lines().next().unwrap().trim_start_matches("port ").parse().unwrap();
    Some((server, ([127, 0, 0, 1], port).into()))
}

/// `switchboard listen` on any free port.
fn listen(arguments: &[&str]) -> (Program, SocketAddr) {
    let words = [&["listen", "127.0.0.1:0"], arguments].concat();
    let mut listener = Program::start(env!("CARGO_BIN_EXE_switchboard"), words);
    let text = listener.expect("this machine uses").expect("127.0.0.1:").text();
    let address = text.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap();
    let address = address.parse().unwrap();
    (listener, address)
}

fn lab_client(name: &str, address: SocketAddr, more: &[&str]) -> String {
    let script = file(&format!("labs/{name}.py")).display().to_string();
    let words = [script, address.ip().to_string(), address.port().to_string()];
    let words = words.iter().map(String::as_str).chain(more.iter().copied());
    Program::start("python3", words).succeed()
}

fn daemon() -> Daemon {
    Start::reactor().set("modify.name=Ali").set("hello.quiet=500ms").run()
}

#[test]
fn echo_against_the_daemon() {
    let daemon = daemon();
    let at = daemon.tcp("echo");
    let ran = run(&["echo", &at.to_string(), "Hello", "naïve", ""]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Hello\nnaïve\n\n"));
    assert!(ran.stderr.contains("3 sent, 3 replies\nround trip min/avg/max/stddev = "), "{}", ran.stderr);

    assert_eq!(run_at(at, "echo ADDRESS --count 1..100 --verify").succeed().lines().count(), 100);
    assert_eq!(run_at(daemon.udp("echo"), "echo ADDRESS --udp --count 3 --verify").succeed(), "1\n2\n3\n");
    assert_eq!(run_with(&["echo", &at.to_string(), "--udp", "--verify"], b"a\n\nb").succeed(), "a\n\nb\n");
    let long = vec![b'x'; 1_000_000];
    let ran = run_with(&["echo", &at.to_string(), "--verify"], &long);
    assert_eq!((ran.code, ran.stdout.len()), (Some(0), long.len() + 1), "{}", ran.stderr);

    // A reply that is modified is shown as it came, and is no echo.
    let at = daemon.tcp("modify");
    let ran = run_at(at, "echo ADDRESS Hello");
    assert!(ran.stderr.contains("1 sent, 1 reply (1 changed)"), "{}", ran.stderr);
    assert_eq!(ran.succeed(), "Hello Ali\n");
    let ran = run_at(at, "echo ADDRESS Hello --verify");
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.error(at),
        "error: reply 1 differs at byte 6: sent \"Hello\" (5 bytes), came \"Hello Ali\" (9 bytes)"
    );
    let ran = run_at(daemon.udp("discard"), "echo ADDRESS --udp --lost-after 50ms a b");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("2 sent, 0 replies, 2 lost\n"), "{}", ran.stderr);
}

#[test]
fn time_against_the_daemon() {
    let daemon = daemon();
    for service in ["reqtime", "daytime", "time"] {
        for udp in ["", " --udp"] {
            let words = format!("time ADDRESS --protocol {service} --samples 2{udp}");
            let text = run_at(daemon.tcp(service), &words).succeed();
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines.len() == 3 && lines[0].starts_with("server  20"), "{text}");
            assert!(lines[1].starts_with("delay   ") && lines[1].ends_with(" ms  (the best of 2)"), "{text}");
            // How narrow the bounds are depends on how busy the machine is; that they are right does not.
            assert!(lines[2].starts_with("offset  ") && lines[2].contains(" s ± "), "{text}");
            assert!(lines[2].ends_with("the clocks agree, as far as this can tell"), "{text}");
        }
    }
}

#[test]
fn get_against_the_daemon() {
    let daemon = daemon();
    let at = daemon.tcp("http");
    assert_eq!(run_at(at, "get http://ADDRESS/hello.txt").succeed(), "Hello there\n");
    assert_eq!(run_at(at, "get --http 1.0 ADDRESS/hello.txt").succeed(), "Hello there\n");
    let raw = run_at(at, "get --raw ADDRESS/hello.txt").succeed();
    assert!(raw.starts_with("> GET /hello.txt HTTP/1.1\\r\\n\n> Host: 127.0.0.1:"), "{raw}");
    assert!(
        raw.contains("\n< HTTP/1.1 200 OK\\r\\n\n") && raw.ends_with("\n< \\r\\n\n< Hello there\\n\n"),
        "{raw}"
    );
    let missing = run_at(at, "get ADDRESS/none");
    let expected =
        "error: 127.0.0.1:PORT: 404 Not Found: the server has nothing called /none; is it spelt right?";
    assert_eq!((missing.code, missing.error(at).as_str()), (Some(1), expected));

    let page = run_at(daemon.tcp("hello"), "get ADDRESS/index.html").succeed();
    assert_eq!(page.trim_end(), "<h1>Hello World</h1>");
}

#[test]
fn get_saves_whole_files_and_resumes_parts() {
    let daemon = daemon();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(daemon.path("root/big"), &bytes).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (path, part, from) =
        (dir.path().join("big"), dir.path().join("big.part"), dir.path().join("big.part.from"));
    let url = format!("http://{}/big", daemon.tcp("http"));
    let get = |more: &[&str]| run(&[&["get", &url, "-o", path.to_str().unwrap()], more].concat());
    get(&[]).succeed();
    assert!(fs::read(&path).unwrap() == bytes && !part.exists() && !from.exists());

    let raw = run(&["get", "--raw", &url, "-o", dir.path().join("raw").to_str().unwrap()]).succeed();
    let etag = raw.lines().find_map(|line| line.strip_prefix("< ETag: ")).unwrap();
    let etag = etag.replace("\\\"", "\"").replace("\\r\\n", "");
    // The part is what the server has: only the rest comes. Then it is of something else; then it is all.
    for (length, validator, said) in [
        (1_234_567, etag.as_str(), "saved"),
        (1_234_567, "\"other\"", "starting anew"),
        (bytes.len(), &etag, "saved"),
    ] {
        fs::remove_file(&path).unwrap();
        fs::write(&part, &bytes[..length]).unwrap();
        fs::write(&from, format!("{url}\n{validator}\n")).unwrap();
        let ran = get(&["-C"]);
        assert!(ran.code == Some(0) && ran.stderr.contains(said), "{ran:?}");
        assert!(fs::read(&path).unwrap() == bytes && !part.exists() && !from.exists(), "{length}");
    }
    // Longer than what the server has: that part is none.
    fs::write(&part, [&bytes[..], b"more"].concat()).unwrap();
    fs::write(&from, format!("{url}\n{etag}\n")).unwrap();
    get(&["-C"]).succeed();
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn send_against_the_daemon_and_listen() {
    let daemon = daemon();
    run_at(daemon.tcp("collect"), "send ADDRESS Hello there").succeed();
    assert_eq!(run_at(daemon.tcp("modify"), "send ADDRESS Hello").succeed(), "Hello Ali");
    assert_eq!(run_at(daemon.udp("echo"), "send --udp ADDRESS Hello --wait 20s").succeed(), "Hello\n");

    let (mut listener, at) = listen(&[]);
    run_at(at, "send ADDRESS Hello there").succeed();
    listener.expect("connected: 127.0.0.1:").expect(&format!(" -> {at}\n")).expect("Hello there");
    run_at(at, "send ADDRESS exiting is no exit").succeed();
    assert!(listener.is_running());
    run_at(at, "send ADDRESS exit").succeed();
    listener.succeed();

    let (mut listener, at) = listen(&["--udp", "--reply", "OK"]);
    assert_eq!(run_at(at, "send --udp ADDRESS Hello --wait 20s").succeed(), "OK\n");
    listener.expect("(5 bytes):\n").expect("Hello");
    run_at(at, "send --udp ADDRESS exit").succeed();
    listener.succeed();
}

#[test]
fn listen_passes_on_exactly_what_came() {
    let bytes: Vec<u8> = (0..500_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("came");
    let mut listener = std::process::Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["listen", "127.0.0.1:0", "--until-eof"])
        .stdout(fs::File::create(&path).unwrap())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(listener.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("this machine uses") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).unwrap() > 0);
    }
    let at = line.split_whitespace().last().unwrap();
    run_with(&["send", at], &[b"exit\n", &bytes[..]].concat()).succeed();
    assert!(listener.wait().unwrap().success());
    assert!(fs::read(&path).unwrap() == [b"exit\n", &bytes[..]].concat());
}

#[test]
fn several_senders_are_served_at_once_and_each_message_is_answered() {
    let (mut listener, at) = listen(&["--reply", "got it"]);
    // Held open and silent: nobody else must wait for it.
    let idle = std::net::TcpStream::connect(at).unwrap();
    assert_eq!(run_at(at, "echo ADDRESS one two").succeed(), "got it\ngot it\n");
    assert_eq!(run_at(at, "echo ADDRESS one two --line-end lf").succeed(), "got it\ngot it\n");
    drop(idle);
    run_at(at, "send ADDRESS exit").succeed();
    listener.succeed();
    let (mut listener, at) = listen(&["--once"]);
    run_at(at, "send ADDRESS Hello").succeed();
    listener.succeed();
    let ran = run(&["listen", "127.0.0.1:0", "--timeout", "50ms"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("timed out: nothing came for 50ms"), "{ran:?}");
}

#[test]
fn a_receiver_of_broadcasts_gets_what_is_sent_to_it() {
    let (mut listener, at) = listen(&["--broadcast"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to("é\x1b[2J".as_bytes(), at).unwrap();
    listener.expect("é\x1b[2J");
    socket.send_to(b"exit", at).unwrap();
    listener.succeed();
}

#[test]
fn lookup_asks_both_ways() {
    let here = run(&["lookup"]).succeed();
    assert!(here.starts_with("gethostname() ") && here.contains("\nothers on the LAN use  "), "{here}");
    let localhost = run(&["lookup", "-4", "localhost"]).succeed();
    assert!(localhost.starts_with("gethostbyname(\"localhost\")  127.0.0.1\n"), "{localhost}");
    let address = run(&["lookup", "127.0.0.1"]).succeed();
    assert!(address.starts_with("gethostbyaddr(\"127.0.0.1\")  localhost"), "{address}");
}

#[test]
fn our_clients_with_the_servers_of_the_labs() {
    for (mode, reply) in [("prefix", "Here's the data: Hello\n"), ("length", "5\n"), ("reverse", "olleH\n")] {
        let Some((_server, at)) = lab_server("net_server", &[mode]) else { return };
        assert_eq!(run_at(at, "echo ADDRESS Hello").succeed(), reply);
        // One client at a time: the next one is served, too.
        assert_eq!(run_at(at, "echo ADDRESS --count 1..20").succeed().lines().count(), 20);
    }
    let (_server, at) = lab_server("net_server", &["echo"]).unwrap();
    assert_eq!(run_at(at, "echo ADDRESS --count 1..100 --verify").succeed().lines().count(), 100);
    let (_server, at) = lab_server("echo_server_udp", &[]).unwrap();
    assert_eq!(run_at(at, "echo ADDRESS -u -4 --count 1..20 --verify").succeed().lines().count(), 20);

    let (_server, at) = lab_server("reqtime_server", &["3600"]).unwrap();
    for udp in ["", " --udp"] {
        let text = run_at(at, &format!("time ADDRESS --samples 2 --dry-run{udp}")).succeed();
        assert!(text.contains("offset  +3") && text.contains("the server is ahead by 1 h"), "{text}");
        assert!(text.contains("clock   would be set by +3"), "{text}");
    }

    let (mut server, at) = lab_server("sock_server", &[]).unwrap();
    run_at(at, "send ADDRESS Hello, world").succeed();
    assert!(server.succeed().ends_with("Connected by 127.0.0.1\nb'Hello, world'\n"));
    let (mut server, at) = lab_server("hello_server", &[]).unwrap();
    assert_eq!(run(&["echo", &at.to_string(), "Hello World", "bye"]).succeed(), "Hello Yourself\nGoodbye\n");
    server.succeed();
    let (mut server, at) = lab_server("tcp_receive", &[]).unwrap();
    run_at(at, "send ADDRESS Hello there").succeed();
    run_at(at, "send ADDRESS exit").succeed();
    assert!(server.succeed().ends_with("got Hello there\ngot exit\n"));
    let (mut server, at) = lab_server("udp_receive", &[]).unwrap();
    run_at(at, "send -u ADDRESS Hello there").succeed();
    run_at(at, "send -u ADDRESS exit").succeed();
    assert!(server.succeed().ends_with("got Hello there\ngot exit\n"));

    let (mut server, at) = lab_server("http_page", &[]).unwrap();
    assert_eq!(run_at(at, "get ADDRESS/index.html").succeed(), "<h1>Hello World</h1>");
    assert!(server.succeed().contains("GET /index.html HTTP/1.1\r\n"));
    let (_server, at) = lab_server("http_server", &[]).unwrap();
    let manifest = fs::read_to_string(file("../Cargo.toml")).unwrap();
    assert_eq!(run_at(at, "get ADDRESS/Cargo.toml").succeed(), manifest);
}

#[test]
fn the_clients_of_the_labs_with_listen() {
    if !support::have(&["python3"], "the clients of the labs with listen") {
        return;
    }
    let (mut listener, at) = listen(&[]);
    lab_client("tcp_send", at, &["Hello there"]);
    lab_client("sock_client", at, &[]);
    listener.expect("Hello there").expect("Hello, world");
    lab_client("tcp_send", at, &["exit"]);
    listener.succeed();
    let (mut listener, at) = listen(&["--reply", "thank you"]);
    let text = lab_client("net_client", at, &[]);
    assert_eq!(text.matches("got 'thank you'").count(), 20, "{text}");
    lab_client("tcp_send", at, &["exit"]);
    listener.succeed();
    let (mut listener, at) = listen(&["--udp"]);
    lab_client("udp_send", at, &["Hello there"]);
    listener.expect("Hello there");
    lab_client("udp_send", at, &["exit"]);
    listener.succeed();
}
