//! The chat client on a terminal, whose screen is looked at, and in a pipe; against our daemon, and against
//! servers that know nothing of it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{Daemon, PATIENCE, Program, Start, Terminal, have, program, wait_for};

mod support;

const CHAT: &str = env!("CARGO_BIN_EXE_switchboard");

/// A server that the test speaks for; it may be a lab's.
struct Server {
    listener: TcpListener,
    address: String,
}

impl Server {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { listener, address }
    }

    fn accept(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

fn on_terminal(columns: u16, rows: u16) -> (Terminal, TcpStream) {
    let server = Server::new();
    let terminal = Terminal::start(&["chat", &server.address], columns, rows);
    let stream = server.accept();
    terminal.expect_typed(">");
    (terminal, stream)
}

fn piped(server: &Server, more: &[&str]) -> Program {
    Program::start(CHAT, [&["chat", &server.address], more].concat())
}

fn line(stream: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

fn daemon() -> Daemon {
    Start::reactor().run()
}

#[test]
fn a_flood_while_typing_neither_loses_nor_garbles_a_line() {
    const LINES: usize = 3000;
    let (mut terminal, mut stream) = on_terminal(80, 24);
    let mut flood = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for n in 0..LINES {
            writeln!(flood, "peer: line {n} of the flood é🦀").unwrap();
        }
    });
    let mut typed = Vec::new();
    for n in 0..40 {
        let text = format!("typed line {n} with ünïcödé 日本");
        // In pieces, so that lines come between them.
        for key in text.chars() {
            terminal.press(&key.to_string());
        }
        terminal
            .expect_when("the line being typed", |rows| rows.iter().any(|row| *row == format!("> {text}")));
        terminal.press("\r");
        typed.push(text);
    }
    sender.join().unwrap();
    terminal.press("not sent");
    terminal.expect(&format!("peer: line {} of the flood é🦀", LINES - 1));
    terminal.expect_typed("> not sent");
    let rows = terminal.rows();
    let heard: Vec<&String> = rows.iter().filter(|row| row.starts_with("peer: ")).collect();
    let want: Vec<String> = (0..LINES).map(|n| format!("peer: line {n} of the flood é🦀")).collect();
    assert_eq!(heard.len(), LINES, "{}", terminal.picture());
    assert!(heard.iter().zip(&want).all(|(shown, sent)| *shown == sent), "{}", terminal.picture());
    let mine: Vec<String> =
        rows.iter().filter(|row| row.starts_with("> typed")).map(|row| row[2..].to_owned()).collect();
    assert_eq!(mine, typed);
    let other = |row: &&String| !row.is_empty() && !row.starts_with("peer: ") && !row.starts_with("> ");
    let others: Vec<&String> = rows.iter().filter(other).collect();
    assert!(others.len() == 1 && others[0].starts_with("* connected to "), "{others:?}");
    let mut sent = BufReader::new(&mut stream).lines();
    for text in &typed {
        assert_eq!(sent.next().unwrap().unwrap(), *text);
    }
}

#[test]
fn what_is_typed_is_edited_remembered_pasted_and_redrawn() {
    let (mut terminal, stream) = on_terminal(40, 10);
    terminal.press("helo\x1b[D\x1b[Dl\r");
    assert_eq!(line(&stream), "hello\n", "the cursor keys move");
    terminal.press("\x1b[A wörld\x1b[D\x7fL\r");
    assert_eq!(line(&stream), "hello wörLd\n", "what was said before is there again, and edited");
    terminal.press("\x1b[200~one\r\ntwo \x1b[31m\nthree\x1b[201~");
    terminal.expect_typed("three");
    terminal.press("!\r");
    let mut lines = BufReader::new(&stream).lines();
    assert_eq!(
        lines.next().unwrap().unwrap(),
        "one",
        "what is pasted is said line by line, not before Enter"
    );
    assert!(lines.next().unwrap().unwrap().starts_with("two "));
    assert_eq!(lines.next().unwrap().unwrap(), "three!");
    let long = "a line that is longer than the screen is wide after it has been made narrow";
    terminal.press(long);
    terminal.resize(30, 10);
    (&stream).write_all(b"peer: while it is narrow\n").unwrap();
    terminal.expect("peer: while it is narrow");
    let shown = |rows: &[String]| rows.concat().ends_with(&format!("> {long}"));
    terminal.expect_when("the whole line", |rows| {
        let end = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        shown(&rows[..end])
    });
    terminal.press("\r");
    assert_eq!(lines.next().unwrap().unwrap(), long);
}

