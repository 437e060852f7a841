//! Conditional requests, and forms of a file by what a client accepts.

use std::time::{Duration, SystemTime};

use super::rows::{self, CONDITIONS, FORMS, MODIFIED, PAGE, TYPES};
use super::{Site, check_cases, statuses};

#[test]
fn types_directories_and_methods() {
    let site = site();
    check_cases(&site, TYPES);
}

fn site() -> Site {
    let site = Site::of_old();
    rows::fill_forms(site.root());
    site
}

#[test]
fn conditions_are_met_in_the_order_of_the_rfc() {
    check_cases(&site(), CONDITIONS);
}

#[test]
fn the_form_that_a_client_prefers_is_sent() {
    check_cases(&site(), FORMS);
}

#[test]
fn every_form_has_its_own_tag() {
    let site = site();
    let tag = |fields| site.field(PAGE, fields, "ETag");
    let tags = [tag(""), tag("Accept-Encoding: br\r\n"), tag("Accept-Encoding: gzip\r\n")];
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    let fields = format!("Accept-Encoding: br\r\nIf-None-Match: {}\r\n", tags[1]);
    let request = format!("{PAGE} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    assert_eq!(statuses(&site.ask([request.as_bytes()]).0), [304]);
    assert_eq!(statuses(&site.ask([request.replace("br", "gzip").as_bytes()]).0), [200]);
}

#[test]
fn a_young_file_has_a_weak_tag_that_ranges_do_not_trust() {
    let site = Site { clock: || SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000), ..Site::new() };
    let tag = site.field("GET /long.bin", "", "ETag");
    assert!(tag.starts_with("W/\""), "{tag}");
    let status = |fields: &str| {
        let request = format!("GET /long.bin HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        statuses(&site.ask([request.as_bytes()]).0)[0]
    };
    assert_eq!(status(&format!("If-None-Match: {tag}")), 304);
    assert_eq!(status(&format!("If-Match: {tag}")), 412);
    assert_eq!(status(&format!("Range: bytes=0-0\r\nIf-Range: {tag}")), 200);
    assert_eq!(status("Range: bytes=0-0"), 206);
}

#[test]
fn an_edit_shows_after_a_second_and_changes_the_tag() {
    let site = site();
    let mut client = site.connect();
    let mut ask = |seconds: u64| {
        client.now = client.now.after(Duration::from_secs(seconds));
        client.got.clear();
        client.send(b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
        String::from_utf8(client.got.clone()).unwrap()
    };
    let first = ask(0);
    site.put("a.txt", b"edited", MODIFIED);
    assert_eq!(ask(0), first, "a file is looked at once a second");
    let second = ask(1);
    assert!(second.ends_with("\r\n\r\nedited") && !second.contains(first.split("ETag: ").nth(1).unwrap()));
    std::fs::remove_file(site.root().join("a.txt")).unwrap();
    assert!(ask(1).starts_with("HTTP/1.1 404 "));
    site.put("a.txt", b"again", MODIFIED);
    assert!(ask(0).ends_with("again"), "what is not there is not remembered");
    site.put("a.txt.gz", b"zipped", MODIFIED);
    assert!(ask(1).contains("Vary: Accept-Encoding"), "a new sibling shows too");
}

#[test]
fn an_edit_of_a_long_file_shows_at_once() {
    let site = site();
    let length = || site.field("HEAD /long.bin", "", "Content-Length");
    assert_eq!(length(), "20000");
    site.put("long.bin", &[b'y'; 10_000], 5);
    assert_eq!(length(), "10000", "a descriptor that is kept is asked every time");
}
