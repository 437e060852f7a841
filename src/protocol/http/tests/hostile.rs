//! What no client sends that means well.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Site, statuses};
use crate::limits;

fn status(site: &Site, raw: &[u8]) -> u16 {
    let (whole, is_open) = site.ask([raw]);
    assert_eq!(site.ask(raw.chunks(1)), (whole.clone(), is_open));
    assert_eq!(site.ask(raw.chunks(777)), (whole.clone(), is_open));
    statuses(&whole).first().copied().unwrap_or_default()
}

#[test]
fn what_is_too_long_is_said_to_be() {
    let site = Site::new();
    let get = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(n - 1)).into_bytes();
    assert_eq!(status(&site, &get(limits::HTTP_TARGET)), 404);
    assert_eq!(status(&site, &get(limits::HTTP_TARGET + 1)), 414);
    assert_eq!(status(&site, &get(limits::HTTP_TARGET + 100)), 414);
    assert_eq!(status(&site, &[b'x'; limits::HTTP_TARGET * 2]), 414);
    let start = "GET /a.txt HTTP/1.1\r\nHost: h\r\nX: ";
    let head = |n: usize| format!("{start}{}\r\n\r\n", "x".repeat(n - start.len() - 4)).into_bytes();
    assert_eq!(status(&site, &head(limits::HTTP_HEAD)), 200);
    assert_eq!(status(&site, &head(limits::HTTP_HEAD + 1)), 431);
    assert_eq!(status(&site, &head(limits::HTTP_HEAD * 2)), 431);
    let fields = |n: usize| format!("{start}{}\r\n\r\n", "\r\na: b".repeat(n)).into_bytes();
    assert_eq!(status(&site, &fields(98)), 200);
    assert_eq!(status(&site, &fields(99)), 431);
}

#[test]
fn a_body_of_many_chunks_is_bounded_too() {
    let site = Site::new();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    let head = "GET /a.txt HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = |n: usize| [head, &chunk.repeat(n), "0\r\n\r\n"].concat();
    let ask = |n: usize| statuses(&site.ask(body(n).as_bytes().chunks(limits::READ_BUFFER)).0);
    assert_eq!(ask(16), [200]);
    assert_eq!(ask(17), [413]);
    let trailers = |n: usize| [head, "0\r\n", &"t: x\r\n".repeat(n), "\r\n"].concat();
    assert_eq!(status(&site, trailers(600).as_bytes()), 200);
    assert_eq!(status(&site, trailers(700).as_bytes()), 400);
    let line = [head, "1;", &"x".repeat(300), "\r\nx\r\n0\r\n\r\n"].concat();
    assert_eq!(status(&site, line.as_bytes()), 400);
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let site = Site::new();
    let (got, _) = site.ask([b"HEAD / HTTP/1.1\r\n\r\n".as_slice()]);
    assert!(got.starts_with(b"HTTP/1.1 400 ") && got.ends_with(b"\r\n\r\n"));
}

/// Parts of requests, so that chance gets further than the first line.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&str] = &[
        "GET ",
        "HEAD ",
        "POST ",
        "OPTIONS * ",
        "/",
        "/a.txt ",
        "/long.bin ",
        "/sub",
        "%2e%2e",
        "..",
        "http://h/",
        "?q ",
        " HTTP/1.1\r\n",
        "HTTP/1.0\r\n",
        "HTTP/1.0\n",
        "Host: h\r\n",
        "Content-Length: 3\r\n",
        "\r\n",
        "Transfer-Encoding: chunked\r\n",
        "3\r\nabc\r\n",
        "0\r\n",
        "Expect: 100-continue\r\n",
        "\n",
        "\r",
        ":",
        "Connection: keep-alive\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n",
        "GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n",
    ];
    prop_oneof![
        4 => prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_the_output_is_bounded(bytes in vec(any::<u8>(), 0..2000)) {
        let site = SITE.with(std::rc::Rc::clone);
        let mut client = site.connect();
        client.with(|conn, env| conn.input(&bytes, env));
        prop_assert!(client.conn.out().map_or(0, |out| out.len()) < 1024);
    }

    #[test]
    fn cuts_do_not_matter_to_anything(pieces in vec(piece(), 0..40)) {
        let site = SITE.with(std::rc::Rc::clone);
        let whole = pieces.concat();
        let mut client = site.connect();
        client.with(|conn, env| conn.input(&whole, env));
        prop_assert!(client.conn.out().map_or(0, |out| out.len()) < 2 * limits::OUT_HIGH_MARK);
        client.read();
        let is_open = client.is_open();
        prop_assert_eq!(site.ask(pieces.iter().map(Vec::as_slice)), (client.got.clone(), is_open));
        prop_assert_eq!(site.ask(whole.chunks(1)), (client.got, is_open));
    }

    /// Each request has its own answer, in order, whatever stands before it and wherever it is cut.
    #[test]
    fn a_pipeline_is_its_requests_one_by_one(
        requests in vec(prop::sample::select(SOUND), 1..8),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let site = SITE.with(std::rc::Rc::clone);
        let whole = requests.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        let (got, is_open) = site.ask(cuts.windows(2).map(|pair| &whole[pair[0]..pair[1]]));
        let separately: Vec<u8> = requests.iter().flat_map(|one| site.ask([one.as_bytes()]).0).collect();
        prop_assert!(is_open);
        prop_assert_eq!(got, separately);
    }
}

/// Requests after which the connection stays, of every framing.
const SOUND: &[&str] = &[
    "GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n",
    "HEAD /long.bin HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /long.bin HTTP/1.1\r\nHost: h\r\nRange: bytes=5-7\r\n\r\n",
    "GET /long.bin HTTP/1.1\r\nHost: h\r\n\r\n",
    "\r\nGET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "GET /sub/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nGET\r\n0\r\nX: y\r\n\r\n",
    "GET /sub/../x HTTP/1.1\r\nHost: h\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /sub HTTP/1.1\r\nHost: h\r\nIf-None-Match: *\r\n\r\n",
    "BREW /a.txt HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /a.txt HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
];

thread_local! {
    static SITE: std::rc::Rc<Site> = std::rc::Rc::new(Site::new());
}
