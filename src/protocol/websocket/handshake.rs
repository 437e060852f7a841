//! The handshake of a WebSocket connection (RFC 6455, section 4.2): a request of HTTP/1.1 that asks to go
//! on as something else.

use data_encoding::BASE64;
use sha1::{Digest, Sha1};

/// What is hashed with the client's key (section 1.3): no server that knows nothing of it has it.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The fields of a request that decide about a handshake; where one comes more than once, all of them.
#[derive(Debug, Default)]
pub struct Asked<'a> {
    /// `Upgrade`.
    pub upgrade: Vec<&'a [u8]>,
    /// `Connection`.
    pub connection: Vec<&'a [u8]>,
    /// `Sec-WebSocket-Version`.
    pub version: Vec<&'a [u8]>,
    /// `Sec-WebSocket-Key`.
    pub key: Vec<&'a [u8]>,
}

/// Why a request does not become a WebSocket connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It does not ask to: 426, with `Upgrade: websocket`.
    NotAsked,
    /// It asks for another version: 426, with the one that is spoken here, 13.
    Version,
    /// It asks, but not as the RFC says: 400 with a reason.
    Bad(&'static str),
}

impl<'a> Asked<'a> {
    /// Takes note of a field; those that do not matter here are ignored.
    pub fn add(&mut self, name: &str, value: &'a [u8]) {
        let places = [
            ("upgrade", &mut self.upgrade),
            ("connection", &mut self.connection),
            ("sec-websocket-version", &mut self.version),
            ("sec-websocket-key", &mut self.key),
        ];
        for (known, place) in places {
            if name.eq_ignore_ascii_case(known) {
                place.push(value.trim_ascii());
            }
        }
    }

    /// What to answer in `Sec-WebSocket-Accept`; `minor` is the minor version of the request's HTTP.
    ///
    /// # Errors
    /// It is no handshake, or a bad one.
    pub fn accept(&self, minor: u8) -> Result<String, Refused> {
        if !has(&self.upgrade, b"websocket") {
            return Err(Refused::NotAsked);
        }
        if minor == 0 {
            return Err(Refused::Bad("a handshake is a request of HTTP/1.1"));
        }
        if !has(&self.connection, b"upgrade") {
            return Err(Refused::Bad("the Connection field of a handshake names Upgrade"));
        }
        match self.version.as_slice() {
            [b"13"] => {}
            [] => return Err(Refused::Bad("a handshake has a Sec-WebSocket-Version field")),
            _ => return Err(Refused::Version),
        }
        let [key] = self.key.as_slice() else {
            return Err(Refused::Bad("a handshake has one Sec-WebSocket-Key field"));
        };
        if BASE64.decode(key).is_ok_and(|bytes| bytes.len() == 16) {
            Ok(accept(key))
        } else {
            Err(Refused::Bad("Sec-WebSocket-Key is not 16 bytes in base64"))
        }
    }
}

/// The answer to a key.
fn accept(key: &[u8]) -> String {
    BASE64.encode(&Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Whether a list of tokens has this one.
fn has(lists: &[&[u8]], token: &[u8]) -> bool {
    let mut tokens = lists.iter().flat_map(|list| list.split(|b| *b == b','));
    tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    /// A good handshake with one field left out or replaced.
    fn asked<'a>(changed: &str, value: &'a [&'a str]) -> Asked<'a> {
        let mut asked = Asked::default();
        let good = [
            ("Upgrade", "websocket"),
            ("Connection", "keep-alive, Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in good.into_iter().filter(|(name, _)| *name != changed) {
            asked.add(name, value.as_bytes());
        }
        for value in value {
            asked.add(changed, value.as_bytes());
        }
        asked
    }

    #[test]
    fn only_what_the_rfc_says_is_a_handshake() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        for (changed, values, good) in [
            ("X", &[][..], true),
            ("Upgrade", &["WebSocket"], true),
            ("Upgrade", &["h2c, websocket"], true),
            ("Upgrade", &["h2c", "websocket"], true),
            ("Connection", &["UPGRADE"], true),
            ("Connection", &["keep-alive"], false),
            ("Connection", &["xupgrade"], false),
            ("Connection", &[], false),
            ("Sec-WebSocket-Key", &[], false),
            ("Sec-WebSocket-Key", &[key, key], false),
            ("Sec-WebSocket-Key", &["AAAA"], false),
            ("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZQ"], false),
            ("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZSE="], false),
            ("Sec-WebSocket-Key", &["%%%%"], false),
            ("Sec-WebSocket-Version", &[], false),
        ] {
            let accepted = asked(changed, values).accept(1);
            assert_eq!(accepted.is_ok(), good, "{changed}: {values:?}: {accepted:?}");
        }
        for version in ["8", "14", "13, 8", ""] {
            let values = [version];
            assert_eq!(asked("Sec-WebSocket-Version", &values).accept(1), Err(Refused::Version), "{version}");
        }
        assert_eq!(asked("Upgrade", &[]).accept(1), Err(Refused::NotAsked));
        assert!(matches!(asked("X", &[]).accept(0), Err(Refused::Bad(_))));
    }
}