#[test]
fn a_peer_can_do_nothing_to_the_terminal() {
    let (terminal, mut stream) = on_terminal(60, 10);
    stream
        .write_all("evil\x1b[2J\x1b[H\x1b]0;title\x07: a\rb\x08\u{9b}5A\u{202e}c\u{7f}\tx\n".as_bytes())
        .unwrap();
    stream.write_all(b"bad: \xc2\x9b1A\x00!\nlast\n").unwrap();
    terminal.expect("evil[2J[H]0;title: ab5Ac x");
    terminal.expect("bad: 1A!");
    terminal.expect("last");
    terminal.expect_typed(">");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    for (variables, coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let server = Server::new();
        let terminal = Terminal::start_with(&["chat", &server.address], variables, 60, 10);
        let mut stream = server.accept();
        stream.write_all(b"* ali joined\nali: hello\n").unwrap();
        terminal.expect("ali: hello");
        assert_eq!(terminal.is_coloured(), coloured, "{variables:?}");
    }
    let server = Server::new();
    let mut client = piped(&server, &[]);
    server.accept().write_all(b"* ali joined\nali: hello\n").unwrap();
    assert_eq!(client.succeed(), "* ali joined\nali: hello\n");
}

#[test]
fn a_quit_word_ends_it_typed_or_received() {
    for word in ["exit", "quit"] {
        let (mut terminal, mut stream) = on_terminal(60, 10);
        terminal.press(&format!("bye\r{word}\r"));
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        assert_eq!(all, "bye\n", "the word is for us alone");
        drop(stream);
        assert!(terminal.finish().success());

        let (mut terminal, mut stream) = on_terminal(60, 10);
        terminal.press("half a li");
        write!(stream, "not exit\nali: quit\n{word}\nnobody sees this\n").unwrap();
        assert!(terminal.finish().success());
        terminal.expect("ali: quit");
        terminal.expect("* the other side said good-bye");
        assert!(!terminal.picture().contains("nobody"), "{}", terminal.picture());
    }
}

#[test]
fn the_keys_and_signals_that_end_programs_give_the_terminal_back() {
    for keys in ["\x04", "half a line\x03"] {
        let (mut terminal, stream) = on_terminal(60, 10);
        terminal.press(keys);
        drop(stream);
        assert!(terminal.finish().success(), "{keys:?}");
    }
    let (mut terminal, _stream) = on_terminal(60, 10);
    terminal.press("half a line");
    terminal.expect_typed("> half a line");
    terminal.signal(Signal::TERM);
    assert!(!terminal.finish().success());
}

#[test]
fn the_other_side_ends_it() {
    let (mut terminal, mut stream) = on_terminal(60, 10);
    terminal.press("half a line");
    terminal.expect_typed("> half a line");
    stream.write_all(b"last words\nand no line end").unwrap();
    drop(stream);
    assert!(terminal.finish().success());
    terminal.expect("last words");
    terminal.expect("and no line end");
    terminal.expect("* the other side closed the connection");
}

#[test]
fn what_has_no_line_end_is_shown_after_a_pause() {
    let (terminal, mut stream) = on_terminal(60, 10);
    stream.write_all(b"from a lab's client").unwrap();
    terminal.expect("from a lab's client");
    stream.write_all(b"\r\nnext\n").unwrap();
    terminal.expect("next");
    let rows = terminal.rows();
    let at = rows.iter().position(|row| row == "next").unwrap();
    assert_eq!(rows[at - 1], "from a lab's client", "the late line end makes no empty line");
}

#[test]
fn a_pipe_delivers_and_ends() {
    if !have(&["nc"], "the chat client and nc") {
        return;
    }
    let daemon = daemon();
    let mut nc = Program::start("nc", ["127.0.0.1", &daemon.tcp("chat").port().to_string()]);
    nc.say("/nick nc\n").expect("you are nc");
    let started = Instant::now();
    let mut client = Program::start(CHAT, ["chat", &daemon.tcp("chat").to_string(), "--name", "ali"]);
    client.say("hi\nthere").end_input();
    let output = client.succeed();
    assert_eq!(output, "* you are ali\n");
    assert!(started.elapsed() < Duration::from_secs(2), "the daemon closes at once");
    nc.expect("ali: hi\nali: there\n");
}

#[test]
fn a_pipe_waits_for_the_answer_for_the_stated_time() {
    let server = Server::new();
    let mut client = piped(&server, &["--wait", "30s"]);
    let mut stream = server.accept();
    client.say("question\n").end_input();
    let mut asked = String::new();
    stream.read_to_string(&mut asked).unwrap();
    assert_eq!(asked, "question\n", "the end of the input is passed on");
    stream.write_all(b"answer\n").unwrap();
    client.expect("answer\n");
    assert!(client.is_running());
    drop(stream);
    client.succeed();

    let mut client = piped(&server, &["--wait", "100ms"]);
    let stream = server.accept();
    assert_eq!(client.end_input().succeed(), "", "a server that never closes is not waited for");
    drop(stream);
}

