//! Any bytes as the head of the PROXY protocol: cuts do not matter, a head ends with its last byte, so that
//! nothing of it is taken for what a client says and nothing a client says for a part of it, and whom it names
//! can be said again.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use proxy_header::{Protocol, ProxiedAddress, ProxyHeader};
use switchboard::proxy::{Head, LONGEST};

fuzz_target!(|data: &[u8]| {
    let all = Head::parse(data);
    let mut decided = None;
    for end in 0..=data.len() {
        let now = Head::parse(&data[..end]);
        if let Some(before) = decided {
            assert_eq!(now, before, "more bytes change what it is, after {end}");
        } else if now != Head::Partial {
            decided = Some(now);
            check(now, &data[..end]);
        }
    }
    assert_eq!(decided.unwrap_or(Head::Partial), all);
    assert!(all != Head::Partial || data.len() < LONGEST, "it waits for more than the longest head");
});

/// A head is whole with its last byte, neither before nor later, so that all that follows is the session's.
fn check(head: Head, seen: &[u8]) {
    let Head::Whole { length, source } = head else { return };
    assert_eq!(length, seen.len());
    assert!(length <= LONGEST);
    assert!(seen.starts_with(b"PROXY ") || seen.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
    source.into_iter().for_each(made_anew);
}

/// Both versions can say who was named, and are understood as they were meant.
fn made_anew(source: SocketAddr) {
    let destination = match source {
        SocketAddr::V4(_) => SocketAddr::from(([192, 0, 2, 1], 80)),
        SocketAddr::V6(_) => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 80)),
    };
    let head = ProxyHeader::with_address(ProxiedAddress { protocol: Protocol::Stream, source, destination });
    let mut buffer = [0; LONGEST];
    let line = head.encode_to_slice_v1(&mut buffer).unwrap();
    assert_eq!(Head::parse(&buffer[..line]), Head::Whole { length: line, source: Some(source) });
    let binary = head.encode_to_slice_v2(&mut buffer).unwrap();
    assert_eq!(Head::parse(&buffer[..binary]), Head::Whole { length: binary, source: Some(source) });
}
