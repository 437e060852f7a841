//! Ranges of files.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use super::{Case, Client, Site, check_cases, statuses};
use crate::out::Front;

const fn case(fields: &'static str, status: u16, has: &'static [&'static str]) -> Case {
    Case { line: "GET /digits", fields, status, has, lacks: &[] }
}

const ALL: &[&str] = &["Content-Length: 10000\r\n", "Accept-Ranges: bytes\r\n"];
const NONE: &[&str] = &["Content-Range: bytes */10000\r\n"];

const CASES: &[Case] = &[
    case(
        "Range: bytes=0-0",
        206,
        &["Content-Range: bytes 0-0/10000\r\n", "Content-Length: 1\r\n", "\r\n\r\n0"],
    ),
    case("Range: bytes=5-7", 206, &["bytes 5-7/10000", "\r\n\r\n567"]),
    case("Range: bytes=9995-", 206, &["bytes 9995-9999/10000", "\r\n\r\n56789"]),
    case("Range: bytes=-3", 206, &["bytes 9997-9999/10000", "\r\n\r\n789"]),
    case("Range: bytes=-10000", 206, &["bytes 0-9999/10000", "Content-Length: 10000\r\n"]),
    case("Range: bytes=-99999", 206, &["bytes 0-9999/10000"]),
    case("Range: bytes=0-", 206, &["bytes 0-9999/10000"]),
    case("Range: bytes=0-99999", 206, &["bytes 0-9999/10000"]),
    case("Range: bytes=9999-9999", 206, &["bytes 9999-9999/10000", "\r\n\r\n9"]),
    case("Range: bytes=3-99999999999999999999999999", 206, &["bytes 3-9999/10000"]),
    case("Range: Bytes=1-1", 206, &["bytes 1-1/10000", "\r\n\r\n1"]),
    case("Range: bytes= 1-1 ", 206, &["bytes 1-1/10000"]),
    case("Range: bytes=10000-", 416, NONE),
    case("Range: bytes=10000-10001", 416, NONE),
    case("Range: bytes=99999999999999999999-", 416, NONE),
    case("Range: bytes=-0", 416, NONE),
    case("Range: bytes=20000-,30000-", 416, NONE),
    case("Range: bytes=2-1", 200, ALL),
    case("Range: bytes=", 200, ALL),
    case("Range: bytes=-", 200, ALL),
    case("Range: bytes=a-b", 200, ALL),
    case("Range: bytes=1", 200, ALL),
    case("Range: bytes=1-2-3", 200, ALL),
    case("Range: bytes=+1-2", 200, ALL),
    case("Range: bytes=1-2;", 200, ALL),
    case("Range: bytes 1-2", 200, ALL),
    case("Range: bytes:1-2", 200, ALL),
    case("Range: chars=1-2", 200, ALL),
    case("Range: =1-2", 200, ALL),
    case("Range:", 200, ALL),
    case("Range: bytes=0-0 | Range: bytes=1-1", 200, ALL),
    // Several: those that overlap or nearly touch are one.
    case("Range: bytes=0-1,2-3", 206, &["bytes 0-3/10000", "\r\n\r\n0123"]),
    case("Range: bytes=2-3,0-1", 206, &["bytes 0-3/10000", "\r\n\r\n0123"]),
    case("Range: bytes=0-5,3-8", 206, &["bytes 0-8/10000"]),
    case("Range: bytes=0-0,100-100", 206, &["bytes 0-100/10000"]),
    case("Range: bytes=0-1,20000-", 206, &["bytes 0-1/10000", "\r\n\r\n01"]),
    case("Range: bytes=0-,0-,0-", 206, &["bytes 0-9999/10000"]),
    case(
        "Range: bytes=0-1,5000-5001",
        206,
        &[
            "multipart/byteranges; boundary=switchboard-",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/10000\r\n\r\n01\r\n--",
            "Content-Range: bytes 5000-5001/10000\r\n\r\n01\r\n--",
            "--\r\n",
        ],
    ),
    case("Range: bytes=-1,0-0", 206, &["bytes 9999-9999/10000\r\n\r\n9", "bytes 0-0/10000\r\n\r\n0"]),
    // As long as the whole: the whole.
    case("Range: bytes=0-4900,5100-9999", 200, ALL),
    // If-Range: exactly the same state, or everything.
    case("Range: bytes=1-1 | If-Range: {t}", 200, ALL),
    case("Range: bytes=1-1 | If-Range: \"x\"", 200, ALL),
    case("Range: bytes=1-1 | If-Range: Thu, 01 Jan 1970 00:01:40 GMT", 206, &["\r\n\r\n1"]),
    case("Range: bytes=1-1 | If-Range: Thu, 01 Jan 1970 00:01:41 GMT", 200, ALL),
    case("Range: bytes=1-1 | If-Range: Thu, 01 Jan 1970 00:01:39 GMT", 200, ALL),
    case("Range: bytes=1-1 | If-Range: nonsense", 200, ALL),
    case("Range: bytes=1-1 | If-Range: *", 200, ALL),
    case("Range: bytes=20000- | If-Range: \"x\"", 200, ALL),
    case("If-Range: \"x\"", 200, ALL),
];

fn site() -> Site {
    let site = Site::of_old();
    let digits: Vec<u8> = b"0123456789".repeat(1000);
    site.put("digits", &digits, 100);
    // A name without an extension is a download; parts of text are easier to read.
    fs::rename(site.root().join("digits"), site.root().join("digits.txt")).unwrap();
    std::os::unix::fs::symlink("digits.txt", site.root().join("digits")).unwrap();
    site
}

#[test]
fn ranges_are_sent_as_asked_for() {
    let site = site();
    let cases: Vec<Case> = CASES.iter().map(|case| Case { line: "GET /digits.txt", ..*case }).collect();
    check_cases(&site, &cases);
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
