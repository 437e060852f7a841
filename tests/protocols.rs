//! The examples of docs/protocols.md, tried: what the page says the daemon answers is what it answers.

// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

mod support;

use support::transcript::{Block, blocks};
use support::{Daemon, PATIENCE, Start, wait_for};

/// A connection of an example.
#[derive(Debug, Default)]
struct Exchange {
    sent: Vec<u8>,
    /// The client ends its side behind that.
    half_closes: bool,
    expected: String,
    /// The daemon ends its side behind that.
    ends: bool,
}

/// The blocks under the heading `heading` of the page.
fn examples(heading: &str) -> Vec<Block> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/protocols.md")).unwrap();
    let blocks = blocks(&page).into_iter().filter(|block| block.heading == heading);
    blocks.filter(|block| block.language == "text").collect()
}

/// The only block under a heading with a line that begins like this.
fn example(heading: &str, begins: &str) -> Block {
    let is_it = |block: &Block| block.text.iter().any(|line| line.starts_with(begins));
    let mut found = examples(heading).into_iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(block), None) => block,
        other => panic!("under {heading}, {begins} begins not one example: {other:?}"),
    }
}

/// One connection: all lines of one direction are one text.
fn conversation(block: &Block) -> Exchange {
    let side =
        |mark: &str| -> String { block.text.iter().filter_map(|line| line.strip_prefix(mark)).collect() };
    assert!(block.text.iter().all(|line| line.starts_with("< ") || line.starts_with("> ")), "{block:?}");
    Exchange { sent: unescape(&side("< ")), expected: side("> "), ..Exchange::default() }
}

/// A connection for each line: what is sent, blanks, what comes.
fn pairs(block: &Block) -> Vec<Exchange> {
    let pair = |line: &String| {
        let (sent, expected) = line.strip_prefix("< ").unwrap().split_once(" > ").unwrap();
        let (sent, note) = sent.trim_end().split_once("  (").unwrap_or((sent.trim_end(), ""));
        let (sent, half_closes) = sent.strip_suffix(" (end)").map_or((sent, false), |sent| (sent, true));
        assert!(["", "25 ms)"].contains(&note), "{line}: a remark that nobody heeds");
        let (expected, ends) = expected.strip_suffix(" (end)").map_or((expected, false), |text| (text, true));
        Exchange { sent: unescape(sent), half_closes, expected: expected.to_owned(), ends }
    };
    block.text.iter().map(pair).collect()
}

/// The bytes that the escapes of the page stand for.
fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend(plain.as_bytes());
        let (byte, length) = match &escaped[..1] {
            "r" => (b'\r', 1),
            "n" => (b'\n', 1),
            "t" => (b'\t', 1),
            "0" => (0, 1),
            "\\" => (b'\\', 1),
            "x" => (u8::from_str_radix(&escaped[1..3], 16).unwrap(), 3),
            other => panic!("{text}: what is \\{other}?"),
        };
        bytes.push(byte);
        rest = &escaped[length..];
    }
    bytes.extend(rest.as_bytes());
    bytes
}

/// Plays it, and compares what came with what is written, but for what is of the moment.
fn check(address: SocketAddr, exchange: &Exchange) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&exchange.sent).unwrap();
    if exchange.half_closes {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    let expected = timeless(&unescape(&exchange.expected));
    let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
    while exchange.ends || !is_like(&timeless(&got), &expected) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => got.extend(&buffer[..n]),
            // It says no more: what it has said is not what is written.
            Err(error) if error.kind() == ErrorKind::WouldBlock && !exchange.ends => break,
            Err(error) => panic!("{error} behind {}", got.escape_ascii()),
        }
    }
    let got = timeless(&got);
    assert!(is_like(&got, &expected), "the page:\n{expected}\nthe daemon:\n{got}");
}

/// Whether a text is what an expected one says, in which `...` may stand for anything.
fn is_like(text: &str, expected: &str) -> bool {
    match expected.split_once("...") {
        None => text == expected,
        Some((begin, end)) => {
            text.len() >= begin.len() + end.len() && text.starts_with(begin) && text.ends_with(end)
        }
    }
}

/// A text without what is of the moment or of this run: dates, entity tags, ports, and lengths, which must be
/// right.
fn timeless(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let field = |line: &str| match line.split_once(": ") {
        Some(("Date", date)) if httpdate::parse_http_date(date.trim_end()).is_ok() => {
            "Date: {date}\r\n".to_owned()
        }
        Some(("ETag", tag)) => {
            let hex = |c: char| if c.is_ascii_hexdigit() { 'x' } else { c };
            format!("ETag: {}", tag.chars().map(hex).collect::<String>())
        }
        Some(("Content-Length", length)) if length.trim_end().parse() == Ok(body.len()) => {
            "Content-Length: {right}\r\n".to_owned()
        }
        _ => line.to_owned(),
    };
    let text: String = text.split_inclusive('\n').map(field).collect();
    without_ports(&without_times(&text))
}

