//! Requests and what they get, however they are cut.

use super::rows::{BEGIN, BODIES, REQUESTS};
use super::{Site, statuses};

fn check(site: &Site, raw: &str, expected: &[u16], keep: bool) {
    let raw = raw.as_bytes();
    let (whole, is_open) = site.ask([raw]);
    assert_eq!((statuses(&whole).as_slice(), is_open), (expected, keep), "{}", raw.escape_ascii());
    assert_eq!(site.ask(raw.chunks(1)), (whole.clone(), is_open), "byte by byte: {}", raw.escape_ascii());
    for at in 1..raw.len() {
        let (first, second) = raw.split_at(at);
        assert_eq!(
            site.ask([first, second]),
            (whole.clone(), is_open),
            "cut at {at}: {}",
            raw.escape_ascii()
        );
    }
}

#[test]
fn every_request_gets_its_answer_however_it_is_cut() {
    let site = Site::new();
    for (raw, expected, keep) in REQUESTS {
        check(&site, raw, expected, *keep);
    }
    for (fields, expected, keep) in BODIES {
        check(&site, &format!("{BEGIN}{fields}"), expected, *keep);
    }
}

#[test]
fn nothing_behind_a_broken_request_is_a_request() {
    let site = Site::new();
    let next = "GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n";
    for (fields, expected, keep) in BODIES {
        let raw = format!("GET /sub/b.txt HTTP/1.1\r\nHost: h\r\n{fields}{next}");
        let (got, is_open) = site.ask([raw.as_bytes()]);
        if !keep {
            assert_eq!((statuses(&got).as_slice(), is_open), (*expected, false), "{fields:?}");
        } else if expected.last() == Some(&200) {
            assert!(got.ends_with(b"hello\n") && is_open, "{fields:?}");
        }
    }
}

#[test]
fn a_request_that_expects_is_told_no_at_once_and_closed() {
    let site = Site::new();
    let head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    check(&site, head, &[405], false);
    // HTTP/1.0 knows no expectations.
    check(&site, "GET /a.txt HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", &[200], false);
    check(&site, "GET /a.txt HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], false);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let site = Site::new();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    let order = ["/a.txt", "/long.bin", "/sub/b.txt", "/", "/long.bin", "/none", "/a.txt"];
    let (got, is_open) = site.ask([order.map(request).concat().as_bytes()]);
    let separately: Vec<u8> = order.iter().flat_map(|path| site.ask([request(path).as_bytes()]).0).collect();
    assert!(is_open);
    assert_eq!(got, separately);
}

#[test]
fn the_same_request_again_in_a_pipeline_gets_the_same_reply_again() {
    let site = Site::of_old();
    let request = |fields: &str| format!("GET /a.txt HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let plain = request("");
    // Once, so that the cache has it.
    let (reply, _) = site.ask([plain.as_bytes()]);
    let head = request("Accept: */*\r\n").replace("GET", "HEAD");
    let other = request("X: y\r\n");
    let pipeline = [&plain, &plain, &plain, &other, &plain, &plain, &head, &plain, &plain[..20]].concat();
    let (got, is_open) = site.ask([pipeline.as_bytes()]);
    let head_reply = site.ask([head.as_bytes()]).0;
    let expected = [reply.repeat(6), head_reply, reply].concat();
    assert!(is_open);
    assert_eq!(got, expected);
}

#[test]
fn a_flood_of_requests_waits_for_room() {
    let site = Site::new();
    let mut client = site.connect();
    let flood = "GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1900);
    client.with(|conn, env| conn.input(flood.as_bytes(), env));
    assert!(client.conn.out().unwrap().len() < crate::limits::OUT_HIGH_MARK + 1024);
    assert!(!client.conn.wants_input());
    client.read();
    assert_eq!(statuses(&client.got).len(), 1900);
}
