//! Pages of directories.

use std::fs;
use std::time::{Duration, SystemTime};

use askama::Template;

use super::super::Options;
use super::super::page::{Bottom, Summary, Sums};
use super::super::reserve::Reserved;
use super::{Site, statuses};
use crate::conn::{Conn, Env, Life};
use crate::limits;
use crate::protocol::Why;

/// The body of a chunked reply, and what follows it.
fn unchunk(mut rest: &str) -> (String, &str) {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(&after[..size]);
        rest = after[size..].strip_prefix("\r\n").unwrap();
        if size == 0 {
            return (body, rest);
        }
    }
}

fn many(n: usize) -> Site {
    let site = Site::with(Options::default());
    fs::create_dir(site.root().join("many")).unwrap();
    for i in 0..n {
        fs::write(site.root().join(format!("many/file {i:06}")), b"x").unwrap();
    }
    fs::create_dir(site.root().join("many/zoo")).unwrap();
    site
}

#[test]
fn names_are_escaped_and_encoded() {
    let site = Site::new();
    fs::write(site.root().join("\"><img src=x onerror=alert(1)>"), b"").unwrap();
    let page = site.get("/");
    assert!(!page.contains("<img"));
    assert!(page.contains("href=\"%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E\""), "{page}");
    assert!(page.contains("&#60;img src=x onerror=alert(1)&#62;</span></a>"), "{page}");
    fs::create_dir(site.root().join("<b>")).unwrap();
    assert!(!site.get("/%3Cb%3E/").contains("<b>"));
}

#[test]
fn directories_come_first_and_outsiders_not_at_all() {
    let site = Site::new();
    let page = site.get("/");
    let rows: Vec<&str> =
        page.split("<tr><td><a href=\"").skip(1).map(|row| row.split('"').next().unwrap()).collect();
    assert_eq!(rows, ["sub/", "with%20index/", "a.txt", "back%5Cslash", "empty.html", "long.bin"]);
    assert!(page.contains(">19.5 KiB<") && !page.contains("../"));
    let sub = site.get("/sub/");
    let rows: Vec<&str> =
        sub.split("<tr><td><a href=\"").skip(1).map(|row| row.split('"').next().unwrap()).collect();
    assert_eq!(rows, ["../", "deep/", "b.txt", "inside"], "a link that stays inside is followed");
    let site = Site::with(Options { hidden: true, ..Options::default() });
    assert!(site.get("/").contains(".secret"));
}

#[test]
fn a_huge_directory_comes_in_slices() {
    let site = many(3 * limits::LISTING_AT_ONCE);
    let mut client = site.connect();
    let request = b"GET /many/ HTTP/1.1\r\nHost: h\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n";
    client.with(|conn, env| conn.input(request, env));
    assert!(client.conn.has_turn() && !client.conn.wants_input(), "its turn comes before more input");
    client.read();
    let (head, rest) = client.text().split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Transfer-Encoding: chunked") && !head.contains("Content-Length"));
    let (page, next) = unchunk(rest);
    assert_eq!(page.matches("<tr><td><a href=\"").count(), 3 * limits::LISTING_AT_ONCE + 2);
    assert!(page.find("zoo/").unwrap() < page.find("file 000000").unwrap());
    assert!(page.find("file 000999").unwrap() < page.find("file 001000").unwrap());
    assert!(page.ends_with("</html>\n"));
    assert!(next.starts_with("HTTP/1.1 200 OK\r\n") && next.ends_with("hello\n"));
    assert!(client.is_open() && client.conn.wants_input());
}

#[test]
fn old_clients_get_it_to_the_end_of_the_connection() {
    let site = many(limits::LISTING_AT_ONCE);
    let (got, is_open) = site.ask([b"GET /many/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".as_slice()]);
    let text = String::from_utf8(got).unwrap();
    let (head, page) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Connection: close") && !head.contains("Transfer-Encoding"));
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n") && !is_open);
    let (head, is_open) = site.ask([b"HEAD /many/ HTTP/1.1\r\nHost: h\r\n\r\n".as_slice()]);
    assert!(head.ends_with(b"\r\n\r\n") && is_open);
    assert!(String::from_utf8(head).unwrap().contains("Transfer-Encoding: chunked"));
}

