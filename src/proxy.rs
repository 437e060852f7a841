//! The head that a proxy sends first, to say whose connection it passes on: the PROXY protocol, versions 1
//! and 2 (<https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>). The parser is the `proxy-header`
//! crate's; what is here bounds it, and tells at once what can be no head any more.

use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};

/// What the line of version 1 begins with.
const LINE: &[u8] = b"PROXY ";
/// Longest line of version 1, its end included: the specification's.
const LONGEST_LINE: usize = 107;
/// What a head of version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, and behind it the command, the family and the length of the rest.
const FIXED: usize = 16;
/// Longest head that is taken. What follows the addresses in version 2 is skipped, certificates included.
pub const LONGEST: usize = FIXED + 4096;

/// What the bytes that have come amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The beginning of a head.
    Partial,
    /// A head of so many bytes.
    Whole {
        /// How many.
        length: usize,
        /// Who is behind the proxy; `None` if the connection is the proxy's own (`LOCAL`, `UNKNOWN`), or
        /// from where there are no addresses.
        source: Option<SocketAddr>,
    },
    /// No head, whatever follows.
    Wrong,
}

impl Head {
    /// Looks at the first bytes of a connection.
    pub fn parse(bytes: &[u8]) -> Self {
        match bytes.first() {
            None => Self::Partial,
            Some(b'P') => line(bytes),
            Some(_) => binary(bytes),
        }
    }

    fn of(bytes: &[u8]) -> Self {
        let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
        match ProxyHeader::parse(bytes, config) {
            Ok((head, length)) if length == bytes.len() => match head.proxied_address() {
                Some(address) if address.protocol != Protocol::Stream => Self::Wrong,
                address => Self::Whole { length, source: address.map(|address| address.source) },
            },
            _ => Self::Wrong,
        }
    }
}

/// Whether bytes are the beginning of something, or begin with it.
fn agrees(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(a, b)| a == b)
}

fn line(bytes: &[u8]) -> Head {
    if !agrees(bytes, LINE) {
        return Head::Wrong;
    }
    let seen = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    match memchr::memchr(b'\n', seen) {
        Some(end) => {
            let line = seen.get(..=end).unwrap_or_default();
            // The sign is no part of a number there.
            if line.contains(&b'+') { Head::Wrong } else { Head::of(line) }
        }
        None if seen.len() == LONGEST_LINE => Head::Wrong,
        None => Head::Partial,
    }
}

fn binary(bytes: &[u8]) -> Head {
    /// Version 2, a connection of the proxy's own: what follows is to be skipped unseen.
    const LOCAL: u8 = 0x20;
    if !agrees(bytes, SIGNATURE) {
        return Head::Wrong;
    }
    let Some(&[command, _, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else { return Head::Partial };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Head::Wrong;
    }
    match bytes.get(..length) {
        None => Head::Partial,
        Some(_) if command == LOCAL => Head::Whole { length, source: None },
        Some(head) => Head::of(head),
    }
}

#[cfg(test)]
mod tests;
