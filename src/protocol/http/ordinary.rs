//! Ordinary heads, taken apart in one pass: those of a GET or HEAD of HTTP/1.1 that have come whole.
//!
//! Nothing is ever refused here. What is not plainly in order, be it wrong, rare or incomplete, is left to
//! [`Search`](super::head::Search) and [`Request::parse`], which know what to say of it; what is taken
//! apart here would come to the same there.

use memchr::memchr;

use super::fields::{Fields, may_matter};
use super::request::{MAX_FIELDS, Method, RequestLine, token};
use super::target::plain_key;
use super::words::{prefix, printable, table};
use crate::limits;

/// What a request line ends in.
const VERSION: &[u8; 11] = b" HTTP/1.1\r\n";

/// The bytes that stand for themselves in a path, and end none.
static PLAIN: [bool; 256] = table(b"!$&'()*+,-./:;=@_~");

/// The length and the request line of the head that `bytes` begin with, if it is an ordinary one, and its
/// fields. That they go together is still to be found out. They are not returned, as there is much of them.
#[inline]
pub(super) fn parse<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Option<(usize, RequestLine<'a>)> {
    let (line, mut at) = request_line(bytes)?;
    let mut left = MAX_FIELDS;
    loop {
        let rest = bytes.get(at..)?;
        if let [b'\r', b'\n', ..] = rest {
            return (at + 2 <= limits::HTTP_HEAD).then_some((at + 2, line));
        }
        left = left.checked_sub(1)?;
        at += field(rest, fields)?;
    }
}

/// The request line and its length; the target is a path.
fn request_line(bytes: &[u8]) -> Option<(RequestLine<'_>, usize)> {
    let (method, start) = match bytes {
        [b'G', b'E', b'T', b' ', b'/', ..] => (Method::Get, 4),
        [b'H', b'E', b'A', b'D', b' ', b'/', ..] => (Method::Head, 5),
        _ => return None,
    };
    let rest = bytes.get(start..)?;
    let length = prefix(rest, &PLAIN);
    let (target, key) = if rest.get(length) == Some(&b' ') {
        (rest.get(..length)?, rest.get(1..length))
    } else {
        let target = rest.get(..memchr(b' ', rest)?).filter(|target| printable(target) == target.len())?;
        (target, plain_key(target))
    };
    let is_ordinary = target.len() <= limits::HTTP_TARGET && rest.get(target.len()..)?.starts_with(VERSION);
    let line = RequestLine { method, target, minor: 1, key };
    is_ordinary.then_some((line, start + target.len() + VERSION.len()))
}

/// Adds the field that `bytes` begin with, and returns the length of its line.
#[inline]
fn field<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Option<usize> {
    let (name, rest) = bytes.split_at_checked(token(bytes))?;
    let [b':', rest @ ..] = rest else { return None };
    // What is not ASCII, or has a tab in it, is rare enough to be left to others.
    let (value, [b'\r', b'\n', ..]) = rest.split_at_checked(printable(rest))? else { return None };
    let is_sound = !name.is_empty() && (!may_matter(name) || note(name, value, fields));
    is_sound.then_some(name.len() + value.len() + 3)
}