/// Without the numbers of the ports of this machine.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "127.0.0.1:{port}" + part.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

/// Without the local time as `%c` has it.
fn without_times(text: &str) -> String {
    const SHAPE: &str = "Aaa Aaa 00 00:00:00 0000";
    let shape = |c: char| match c {
        'A'..='Z' => 'A',
        'a'..='z' => 'a',
        '0'..='9' => '0',
        other => other,
    };
    let shapes: String = text.chars().map(shape).collect::<String>().replace("a  0 ", "a 00 ");
    match shapes.find(SHAPE) {
        Some(at) if text.is_ascii() => format!("{}{{time}}{}", &text[..at], &text[at + SHAPE.len()..]),
        _ => text.to_owned(),
    }
}

fn tag(daemon: &Daemon) -> String {
    let mut stream = TcpStream::connect(daemon.tcp("http")).unwrap();
    stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n").unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    head.split("\r\n").find_map(|line| line.strip_prefix("ETag: ")).unwrap_or_default().to_owned()
}

#[test]
fn http() {
    let daemon = Start::reactor().run();
    let block = example("http", "< GET / HTTP/1.1");
    let exchange = conversation(&block);
    let modified = block.text.iter().find_map(|line| line.strip_prefix("> Last-Modified: ")).unwrap();
    let modified = httpdate::parse_http_date(modified.strip_suffix("\\r\\n").unwrap()).unwrap();
    let path = daemon.path("root/index.html");
    fs::write(&path, unescape(exchange.expected.rsplit_once("\\r\\n").unwrap().1)).unwrap();
    File::open(&path).unwrap().set_modified(modified).unwrap();
    // A file that was changed a moment ago has a weak tag.
    assert!(
        wait_for(PATIENCE, || tag(&daemon).starts_with('"').then_some(())).is_some(),
        "the tag stays weak"
    );
    check(daemon.tcp("http"), &exchange);
}

#[test]
fn http_on_a_line_port() {
    let daemon = Start::reactor().run();
    let mut exchange = conversation(&example("HTTP on a line port", "> HTTP/1.1 400"));
    exchange.sent = b"GET / HTTP/1.1\r\n".to_vec();
    for service in ["modify", "chat", "upload", "download", "reqtime"] {
        check(daemon.tcp(service), &exchange);
    }
}

#[test]
fn line_protocols() {
    let daemon = Start::reactor().set("modify.name=Ali").run();
    let mut too_long = conversation(&example("Messages", "> error: a line"));
    too_long.sent = vec![b'x'; 70_000];
    too_long.ends = true;
    check(daemon.tcp("modify"), &too_long);
    check(daemon.tcp("modify"), &conversation(&example("Telnet", "< \\xff")));
    let mut page = conversation(&example("hello", "> HTTP/1.0 200"));
    page.sent = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec();
    page.ends = true;
    check(daemon.tcp("hello"), &page);
    for exchange in pairs(&example("reqtime", "< reqtime")) {
        check(daemon.tcp("reqtime"), &exchange);
    }
    let mut date = conversation(&example("daytime", "> "));
    date.ends = true;
    check(daemon.tcp("daytime"), &date);
}

#[test]
fn files() {
    let daemon = Start::reactor().run();
    for begin in ["< hello.txt", "< /get"] {
        pairs(&example("download", begin)).iter().for_each(|pair| check(daemon.tcp("download"), pair));
    }
    // There is a file of the name in the first example of an upload already.
    fs::create_dir(daemon.path("uploads")).unwrap();
    fs::write(daemon.path("uploads/notes.txt"), "an older one").unwrap();
    for begin in ["< notes.txt", "< Hello there", "< /put 5"] {
        pairs(&example("upload", begin)).iter().for_each(|pair| check(daemon.tcp("upload"), pair));
    }
}

/// The mask hides what is of the moment, and nothing else.
#[test]
fn what_is_masked() {
    let head = b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:13:49 GMT\r\nContent-Length: 2\r\nETag: W/\"09af\"\r\n\r\nhi";
    let masked = "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {right}\r\nETag: W/\"xxxx\"\r\n\r\nhi";
    assert_eq!(timeless(head), masked);
    assert_eq!(timeless(b"Content-Length: 3\r\n\r\nhi"), "Content-Length: 3\r\n\r\nhi");
    assert_eq!(timeless(b"Sat Nov  1 01:07:09 2026\r\n"), "{time}\r\n");
    assert_eq!(timeless(b"at http://127.0.0.1:8000/\n"), "at http://127.0.0.1:{port}/\n");
    assert!(is_like("ab12cd", "ab...cd") && !is_like("abcd", "abc...bcd") && !is_like("ab", "ac"));
}