#[test]
fn quit_words_in_a_pipe_and_other_words() {
    let server = Server::new();
    let mut client = piped(&server, &["--quit", "ciao"]);
    let mut stream = server.accept();
    client.say("exit\nciao\nmore\n");
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said, "exit\n");
    drop(stream);
    client.succeed();

    let mut client = piped(&server, &["--quit", ""]);
    let mut stream = server.accept();
    stream.write_all(b"exit\nquit\n").unwrap();
    drop(stream);
    assert_eq!(client.succeed(), "exit\nquit\n");

    let mut client = piped(&server, &[]);
    server.accept().write_all(b"one\nexit\ntwo\n").unwrap();
    assert_eq!(client.succeed(), "one\n", "its input is still open");
}

#[test]
fn what_fails_is_told_and_has_its_exit_code() {
    let server = Server::new();
    let closed = Server::new();
    let address = closed.address.clone();
    drop(closed);
    let mut refused = Program::start(CHAT, ["chat", &address]);
    let (status, output) = refused.finish();
    assert_eq!(status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output).contains("refused"));

    let mut reset = piped(&server, &[]);
    let stream = server.accept();
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let (status, output) = reset.finish();
    assert_eq!(status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output).contains("reset"));

    for wrong in
        [&["chat", "a b:c"][..], &["chat", "--name", "two words"], &["chat", "--listen", "1", "host"]]
    {
        let (status, _) = Program::start(CHAT, wrong).finish();
        assert_eq!(status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_reader_that_is_gone_is_no_failure() {
    let server = Server::new();
    let mut shell =
        Program::start("sh", ["-c", &format!("{CHAT} chat {} | head -1; exit 0", server.address)]);
    let mut stream = server.accept();
    let flood = std::thread::spawn(move || while stream.write_all(&b"line\n".repeat(1000)).is_ok() {});
    assert_eq!(shell.succeed(), "line\n");
    flood.join().unwrap();
}

#[test]
fn two_ends_chat_with_each_other_and_with_nc() {
    if !have(&["nc"], "the two-ended chat with nc") {
        return;
    }
    let address = |one: &mut Program| {
        one.expect("for one other");
        one.text().split_whitespace().nth(2).unwrap().to_owned()
    };
    let mut waiting = Program::start(CHAT, ["chat", "--listen", "0"]);
    let at = address(&mut waiting);
    assert!(at.starts_with("127.0.0.1:"), "nobody on the network is let in unasked");
    let mut calling = Terminal::start(&["chat", &at], 60, 10);
    calling.expect_typed(">");
    calling.press("héllo\r");
    waiting.expect("héllo\n").say("hello yourself\n");
    calling.expect("hello yourself");
    assert!(TcpStream::connect(&at).is_err(), "there are two ends and no more");
    waiting.say("exit\n");
    assert!(calling.finish().success());
    waiting.succeed();

    let mut waiting = Program::start(CHAT, ["chat", "--listen", "0"]);
    let at = address(&mut waiting);
    let port = at.rsplit(':').next().unwrap();
    let mut nc = Program::start("nc", ["127.0.0.1", port]);
    nc.say("from nc\n");
    waiting.expect("from nc\n").say("to nc\n");
    nc.expect("to nc\n").say("quit\n");
    waiting.succeed();
    nc.end_input().finish();
}

/// Lab A's server: select over all sockets; what one sends, the others get, as it came.
#[test]
fn a_labs_select_server_is_one_like_any_other() {
    if !have(&["python3"], "the chat client at a lab's server") {
        return;
    }
    let mut server =
        Program::start("python3", ["-u", program::file("labs/chat_server.py").to_str().unwrap()]);
    server.expect("port ");
    let port = server.text().split_whitespace().nth(1).unwrap().to_owned();
    let address = format!("127.0.0.1:{port}");
    let mut terminal = Terminal::start(&["chat", &address], 60, 12);
    terminal.expect_typed(">");
    let mut lab = Program::start(
        "python3",
        [program::file("labs/chat_client.py").to_str().unwrap(), "127.0.0.1", &port],
    );
    lab.expect("connected");
    server.expect_times("joined", 2);
    lab.say("from the lab\n");
    terminal.expect("from the lab");
    terminal.press("from ours\r");
    lab.expect("heard: from ours");
    let mut piped = Program::start(CHAT, ["chat", &address]);
    piped.say("from a pipe\n").end_input();
    terminal.expect("from a pipe");
    piped.succeed();
    terminal.press("exit\r");
    assert!(terminal.finish().success());
    assert!(wait_for(Duration::from_millis(50), || (!lab.is_running()).then_some(())).is_none());
}