/// Adds a field that may matter.
#[inline]
fn note<'a>(name: &'a [u8], value: &'a [u8], fields: &mut Fields<'a>) -> bool {
    // A single blank is what stands before nearly every value.
    let value = if let [b' ', value @ ..] = value { value } else { value };
    let value = if matches!(value, [b' ', ..] | [.., b' ']) { value.trim_ascii() } else { value };
    fields.note(name, value).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::http::head::Search;
    use crate::protocol::http::request::{Exchange, Framing, Request};

    /// That of nearly all requests.
    const USUAL: Exchange = Exchange { head_only: false, minor: 1, keep: true, cors: false };

    /// What the parser for all heads says of the one that `bytes` begin with.
    fn by_all_rules(bytes: &[u8]) -> Option<(usize, String)> {
        let found = Search::default().advance(bytes).ok()??;
        let head = bytes.get(..found.length)?;
        let request = Request::parse(head, found.line, found.parsed).ok()?;
        Some((found.length, format!("{request:?}")))
    }

    fn in_one_pass(bytes: &[u8]) -> Option<(usize, String)> {
        let mut fields = Fields::default();
        let (length, line) = parse(bytes, &mut fields)?;
        let is_plain = line.method == Method::Get && fields.are_plain();
        // An empty body that is announced is left to others, too.
        let announces_body = fields.announce_body();
        let request = Request::new(line, fields, false).ok();
        let is_usual = |request: &Request<'_>| {
            let has_none = request.framing == Framing::Length(0) && !request.expects_continue;
            let is_bare = has_none && !announces_body && request.conditions.is_none();
            request.exchange == USUAL && is_bare
        };
        assert_eq!(is_plain, request.as_ref().is_some_and(is_usual));
        Some((length, format!("{:?}", request?)))
    }

    fn field_line() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            4 => prop::sample::select(vec![
                "Host", "hOsT", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Range",
                "If-Match", "If-Range", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
                "Accept", "ACCEPT", "Accept-Encoding", "Accept-Language", "User-Agent", "Cookie", "X_1",
                "sec-ch-ua-mobile", "Dnt", "",
            ]).prop_map(str::to_owned),
            1 => "[a-zA-Z0-9_.!-]{1,20}",
            1 => "[ -~]{0,12}",
        ];
        let value = prop_oneof![
            4 => prop::sample::select(vec![
                "h", "h:80", "[::1]:99999", "a b", "0", "5", "+5", "chunked", "keep-alive", "close, x",
                "gzip;q=0.5", "*/*", "\"a\"", "bytes=0-1", "100-continue", " padded\t ", "", "\u{e9}", "a\tb",
            ]).prop_map(str::to_owned),
            1 => "[ -~]{0,40}",
            1 => "[\\x00-\\xff]{0,12}",
        ];
        let end = prop_oneof![30 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("\r\n ")];
        let colon = prop_oneof![20 => Just(": "), 5 => Just(":"), 1 => Just(" :"), 1 => Just("")];
        (name, colon, value, end).prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"))
    }

    fn head() -> impl Strategy<Value = Vec<u8>> {
        let method = prop::sample::select(vec!["GET", "GET", "HEAD", "get", "OPTIONS", "GET "]);
        let target = prop_oneof![
            prop::sample::select(vec![
                "/",
                "/a/b.txt",
                "/a?b=c",
                "/%41#",
                "/a\tb",
                "x",
                "http://h/a",
                "/\u{e9}"
            ])
            .prop_map(str::to_owned),
            "/[ -~]{0,20}",
        ];
        let version = prop_oneof![
            20 => Just("HTTP/1.1\r\n"),
            1 => prop::sample::select(vec!["HTTP/1.0\r\n", "HTTP/1.2\r\n", "HTTP/1.1\n", "HTTP/1.1 \r\n"]),
        ];
        let host = prop_oneof![10 => Just("Host: h\r\n"), 1 => Just("")];
        let fields = prop::collection::vec(field_line(), 0..6);
        let end = prop_oneof![20 => Just("\r\n"), 1 => Just("\n"), 1 => Just(""), 3 => Just("\r\nGET / HTTP/1.1\r\n")];
        (method, target, version, host, fields, end).prop_map(
            |(method, target, version, host, fields, end)| {
                format!("{method} {target} {version}{host}{}{end}", fields.concat()).into_bytes()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn one_pass_comes_to_what_all_the_rules_come_to(head in head()) {
            if let Some(parsed) = in_one_pass(&head) {
                prop_assert_eq!(Some(parsed), by_all_rules(&head));
            }
        }

        #[test]
        fn a_byte_that_is_changed_changes_nothing_about_that(at in 0_usize..80, byte: u8) {
            let mut head = b"GET /some/file.txt HTTP/1.1\r\nHost: localhost:8080\r\nAccept: */*\r\nX-Y: value\r\n\r\n".to_vec();
            head.iter_mut().skip(at).take(1).for_each(|place| *place = byte);
            if let Some(parsed) = in_one_pass(&head) {
                prop_assert_eq!(Some(parsed), by_all_rules(&head));
            }
        }
    }

    #[test]
    fn what_clients_send_is_ordinary() {
        let browser = "GET /a%20b.html?x=y HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\n\
            sec-ch-ua: \"Chromium\";v=\"130\"\r\nsec-ch-ua-mobile: ?0\r\nUpgrade-Insecure-Requests: 1\r\n\
            User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html,*/*;q=0.8\r\nSec-Fetch-Site: none\r\n\
            Accept-Encoding: gzip, deflate, br, zstd\r\nIf-None-Match: \"a\"\r\nCookie: a=b\r\n\r\n";
        for head in [
            "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
            "HEAD /a/b HTTP/1.1\r\nHost: 127.0.0.1:40000\r\nUser-Agent: curl/8.1\r\nAccept: */*\r\n\r\n",
            browser,
        ] {
            assert_eq!(in_one_pass(head.as_bytes()), by_all_rules(head.as_bytes()), "{head}");
            assert_eq!(in_one_pass(head.as_bytes()).map(|(length, _)| length), Some(head.len()), "{head}");
            for short in 0..head.len() {
                assert!(in_one_pass(head.as_bytes().get(..short).unwrap()).is_none(), "{short} of {head}");
            }
        }
    }

    #[test]
    fn as_many_fields_are_ordinary_as_are_allowed() {
        for (fields, expected) in [(MAX_FIELDS - 1, true), (MAX_FIELDS, false)] {
            let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(fields));
            assert_eq!(by_all_rules(head.as_bytes()).is_some(), expected);
            assert_eq!(in_one_pass(head.as_bytes()), by_all_rules(head.as_bytes()), "{fields}");
        }
        let long = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "x".repeat(limits::HTTP_HEAD));
        assert_eq!((in_one_pass(long.as_bytes()), by_all_rules(long.as_bytes())), (None, None));
    }
}
