//! The access log.

use std::fs;

use super::super::Options;
use super::{Http, Site};
use crate::protocol::Protocol;

/// What is in the log after these requests, each on a connection of its own.
fn log(requests: &[&[u8]]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let site = Site::with(Options { access_log: Some(path.clone()), ..Options::default() });
    Http::prepare(&site.options).unwrap();
    for request in requests {
        let mut client = site.connect();
        client.send(request);
        client.shared.end_turn();
    }
    fs::read_to_string(path).unwrap()
}

const START: &str = "127.0.0.1 - - [21/Nov/2026:01:07:09 +0000] ";

#[test]
fn every_request_is_a_line() {
    let text = log(&[
        b"GET /a.txt HTTP/1.1\r\nHost: h\r\nReferer: http://x/\r\nUser-Agent: curl/8\r\n\r\n",
        b"HEAD /a.txt HTTP/1.1\r\nHost: h\r\n\r\nGET /none?q HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /long.bin HTTP/1.0\n\n",
        b"GET /sub HTTP/1.1\r\n\r\n",
    ]);
    let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix(START).unwrap()).collect();
    assert_eq!(lines[0], "\"GET /a.txt HTTP/1.1\" 200 6 \"http://x/\" \"curl/8\"");
    assert_eq!(lines[1], "\"HEAD /a.txt HTTP/1.1\" 200 0 \"-\" \"-\"");
    assert!(lines[2].starts_with("\"GET /none?q HTTP/1.1\" 404 "), "{}", lines[2]);
    assert!(lines[3].starts_with("\"POST / HTTP/1.1\" 405 "), "{}", lines[3]);
    assert_eq!(lines[4], "\"GET /long.bin HTTP/1.0\" 200 20000 \"-\" \"-\"");
    assert!(lines[5].starts_with("\"GET /sub HTTP/1.1\" 400 "), "{}", lines[5]);
    assert_eq!(lines.len(), 6);
}

#[test]
fn nothing_forges_a_line() {
    let text = log(&[
        b"\x16\x03\x01\x1b[2J\" 200 0\n127.0.0.1 - - [] \"GET / HTTP/1.1\" 200 0 \"-\" \"-\"\n",
        b"GET /%0a\"\\ HTTP/1.1\r\nHost: h\r\nUser-Agent: \xff\xe2\x80\xae\"\t\r\n\r\n",
    ]);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.is_ascii() && !text.contains('\x1b') && text.contains("\\x1b[2J\\x22 200 0\" 400 "),
        "{text}"
    );
    assert!(text.contains("\"\\xff\\xe2\\x80\\xae\\x22\""), "{text}");
}

#[test]
fn a_listing_is_noted_when_it_is_through_or_its_reader_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let site = Site::with(Options { access_log: Some(path.clone()), ..Options::default() });
    Http::prepare(&site.options).unwrap();
    fs::create_dir(site.root().join("many")).unwrap();
    for i in 0..2 * crate::limits::LISTING_AT_ONCE {
        fs::write(site.root().join(format!("many/{i}")), b"").unwrap();
    }
    let request = b"GET /many/ HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\n\r\n";
    let mut client = site.connect();
    client.send(request);
    let mut other = site.connect();
    other.with(|conn, env| conn.input(request, env));
    other.with(|conn, env| conn.closed(crate::protocol::Why::PeerReset, env));
    client.shared.end_turn();
    other.shared.end_turn();
    let text = fs::read_to_string(path).unwrap();
    let sizes: Vec<usize> =
        text.lines().map(|line| line.split(' ').nth(9).unwrap().parse().unwrap()).collect();
    assert_eq!(sizes.len(), 2, "{text}");
    assert!(sizes[0] > 50_000 && sizes[1] < 10_000, "{text}");
    assert!(text.lines().all(|line| line.ends_with("\"-\" \"x\"")), "{text}");
}
