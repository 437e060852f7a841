//! What an operator may change.

use std::path::PathBuf;

use super::super::Options;
use super::{Http, Site, statuses};
use crate::protocol::Protocol;

fn status(site: &Site, path: &str) -> u16 {
    statuses(site.get(path).as_bytes())[0]
}

#[test]
fn a_page_of_ones_own_says_what_is_not_found() {
    let options = Options { not_found: Some(PathBuf::from("sub/b.txt")), ..Options::default() };
    let site = Site::with(options);
    for path in ["/none", "/.secret", "/a.txt/", "/out/passwd", "/none?q"] {
        let reply = site.get(path);
        assert!(
            reply.starts_with("HTTP/1.1 404 Not Found\r\n") && reply.ends_with("\r\n\r\nbelow\n"),
            "{reply}"
        );
        assert!(!reply.contains("ETag") && reply.contains("text/plain"), "{reply}");
    }
    assert_eq!(status(&site, "/%"), 400);
    assert!(Http::prepare(&site.options).is_ok());
    let head = site.ask([b"HEAD /none HTTP/1.1\r\nHost: h\r\n\r\n".as_slice()]).0;
    assert!(head.starts_with(b"HTTP/1.1 404 ") && head.ends_with(b"\r\n\r\n"));
}

#[test]
fn what_is_named_must_be_there() {
    let site = Site::new();
    let prepare = |options: Options| Http::prepare(&Options { root: site.root().to_owned(), ..options });
    let missing = Options { not_found: Some("none.html".into()), ..Options::default() };
    let root = site.root().display();
    assert_eq!(prepare(missing), Err(format!("cannot use {root}/none.html: No such file or directory")));
    for path in ["/etc/passwd", "../outside/passwd", "sub/../../outside/passwd", ".."] {
        for follow_symlinks in [false, true] {
            let outside = Options { not_found: Some(path.into()), follow_symlinks, ..Options::default() };
            let reason = format!("it must be below the root ({root}), and named from there");
            assert_eq!(prepare(outside), Err(format!("cannot use {path}: {reason}")));
        }
    }
    for path in ["absolute", "relative", "out/passwd"] {
        let link = Options { not_found: Some(path.into()), ..Options::default() };
        assert_eq!(prepare(link), Err(format!("cannot use {root}/{path}: a link leads out of the root")));
        let followed = Options { not_found: Some(path.into()), follow_symlinks: true, ..Options::default() };
        assert_eq!(prepare(followed), Ok(()));
    }
    for path in ["a.txt", "./sub/../a.txt", "sub/inside"] {
        let inside = Options { not_found: Some(path.into()), ..Options::default() };
        assert_eq!(prepare(inside), Ok(()), "{path}");
    }
    let log = Options { access_log: Some(site.root().join("no/log")), ..Options::default() };
    assert!(prepare(log).is_err_and(|message| message.ends_with("No such file or directory")));
    let forged = Options { cache_control: "a\r\nX: y".to_owned(), ..Options::default() };
    assert!(prepare(forged).is_err());
    let index = Options { index: "../a.txt".to_owned(), ..Options::default() };
    assert!(prepare(index).is_err());
}

#[test]
fn other_origins_are_let_in_where_they_may_be() {
    let site = Site::with(Options { cors: true, ..Options::default() });
    for path in ["/a.txt", "/", "/none", "/sub"] {
        assert!(site.get(path).contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "{path}");
    }
    let preflight = b"OPTIONS /a.txt HTTP/1.1\r\nHost: h\r\nOrigin: http://x\r\n\
        Access-Control-Request-Method: GET\r\n\r\n";
    let reply = String::from_utf8(site.ask([preflight.as_slice()]).0).unwrap();
    assert!(reply.starts_with("HTTP/1.1 204 "), "{reply}");
    assert!(reply.contains("Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"), "{reply}");
    let (bad, _) = site.ask([b"GET\r\n".as_slice()]);
    assert!(String::from_utf8(bad).unwrap().contains("Access-Control-Allow-Origin: *"));
    assert!(!Site::new().get("/a.txt").contains("Access-Control"));
}

#[test]
fn files_say_how_long_they_may_be_kept() {
    let site = Site::with(Options { cache_control: "max-age=60".to_owned(), ..Options::default() });
    assert!(site.get("/a.txt").contains("\r\nCache-Control: max-age=60\r\n"));
    assert!(site.get("/").contains("\r\nCache-Control: no-cache\r\n"), "listings change with every file");
    assert!(!Site::new().get("/a.txt").contains("Cache-Control"));
}

#[test]
fn links_lead_out_only_where_they_may() {
    let site = Site::with(Options { follow_symlinks: true, ..Options::default() });
    for path in ["/relative", "/absolute", "/out/passwd"] {
        assert!(site.get(path).ends_with("\r\n\r\nSECRET"), "{path}");
        assert!(site.get(path).ends_with("\r\n\r\nSECRET"), "{path}, from the cache");
    }
    assert_eq!((status(&site, "/out"), status(&site, "/out/")), (301, 200));
    assert_eq!((status(&site, "/dangling"), status(&site, "/loop")), (404, 404));
    assert_eq!(status(&site, "/../outside/passwd"), 400, "paths still do not");
    let page = site.get("/");
    assert!(page.contains("href=\"absolute\"") && page.contains("href=\"out/\""));
}

#[test]
fn the_cache_knows_a_path_by_one_name_only() {
    let site = Site::with(Options::default());
    std::fs::write(site.root().join("a%20b"), b"percent").unwrap();
    std::fs::write(site.root().join("a b"), b"blank").unwrap();
    std::fs::write(site.root().join("a#b"), b"hash").unwrap();
    for _ in 0..2 {
        assert!(site.get("/a%2520b").ends_with("percent"));
        assert!(site.get("/a%20b").ends_with("blank"));
        assert!(site.get("/a%23b").ends_with("hash"));
        assert_eq!(status(&site, "/a#b"), 400);
        assert_eq!(status(&site, "/a.txt#b"), 400);
        assert_eq!(status(&site, "/a.txt?x#b"), 400);
        assert_eq!(status(&site, "/a.txt"), 200);
        assert_eq!(status(&site, "/./a.txt"), 400);
        assert_eq!(status(&site, "/sub/../a.txt"), 400);
        assert_eq!(status(&site, "/a.txt/"), 404);
        assert_eq!((status(&site, "//a.txt"), status(&site, "/a.txt?q")), (200, 200));
        assert_eq!((status(&site, "/with%20index"), status(&site, "/with%20index/")), (301, 200));
    }
}

#[test]
fn the_cache_stays_within_its_bounds() {
    let site = Site::new();
    for i in 0..60 {
        std::fs::write(site.root().join(format!("big{i}")), vec![b'x'; 9000]).unwrap();
        std::fs::write(site.root().join(format!("small{i}")), b"x").unwrap();
    }
    let open = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = open();
    for i in 0..60 {
        assert_eq!((status(&site, &format!("/big{i}")), status(&site, &format!("/small{i}"))), (200, 200));
    }
    // Other tests open files meanwhile.
    assert!(open() < before + crate::limits::HTTP_CACHE_FILES + 200);
    for i in 0..60 {
        assert_eq!(status(&site, &format!("/big{i}")), 200);
    }
}
