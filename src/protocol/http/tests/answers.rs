//! Requests and what they get, however they are cut.

use super::{Site, statuses};

/// Raw requests, the statuses of the replies, and whether the connection stays open.
const CASES: &[(&str, &[u16], bool)] = &[
    // Sound requests.
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[200], true),
    ("HEAD /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[200], true),
    ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", &[200], true),
    ("\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n\r\n", &[200], true),
    ("GET /a.txt HTTP/1.1\r\nhOST:h\r\n\r\n", &[200], true),
    ("GET /a.txt HTTP/1.1\r\nHost: \t h:80 \t\r\nA: b\r\n\r\n", &[200], true),
    ("GET /a.txt HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", &[200], true),
    ("GET /a.txt HTTP/1.1\r\nHost: 127.0.0.1:\r\n\r\n", &[200], true),
    ("GET /a.txt HTTP/1.7\r\nHost: h\r\n\r\n", &[200], true),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nX: \u{e9}\r\nY:\r\n\r\n", &[200], true),
    ("GET /sub/../a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[400], true),
    ("GET /sub HTTP/1.1\r\nHost: h\r\n\r\n", &[301], true),
    ("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n", &[404], true),
    ("HEAD /nothing HTTP/1.1\r\nHost: h\r\n\r\n", &[404], true),
    ("GET /long.bin HTTP/1.1\r\nHost: h\r\n\r\n", &[200], true),
    ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", &[204], true),
    ("OPTIONS /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[204], true),
    // Other forms of the target.
    ("GET http://h/a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[200], true),
    ("GET HTTPS://h:1/a.txt?q HTTP/1.1\r\nHost: h\r\n\r\n", &[200], true),
    ("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", &[200], true),
    ("GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", &[200], true),
    ("GET http://u@h/a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[400], true),
    ("GET http:///a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[400], true),
    ("GET ftp://h/a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[400], true),
    ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", &[400], true),
    ("GET a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[400], true),
    ("GET /a.txt#x HTTP/1.1\r\nHost: h\r\n\r\n", &[400], true),
    // Keeping and closing.
    ("GET /a.txt HTTP/1.0\r\n\r\n", &[200], false),
    ("GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &[200], true),
    ("GET /a.txt HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", &[200], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", &[200], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: x ,CLOSE\r\n\r\nGET", &[200], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: closer\r\n\r\n", &[200], true),
    // Line ends typed by people.
    ("GET /a.txt HTTP/1.0\n\n", &[200], false),
    ("HEAD /a.txt HTTP/1.0\nHost: h\n\nGET", &[200], false),
    ("GET /a.txt HTTP/1.0\nConnection: keep-alive\n\n", &[200], false),
    ("GET /a.txt HTTP/1.0\nContent-Length: 0\n\n", &[400], false),
    ("GET /a.txt HTTP/1.0\nTransfer-Encoding: chunked\n\n0\r\n\r\n", &[400], false),
    ("POST /a.txt HTTP/1.0\n\n", &[400], false),
    ("GET /a.txt HTTP/1.1\nHost: h\n\n", &[400], false),
    ("GET /a.txt HTTP/1.0\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.0\r\n\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", &[400], false),
    ("\nGET /a.txt HTTP/1.0\n\n", &[400], false),
    // Request lines.
    ("GET /a.txt\r\n", &[400], false),
    ("GET  /a.txt HTTP/1.1\r\n", &[400], false),
    ("GET /a.txt  HTTP/1.1\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1 \r\n", &[400], false),
    ("GET /a b.txt HTTP/1.1\r\n", &[400], false),
    ("GET\t/a.txt HTTP/1.1\r\n", &[400], false),
    ("GET /a\x01 HTTP/1.1\r\n", &[400], false),
    ("GET /a\0 HTTP/1.1\r\n", &[400], false),
    ("GET /a.txt\rX HTTP/1.1\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\r\n", &[400], false),
    ("G(T /a.txt HTTP/1.1\r\n", &[400], false),
    ("GET /a.txt http/1.1\r\n", &[400], false),
    ("GET /a.txt HTTP/11\r\n", &[400], false),
    ("GET /a.txt HTTP/2.0\r\n", &[505], false),
    ("GET /a.txt HTTP/0.9\r\n", &[505], false),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505], false),
    (" GET / HTTP/1.1\r\n", &[400], false),
    ("\rGET / HTTP/1.1\r\n", &[400], false),
    ("\x16\x03\x01\x02\0", &[400], false),
    // Methods.
    (
        "POST /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n",
        &[405, 200],
        true,
    ),
    ("DELETE /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[405], true),
    ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", &[405], true),
    ("BREW /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[501], true),
    ("get /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[501], true),
    // Hosts.
    ("GET /a.txt HTTP/1.1\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost:\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h i\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h:x\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h:80:80\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h:65536\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: u@h\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h/x\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: [::1\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: [h]\r\n\r\n", &[400], false),
    // Fields.
    ("GET /a.txt HTTP/1.1\r\nHost : h\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\n Host: h\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nX:\r\n\tb\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nnothing\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nX[: a\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nX: a\r\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nX: a\x7f\r\n\r\n", &[400], false),
    ("GET /a.txt HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\r\n\r\n", &[400], false),
];

/// As [`CASES`]: where a request ends.
const BODIES: &[(&str, &[u16], bool)] = &[
    ("Content-Length: 0\r\n\r\n", &[200], true),
    ("Content-Length: 5\r\n\r\nGET /", &[200], true),
    ("Content-Length: 007\r\n\r\n1234567", &[200], true),
    ("Content-Length: 5\r\n\r\n123", &[], true),
    ("Content-Length: +5\r\n\r\n12345", &[400], false),
    ("Content-Length: -5\r\n\r\n12345", &[400], false),
    ("Content-Length: 5 5\r\n\r\n12345", &[400], false),
    ("Content-Length: 0x5\r\n\r\n12345", &[400], false),
    ("Content-Length: 5, 5\r\n\r\n12345", &[400], false),
    ("Content-Length:\r\n\r\n", &[400], false),
    ("Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345", &[400], false),
    ("Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", &[400], false),
    ("Content-Length: 18446744073709551616\r\n\r\n", &[400], false),
    ("Content-Length: 1048577\r\n\r\n", &[413], false),
    ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[200], true),
    ("Transfer-Encoding: CHUNKED\r\n\r\n5\r\nabcde\r\n00A\r\n0123456789\r\n0\r\nT: x\r\n\r\n", &[200], true),
    ("Transfer-Encoding: chunked\r\n\r\n1;a;b=c;d=\"e;f\"\r\nx\r\n0;z\r\n\r\n", &[200], true),
    ("Transfer-Encoding: chunked\r\n\r\n5\r\nabc", &[], true),
    ("Transfer-Encoding: chunked\r\n\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n 1\r\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n", &[413], false),
    ("Transfer-Encoding: chunked\r\n\r\n1;\r\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n1;a=\r\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n1;a\rb\r\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n1;a=\"b\r\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n0\r\nT x\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n0\r\nT : x\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n0\r\n T: x\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n0\r\nT: a\rb\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\n\r\n0\r\n\n", &[400], false),
    ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", &[400], false),
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding:\r\n\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", &[400], false),
    ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[501], false),
    ("Transfer-Encoding: identity\r\n\r\n", &[501], false),
    ("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[501], false),
    ("Expect: 100-continue\r\n\r\n", &[200], true),
    ("Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n12345", &[100, 200], true),
    ("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nz\r\n", &[100, 400], false),
    ("Expect: wonders\r\n\r\n", &[417], false),
    ("Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", &[400], false),
];

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
    for (raw, expected, keep) in CASES {
        check(&site, raw, expected, *keep);
    }
    for (fields, expected, keep) in BODIES {
        check(&site, &format!("GET /a.txt HTTP/1.1\r\nHost: h\r\n{fields}"), expected, *keep);
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