#[test]
fn a_listing_is_finished_whatever_ends_meanwhile() {
    let site = many(2 * limits::LISTING_AT_ONCE);
    let request = b"GET /many/ HTTP/1.1\r\nHost: h\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n";
    for (event, why) in
        [(Conn::peer_done as fn(&mut Conn, &mut Env<'_>), Why::PeerDone), (Conn::drain, Why::Shutdown)]
    {
        let mut client = site.connect();
        client.with(|conn, env| conn.input(request, env));
        client.with(event);
        client.read();
        assert_eq!(statuses(&client.got), [200, 200]);
        assert!(client.got.ends_with(b"hello\n"));
        assert_eq!(client.conn.life(), Life::Finishing(why));
    }
}

#[test]
fn a_page_that_leaves_something_out_says_so() {
    let bottom = |is_cut| {
        let sums = Summary::of(&Sums { is_cut, ..Sums::default() });
        Bottom { sums }.render().unwrap()
    };
    assert!(bottom(true).contains("only 100000 are shown"));
    assert!(!bottom(false).contains("shown"));
}

#[test]
fn what_large_listings_hold_together_has_a_bound() {
    let site = many(limits::LISTING_AT_ONCE);
    let reserve = site.options.site().unwrap().reserve();
    let mut others = Reserved::of(reserve);
    others.resize(limits::LISTINGS_BYTES - 10_000).unwrap();
    for (line, is_last) in [("GET /many/ HTTP/1.1\r\nHost: h\r\n", false), ("GET /many/ HTTP/1.0\r\n", true)]
    {
        let (got, is_open) = site.ask([format!("{line}\r\n").as_bytes()]);
        let text = String::from_utf8(got).unwrap();
        assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("\r\nRetry-After: 5\r\n"), "{text}");
        assert!(
            text.ends_with("large directories are being sent to too many clients; try again in a moment\n")
        );
        assert_eq!(is_open, !is_last);
    }
    // Nobody else need care.
    assert!(site.get("/sub/").starts_with("HTTP/1.1 200 "));
    let head = site.ask([b"HEAD /many/ HTTP/1.1\r\nHost: h\r\n\r\n".as_slice()]).0;
    assert!(head.starts_with(b"HTTP/1.1 200 "), "it needs none");
    others.resize(limits::LISTINGS_BYTES - 100_000).unwrap();
    assert!(site.get("/many/").starts_with("HTTP/1.1 200 "));
    // What one has taken is back when it is through, or its reader gone.
    let mut client = site.connect();
    client.with(|conn, env| conn.input(b"GET /many/ HTTP/1.1\r\nHost: h\r\n\r\n", env));
    while client.conn.is_flushed() {
        client.with(|conn, env| {
            conn.go_on(env);
        });
        client.shared.end_turn();
    }
    assert!(others.resize(limits::LISTINGS_BYTES).is_err());
    assert!(client.conn.holds() > 20_000, "{}", client.conn.holds());
    drop(client);
    assert_eq!(others.resize(limits::LISTINGS_BYTES), Ok(()));
}

#[test]
fn a_small_one_has_a_length_and_a_large_one_chunks() {
    for (n, is_large) in [(limits::LISTING_AT_ONCE - 1, false), (limits::LISTING_AT_ONCE, true)] {
        let site = many(n);
        for accept in ["*/*", "application/json"] {
            let fields = format!("HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\n\r\n");
            let (get, is_open) = site.ask([format!("GET /many/ {fields}").as_bytes()]);
            let (head, _) = site.ask([format!("HEAD /many/ {fields}").as_bytes()]);
            let text = String::from_utf8(get).unwrap();
            let (fields, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(head, format!("{fields}\r\n\r\n").as_bytes());
            assert_eq!(fields.contains("\r\nTransfer-Encoding: chunked"), is_large);
            let body = if is_large { unchunk(body).0 } else { body.to_owned() };
            assert!(is_large || fields.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
            assert_eq!(body.matches("file%20").count(), n, "{accept}");
            if accept != "*/*" {
                let json: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert_eq!(json["entries"].as_array().unwrap().len(), n + 1);
                assert_eq!(json["entries"][0]["href"], "zoo/");
            }
            assert!(is_open);
        }
    }
}

#[test]
fn the_type_is_what_the_client_would_rather_have() {
    let site = Site::new();
    for (accept, expected) in [
        ("application/json", "application/json"),
        ("application/*", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html;q=0.4\r\nAccept: application/json;q=0.5", "application/json"),
        ("application/json;q=0.1, */*", "text/html; charset=utf-8"),
        ("text/*;q=0.9, application/json;q=0.5", "text/html; charset=utf-8"),
        ("text/html;level=1;q=0.2, text/html;q=0.9, application/json;q=0.5", "text/html; charset=utf-8"),
    ] {
        assert_eq!(
            site.field("GET /", &format!("Accept: {accept}\r\n"), "Content-Type"),
            expected,
            "{accept}"
        );
    }
}

#[test]
fn what_is_older_than_time_has_a_time_too() {
    let site = Site::new();
    fs::create_dir(site.root().join("past")).unwrap();
    let empty = site.get("/past/");
    assert!(empty.contains(">This folder is empty.</footer>") && !empty.contains("UTC"), "{empty}");
    for (name, before) in [("older", 90_000), ("old", 3600)] {
        let file = fs::File::create(site.root().join("past").join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH - Duration::from_secs(before)).unwrap();
    }
    let page = site.get("/past/?sort=time");
    let time = "<time datetime=\"1969-12-30T23:00:00Z\">1969-12-30<span> 23:00</span></time>";
    assert!(page.contains(time) && page.contains("Times are UTC."), "{page}");
    assert!(page.find(">older<").unwrap() < page.find(">old<").unwrap());
    let json = site.ask([b"GET /past/ HTTP/1.0\r\nAccept: application/json\r\n\r\n".as_slice()]).0;
    assert!(String::from_utf8(json).unwrap().contains("\"modified\":\"1969-12-31T23:00:00Z\""));
}
