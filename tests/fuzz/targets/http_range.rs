//! Any `Range` field: each part is what it says to be, and no reply is much longer than the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_fuzz::{LONG, Site, byte, field, split};

thread_local! {
    static SITE: Site = Site::default();
}

fuzz_target!(|data: &[u8]| {
    if data.iter().any(|b| matches!(b, b'\r' | b'\n')) {
        return;
    }
    SITE.with(|site| {
        let request = [b"GET /long.bin HTTP/1.1\r\nHost: h\r\nRange: ", data, b"\r\n\r\n"].concat();
        let reply = site.ask(&request);
        let (head, body) = split(&reply);
        match &head[..13] {
            "HTTP/1.1 200 " => check(body, 0, LONG),
            "HTTP/1.1 416 " => {
                assert_eq!(field(&head, "Content-Range"), Some(format!("bytes */{LONG}").as_str()));
            }
            "HTTP/1.1 206 " => match field(&head, "Content-Range") {
                Some(range) => check_range(range, body),
                None => check_parts(&head, body),
            },
            "HTTP/1.1 400 " | "HTTP/1.1 431 " => {}
            other => panic!("{other}"),
        }
        if let Some(length) = field(&head, "Content-Length") {
            assert_eq!(length.parse(), Ok(body.len()));
        }
    });
});

fn check(body: &[u8], start: usize, end: usize) {
    assert_eq!(body.len(), end - start);
    assert!(body.iter().enumerate().all(|(at, b)| *b == byte(start + at)));
}

/// Checks a body against `bytes 5-9/20000`.
fn check_range(range: &str, body: &[u8]) {
    let range = range.strip_prefix("bytes ").unwrap().strip_suffix(&format!("/{LONG}")).unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    assert!(first <= last && last < LONG, "{range}");
    check(body, first, last + 1);
}

fn check_parts(head: &str, body: &[u8]) {
    let kind = field(head, "Content-Type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap().trim_matches('"');
    let (between, end) = (format!("\r\n--{boundary}\r\n"), format!("\r\n--{boundary}--\r\n"));
    let (mut rest, mut parts, mut content) = (body, 0, 0);
    while let Some(part) = rest.strip_prefix(between.as_bytes()) {
        let (fields, behind) = split(part);
        let range = field(&fields, "Content-Range").unwrap().to_owned();
        let (first, last) = range[6..range.find('/').unwrap()].split_once('-').unwrap();
        let length = last.parse::<usize>().unwrap() + 1 - first.parse::<usize>().unwrap();
        check_range(&range, &behind[..length]);
        rest = &behind[length..];
        (parts, content) = (parts + 1, content + length);
    }
    assert_eq!(rest, end.as_bytes());
    assert!(parts > 1 && content <= LONG, "{parts} parts, {content} bytes");
}
