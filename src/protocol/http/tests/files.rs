//! Files, and what must not be one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::super::{Options, Refusal};
use super::{LONG, Site, statuses};
use crate::time::Time;

fn status(site: &Site, path: &str) -> u16 {
    statuses(site.get(path).as_bytes())[0]
}

#[test]
fn a_file_comes_with_its_fields() {
    let site = Site::new();
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    fs::File::open(site.root().join("a.txt")).unwrap().set_modified(modified).unwrap();
    let reply = site.get("/a.txt");
    let (before, tag) = reply.split_once("ETag: ").unwrap();
    assert_eq!(
        before,
        "HTTP/1.1 200 OK\r\nServer: switchboard\r\nDate: Sat, 21 Nov 2026 01:07:09 GMT\r\n\
         Content-Length: 6\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Accept-Ranges: bytes\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    );
    assert!(tag.trim_start_matches("W/").starts_with('"') && tag.ends_with("\"\r\n\r\nhello\n"), "{tag}");
}

#[test]
fn head_is_get_without_the_body() {
    let site = Site::new();
    for path in ["/a.txt", "/long.bin", "/", "/sub", "/none", "/with%20index/", "/%2e%2e", "/empty.html"] {
        let ask = |method| site.ask([format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()]).0;
        let (get, head) = (ask("GET"), ask("HEAD"));
        assert!(get.starts_with(&head) && head.ends_with(b"\r\n\r\n"), "{path}");
        let text = String::from_utf8(head.clone()).unwrap();
        let length = text.split("Content-Length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        assert_eq!(length.unwrap().parse(), Ok(get.len() - head.len()), "{path}");
    }
}

/// What is kept of replies is renewed every second, form by form; what somebody still sends stays as it is.
#[test]
fn each_reply_has_the_date_of_its_second_whatever_else_is_sent() {
    static SECOND: AtomicU64 = AtomicU64::new(1_800_000_000);
    const ASK: &str = "GET /page.txt HTTP/1.1\r\nHost: h\r\n";
    let clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(SECOND.load(Ordering::Relaxed));
    let site = Site { clock, ..Site::new() };
    site.put("page.txt", b"as it is", 1_700_000_000);
    site.put("page.txt.gz", b"smaller", 1_700_000_000);
    let (mut reader, mut dawdler) = (site.connect(), site.connect());
    for (second, minute) in [(0, "08:00:00"), (0, "08:00:00"), (1, "08:00:01"), (2, "08:00:02")] {
        SECOND.store(1_800_000_000 + second, Ordering::Relaxed);
        reader.now = Time::START.after(Duration::from_secs(second));
        for (fields, content) in [("", "as it is"), ("Accept-Encoding: gzip\r\n", "smaller")] {
            reader.got.clear();
            reader.send(format!("{ASK}{fields}\r\n").as_bytes());
            let date = format!("Date: Fri, 15 Jan 2027 {minute} GMT\r\n");
            assert!(reader.text().contains(&date), "{minute}: {}", reader.text());
            assert!(reader.text().ends_with(&format!("\r\n\r\n{content}")), "{}", reader.text());
            assert_eq!(reader.text().contains("Content-Encoding: gzip"), content == "smaller");
        }
        if second == 1 {
            dawdler.now = reader.now;
            dawdler.with(|conn, env| conn.input(format!("{ASK}\r\n").as_bytes(), env));
        }
    }
    dawdler.read();
    assert!(dawdler.text().contains(" 08:00:01 GMT\r\n") && dawdler.text().ends_with("as it is"));
}

#[test]
fn a_long_file_comes_whole() {
    let site = Site::new();
    assert!(site.get("/long.bin").ends_with(&format!("\r\n\r\n{}", "x".repeat(LONG))));
}

#[test]
fn nothing_outside_the_root_is_reached() {
    let site = Site::new();
    for (path, expected) in [
        ("/../outside/passwd", 400),
        ("/..", 400),
        ("/./a.txt", 400),
        ("/sub/../../outside/passwd", 400),
        ("/%2e%2e/outside/passwd", 400),
        ("/%2E./outside/passwd", 400),
        ("/..%2foutside%2fpasswd", 404),
        ("/..%2Foutside/passwd", 404),
        ("/%2e%2e%2foutside%2fpasswd", 404),
        ("/sub%2fb.txt", 404),
        ("/%252e%252e/outside/passwd", 404),
        ("/..%5c..%5coutside", 404),
        ("/..\\..\\outside", 404),
        ("/a.txt%00.html", 400),
        ("/%00", 400),
        ("/%", 400),
        ("/%4", 400),
        ("/%zz", 400),
        ("/%ff%fe", 404),
        ("/\u{e9}", 404),
        ("//outside/passwd", 404),
        ("/relative", 404),
        ("/absolute", 404),
        ("/out/passwd", 404),
        ("/out/", 404),
        ("/out", 404),
        ("/dangling", 404),
        ("/loop", 404),
        ("/.secret", 404),
        ("/%2esecret", 404),
        ("/a.txt/", 404),
        ("/a.txt/x", 404),
        ("/sub/inside", 200),
        ("//a.txt", 200),
        ("/%61.txt?x=/../..", 200),
        ("/back%5cslash", 200),
    ] {
        assert_eq!(status(&site, path), expected, "{path}");
        assert!(!site.get(path).contains("SECRET"), "{path}");
    }
    assert_eq!(status(&site, &format!("/{}", "x".repeat(300))), 404);
}

#[test]
fn a_directory_without_its_slash_is_redirected() {
    let site = Site::new();
    fs::create_dir_all(site.root().join("evil.com/x")).unwrap();
    fs::create_dir(site.root().join("a?b:c\r\nd")).unwrap();
    assert!(site.get("/with%20index/").contains("<h1>index</h1>"), "it is remembered");
    for (path, location) in [
        ("/sub", "/sub/"),
        ("/sub?a=b&c", "/sub/?a=b&c"),
        ("/sub/deep", "/sub/deep/"),
        ("/with%20index", "/with%20index/"),
        ("//evil.com", "/evil.com/"),
        ("///evil.com//x", "/evil.com/x/"),
        ("http://elsewhere//evil.com", "/evil.com/"),
        // Links on the page would lead elsewhere from there: the index file's own as well.
        ("//", "/"),
        ("/sub//", "/sub/"),
        ("//sub/deep/?a=//", "/sub/deep/?a=//"),
        ("/sub//deep/", "/sub/deep/"),
        ("/with%20index//", "/with%20index/"),
        ("/a%3fb%3Ac%0d%0Ad?\u{e9}<", "/a%3Fb%3Ac%0D%0Ad/?%C3%A9%3C"),
    ] {
        let reply = site.get(path);
        assert!(reply.starts_with("HTTP/1.1 301 "), "{path}: {reply}");
        assert!(reply.contains(&format!("\r\nLocation: {location}\r\n")), "{path}: {reply}");
    }
}

#[test]
fn the_index_stands_for_its_directory() {
    let site = Site::new();
    assert!(site.get("/with%20index/").ends_with("\r\n\r\n<h1>index</h1>"));
    let site = Site::with(Options { index: "b.txt".to_owned(), listing: false, ..Options::default() });
    assert!(site.get("/sub/").ends_with("\r\n\r\nbelow\n"));
    assert_eq!(status(&site, "/"), 403);
    let site = Site::with(Options { index: String::new(), hidden: true, ..Options::default() });
    assert!(site.get("/with%20index/").contains("index.html</span></a>"));
    assert_eq!(status(&site, "/.secret"), 200);
}

#[test]
fn what_is_no_file_does_not_block() {
    let site = Site::new();
    mknodat(CWD, site.root().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(site.root().join("socket")).unwrap();
    assert_eq!((status(&site, "/pipe"), status(&site, "/socket")), (403, 403));
    assert!(!site.get("/").contains("pipe"));
}

#[test]
fn what_may_not_be_read_is_forbidden() {
    let site = Site::new();
    fs::set_permissions(site.root().join("a.txt"), fs::Permissions::from_mode(0o0)).unwrap();
    if fs::File::open(site.root().join("a.txt")).is_err() {
        assert_eq!(status(&site, "/a.txt"), 403);
    }
}

#[test]
fn errors_of_the_file_system_have_their_status() {
    use rustix::io::Errno;
    for (errno, expected, closes) in [
        (Errno::ACCESS, 403, false),
        (Errno::NOENT, 404, false),
        (Errno::LOOP, 404, false),
        (Errno::MFILE, 503, true),
        (Errno::NFILE, 503, true),
        (Errno::IO, 500, false),
    ] {
        let refusal = Refusal::from(std::io::Error::from(errno));
        assert_eq!((refusal.status.0, refusal.closes), (expected, closes));
    }
}

#[test]
fn a_method_that_is_not_allowed_is_told_what_is() {
    let site = Site::new();
    let ask = |line: &str| site.ask([format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()]).0;
    for line in ["PUT /a.txt", "OPTIONS *", "OPTIONS /none"] {
        let reply = String::from_utf8(ask(line)).unwrap();
        assert!(reply.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"), "{reply}");
    }
    let reply = String::from_utf8(ask("OPTIONS *")).unwrap();
    assert!(!reply.contains("Content-Length") && reply.ends_with("\r\n\r\n"));
}
