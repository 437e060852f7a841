//! Heads as proxies send them, whole and in pieces, and what is none.

use proptest::prelude::*;
use proxy_header::{ProxiedAddress, Tlv};

use super::*;

fn whole(length: usize, source: &str) -> Head {
    Head::Whole { length, source: Some(source.parse().unwrap()) }
}

fn address(source: &str, destination: &str) -> ProxiedAddress {
    ProxiedAddress::stream(source.parse().unwrap(), destination.parse().unwrap())
}

/// A head of version 2, as written by the specification: command, family, what follows.
fn binary_head(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

#[test]
fn a_line_names_who_is_behind_the_proxy() {
    let line = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n";
    assert_eq!(Head::parse(line), whole(line.len(), "192.0.2.7:56324"));
    let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\nGET / HTTP/1.1\r\n";
    assert_eq!(Head::parse(line), whole(44, "[2001:db8::7]:1"));
    let unknown = b"PROXY UNKNOWN\r\n";
    assert_eq!(Head::parse(unknown), Head::Whole { length: 15, source: None });
    let longest = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n";
    assert_eq!(Head::parse(longest), Head::Whole { length: longest.len(), source: None });
}

#[test]
fn a_binary_head_does_so_as_well() {
    let addresses = [192, 0, 2, 7, 192, 0, 2, 1, 0xdc, 4, 1, 0xbb];
    let head = binary_head(0x21, 0x11, &addresses);
    assert_eq!(Head::parse(&head), whole(28, "192.0.2.7:56324"));
    // What follows the addresses is skipped, even if it makes no sense.
    let with_more = binary_head(0x21, 0x11, &[&addresses[..], b"\x04\x00\xff?"].concat());
    assert_eq!(Head::parse(&with_more), whole(32, "192.0.2.7:56324"));
    let unix = binary_head(0x21, 0x31, &[0; 216]);
    assert_eq!(Head::parse(&unix), Head::Whole { length: 232, source: None });
    let unspecified = binary_head(0x21, 0, b"");
    assert_eq!(Head::parse(&unspecified), Head::Whole { length: 16, source: None });
}

#[test]
fn a_connection_of_the_proxys_own_is_just_that() {
    for (family, rest) in [(0, &b""[..]), (0x11, b""), (0x11, &[1; 12]), (0xff, &[0; 300])] {
        let head = binary_head(0x20, family, rest);
        assert_eq!(Head::parse(&head), Head::Whole { length: head.len(), source: None });
    }
}

#[test]
fn what_is_no_head_is_known_as_early_as_can_be() {
    let wrong: [&[u8]; 14] = [
        b"GET / HTTP/1.1\r\n",
        b"\n",
        b"PROXX",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"PROXYTCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 ::1 ::1 1 1\r\n",
        b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
        b"PROXY TCP4 \xff 1.2.3.4 1 1\r\n",
        &[b'P'; LONGEST_LINE],
    ];
    for bytes in wrong {
        assert_eq!(Head::parse(bytes), Head::Wrong, "{}", String::from_utf8_lossy(bytes));
    }
    let mut line = b"PROXY TCP4 ".to_vec();
    line.resize(LONGEST_LINE - 1, b'1');
    assert_eq!(Head::parse(&line), Head::Partial);
    line.push(b'1');
    assert_eq!(Head::parse(&line), Head::Wrong, "longer than any");
}

#[test]
fn binary_heads_that_are_wrong_are_refused() {
    assert_eq!(Head::parse(&binary_head(0x11, 0x11, &[0; 12])), Head::Wrong, "version 1");
    assert_eq!(Head::parse(&binary_head(0x22, 0x11, &[0; 12])), Head::Wrong, "no such command");
    assert_eq!(Head::parse(&binary_head(0x21, 0x12, &[0; 12])), Head::Wrong, "datagrams");
    assert_eq!(Head::parse(&binary_head(0x21, 0x11, &[0; 11])), Head::Wrong, "too short for its addresses");
    assert_eq!(Head::parse(&binary_head(0x21, 0x31, &[0; 215])), Head::Wrong);
    let long = binary_head(0x21, 0x11, &vec![0; LONGEST - FIXED + 1]);
    assert_eq!(Head::parse(&long[..FIXED]), Head::Wrong, "too long, before any of it has come");
    assert!(matches!(Head::parse(&long[..FIXED - 1]), Head::Partial));
}

/// A plus sign is wrong in a number of the head, and none of its business behind it.
#[test]
fn what_follows_a_line_is_not_looked_at() {
    assert_eq!(Head::parse(b"PROXY UNKNOWN\r\n1+1\n"), Head::Whole { length: 15, source: None });
}

/// A head of any kind, and who it names.
fn heads() -> impl Strategy<Value = (Vec<u8>, Option<SocketAddr>)> {
    let v4 = || any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
    let v6 = || any::<([u8; 16], u16)>().prop_map(SocketAddr::from);
    let pairs = prop_oneof![(v4(), v4()), (v6(), v6())];
    let more = prop::collection::vec(any::<u8>(), 0..300);
    let encoded = (pairs, any::<bool>(), more).prop_map(|((source, destination), is_line, more)| {
        let mut head = ProxyHeader::with_address(address(&source.to_string(), &destination.to_string()));
        let mut buffer = vec![0; LONGEST];
        let length = if is_line {
            head.encode_to_slice_v1(&mut buffer).unwrap()
        } else {
            head.append_tlv(Tlv::Custom(0xe0, more.into()));
            head.encode_to_slice_v2(&mut buffer).unwrap()
        };
        buffer.truncate(length);
        (buffer, Some(source))
    });
    let own = prop_oneof![Just(b"PROXY UNKNOWN\r\n".to_vec()), Just(binary_head(0x20, 0, b""))];
    prop_oneof![4 => encoded, 1 => own.prop_map(|head| (head, None))]
}

proptest! {
    /// However it is cut, a head is partial up to its last byte, and whole from there on, whatever follows.
    #[test]
    fn a_head_is_the_same_in_any_pieces((head, source) in heads(), behind in prop::collection::vec(any::<u8>(), 0..50)) {
        for end in 0..head.len() {
            prop_assert_eq!(Head::parse(&head[..end]), Head::Partial, "{} of {}", end, head.len());
        }
        let all = [&head[..], &behind].concat();
        for end in head.len()..=all.len() {
            prop_assert_eq!(Head::parse(&all[..end]), Head::Whole { length: head.len(), source });
        }
    }

    /// Whatever comes, nothing panics, what is wrong stays wrong, and no head is longer than the longest.
    #[test]
    fn anything_may_come(start in 0..4_usize, rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let start: &[u8] = [&b""[..], b"PROXY TCP4 ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"][start];
        let bytes = [start, &rest].concat();
        let mut before = Head::Partial;
        for end in 0..=bytes.len() {
            let now = Head::parse(&bytes[..end]);
            if before != Head::Partial {
                prop_assert_eq!(now, before);
            }
            if let Head::Whole { length, .. } = now {
                prop_assert!(length <= end && length <= LONGEST);
            }
            before = now;
        }
    }
}
