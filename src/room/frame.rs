//! Entries of a room as frames of WebSocket: a header and a text in JSON, finished, not masked.

use serde::Serialize;

use super::form::Entry;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::frame::ServerHead;

#[derive(Debug, Serialize)]
struct Body<'a> {
    /// The run of the daemon: numbers of two runs have nothing to do with each other.
    epoch: &'a str,
    seq: u64,
    /// The author's number; 0 is the daemon.
    from: u64,
    kind: &'static str,
    name: &'a str,
    text: &'a str,
    /// Milliseconds since 1970.
    time: u64,
    /// What the author's client called it, to know its own lines by.
    #[serde(skip_serializing_if = "is_zero")]
    id: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it by reference")]
fn is_zero(id: &u64) -> bool {
    *id == 0
}

/// Appends `entry` as one finished, unmasked text frame. Whoever gets one gets the same bytes, the author
/// too: `from` and `id` tell its client that the line has arrived.
pub fn encode(epoch: u64, entry: &Entry<'_>, to: &mut Vec<u8>) {
    let body = Body {
        epoch: &format!("{epoch:016x}"),
        seq: entry.seq,
        from: entry.author,
        kind: entry.kind.word(),
        name: entry.name,
        text: entry.text,
        time: entry.time,
        id: entry.client,
    };
    append(&body, to);
}

/// Appends that entries are missing here, up to but not including number `until`. How many of them
/// there were for this member is told, too.
pub fn encode_gap(epoch: u64, missed: u64, until: u64, to: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Gap {
        epoch: String,
        kind: &'static str,
        missed: u64,
        until: u64,
    }
    append(&Gap { epoch: format!("{epoch:016x}"), kind: "gap", missed, until }, to);
}

/// Appends a value as JSON in a frame.
fn append(body: &impl Serialize, to: &mut Vec<u8>) {
    let start = to.len();
    // Writing strings and numbers to a vector cannot fail.
    let _ = serde_json::to_writer(&mut *to, body);
    let len = to.len() - start;
    let head = ServerHead::new(true, Opcode::Text, len);
    to.splice(start..start, head.as_bytes().iter().copied());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::form::Kind;
    use super::*;

    fn body(frame: &[u8]) -> Value {
        let (start, len) = match frame[1] {
            126 => (4, usize::from(u16::from_be_bytes([frame[2], frame[3]]))),
            127 => (10, usize::try_from(u64::from_be_bytes(frame[2..10].try_into().unwrap())).unwrap()),
            len => (2, usize::from(len)),
        };
        assert_eq!((frame[0], frame.len()), (0x81, start + len));
        serde_json::from_slice(&frame[start..]).unwrap()
    }

    fn frame(text: &str, client: u64) -> Vec<u8> {
        let entry = Entry { seq: 7, author: 3, name: "ben", time: 1000, kind: Kind::Said, text, client };
        let mut bytes = b"before".to_vec();
        encode(0xabc, &entry, &mut bytes);
        bytes.split_off(6)
    }

    #[test]
    fn an_entry_is_one_frame() {
        let said = json!({"epoch": "0000000000000abc", "seq": 7, "from": 3, "kind": "said", "name": "ben",
            "text": "\"hi\" <b>", "time": 1000});
        assert_eq!(body(&frame("\"hi\" <b>", 0)), said);
        assert_eq!(body(&frame("", 5))["id"], 5);
    }

    #[test]
    fn every_length_has_its_header() {
        let lengths: Vec<u8> = [0, 1000, 70_000].iter().map(|n| frame(&"x".repeat(*n), 0)[1]).collect();
        assert!(lengths[0] < 126 && lengths[1..] == [126, 127], "{lengths:?}");
        assert_eq!(body(&frame(&"x".repeat(70_000), 0))["text"], "x".repeat(70_000));
    }

    #[test]
    fn a_gap_is_shown_as_a_gap() {
        let mut bytes = Vec::new();
        encode_gap(1, 12, 99, &mut bytes);
        assert_eq!(
            body(&bytes),
            json!({"epoch": "0000000000000001", "kind": "gap", "missed": 12, "until": 99})
        );
    }
}
