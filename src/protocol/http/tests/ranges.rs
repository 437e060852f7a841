//! Ranges of files.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use super::rows::{self, RANGES};
use super::{Client, Site, check_cases, statuses};
use crate::out::Front;

fn site() -> Site {
    let site = Site::of_old();
    rows::fill_digits(site.root());
    site
}

#[test]
fn ranges_are_sent_as_asked_for() {
    let site = site();
    check_cases(&site, RANGES);
    let tag = site.field("GET /digits.txt", "", "ETag");
    let request =
        format!("GET /digits.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=1-1\r\nIf-Range: {tag}\r\n\r\n");
    assert_eq!(statuses(&site.ask([request.as_bytes()]).0), [206]);
}

#[test]
fn head_has_no_ranges() {
    let site = site();
    let head = site.ask([b"HEAD /digits.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=0-0\r\n\r\n".as_slice()]).0;
    assert!(head.starts_with(b"HTTP/1.1 200 ") && head.ends_with(b"\r\n\r\n"));
}

/// Takes a multipart body apart by its length and boundary alone.
#[test]
fn several_parts_are_framed_and_never_longer_than_the_file() {
    let site = site();
    for n in [2, 3, 10, 40, 64, 65, 1000] {
        let specs: Vec<String> = (0..n).map(|i| format!("{}-{}", i * 240 % 9990, i * 240 % 9990)).collect();
        let request = format!(
            "GET /digits.txt HTTP/1.1\r\nHost: h\r\nRange: bytes={}\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n",
            specs.join(",")
        );
        let (got, is_open) = site.ask([request.as_bytes()]);
        let text = String::from_utf8(got).unwrap();
        let (head, rest) = text.split_once("\r\n\r\n").unwrap();
        let length: usize =
            head.split("Content-Length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        assert!(is_open && length <= 10_000, "{n}");
        assert!(rest[length..].starts_with("HTTP/1.1 200 "), "the next reply follows at once");
        if let Some(boundary) = head.split("boundary=").nth(1).map(|rest| rest.lines().next().unwrap()) {
            let end = format!("\r\n--{boundary}--\r\n");
            assert!(rest[..length].ends_with(&end));
            let parts = rest[..length - end.len()].split(&format!("\r\n--{boundary}\r\n")).skip(1).count();
            assert!(if n <= 40 { parts == n } else { parts < n }, "{parts} of {n}");
        }
    }
}

#[test]
fn files_of_more_than_4_gib_work() {
    const SIZE: u64 = 5 * 1024 * 1024 * 1024;
    let site = Site::of_old();
    let mut file = fs::File::create(site.root().join("huge.bin")).unwrap();
    file.seek(SeekFrom::Start(SIZE - 4)).unwrap();
    file.write_all(b"tail").unwrap();
    assert_eq!(site.field("HEAD /huge.bin", "", "Content-Length"), SIZE.to_string());
    let ask = |range: &str| {
        let request = format!("GET /huge.bin HTTP/1.1\r\nHost: h\r\nRange: bytes={range}\r\n\r\n");
        String::from_utf8(site.ask([request.as_bytes()]).0).unwrap()
    };
    let reply = ask("-4");
    assert!(reply.contains(&format!("Content-Range: bytes {}-{}/{SIZE}\r\n", SIZE - 4, SIZE - 1)));
    assert!(reply.ends_with("\r\n\r\ntail"));
    let from = u64::from(u32::MAX);
    assert!(ask(&format!("{from}-{}", from + 1)).ends_with("\r\n\r\n\0\0"));
    let mut client: Client = site.connect();
    client.with(|conn, env| conn.input(b"GET /huge.bin HTTP/1.1\r\nHost: h\r\n\r\n", env));
    super::read_head(&mut client);
    match client.conn.out().unwrap().front(&[]) {
        Front::File(range) => assert_eq!((range.offset, range.len), (0, SIZE)),
        other => panic!("{other:?}"),
    }
}
