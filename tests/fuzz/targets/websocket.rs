//! Any bytes as frames to `/ws/echo`: the answers are the same however the frames are cut, are frames
//! themselves, and what comes back was sent. The first bytes of the input, up to the first 0, are the lengths
//! of the pieces.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use switchboard::protocol::console::{Console, Options};
use switchboard::protocol::websocket::{Opcode, Reader, Wanted};
use switchboard::protocol::{Protocol, Session};
use switchboard_fuzz::Client;

/// Longest message: short, so that the bound is met.
const MAX: usize = 300;

const HANDSHAKE: &[u8] = b"GET /ws/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A connection through its handshake, with nothing read.
fn connect() -> Client {
    static OPTIONS: LazyLock<Arc<Options>> = LazyLock::new(|| {
        let mut options = Options::default();
        options.max_message = MAX;
        Arc::new(options)
    });
    let mut client = Client::new(Session::Console(Console::new(&OPTIONS)));
    client.send(HANDSHAKE);
    assert!(client.got.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&client.got));
    client.got.clear();
    client
}

fuzz_target!(|data: &[u8]| {
    let Some(at) = data.iter().position(|b| *b == 0) else { return };
    let (lengths, frames) = (&data[..at], &data[at + 1..]);
    let (mut whole, mut cut) = (connect(), connect());
    whole.send(frames);
    cut.send_in_pieces(frames, lengths);
    assert_eq!(whole.got, cut.got);
    assert_eq!(whole.is_open(), cut.is_open());
    let answers = answers(&whole.got);
    if let Some(at) = answers.iter().position(|(opcode, _)| *opcode == 8) {
        assert_eq!(at + 1, answers.len(), "nothing follows a close frame");
        assert!(!whole.is_open());
    }
    let sent = sent(frames);
    let data = answers.iter().filter(|(opcode, _)| *opcode < 8).map(|(_, payload)| payload);
    assert!(data.eq(&sent), "what comes back was sent");
});

/// The server's frames: opcode and payload of each.
fn answers(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert!(first & 0x70 == 0 && second & 0x80 == 0, "a server's frame has no mask and no extension");
        let (length, rest) = match second {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => panic!("no message is so long"),
            short => (usize::from(*short), rest),
        };
        assert!(*second != 126 || length > 125, "the shortest form");
        let (payload, rest) = rest.split_at(length);
        all.push((first & 0x0f, payload.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a frame: {bytes:?}");
    all
}

/// The payloads of the frames of data up to the end of the conversation.
fn sent(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut reader, mut input) = (Reader::default(), switchboard::input::Input::new(bytes));
    let mut all = Vec::new();
    while let Ok(Some(frame)) = reader.next(&mut input, Wanted { max: MAX, whole: false }) {
        match frame.opcode {
            Opcode::Close => break,
            Opcode::Ping | Opcode::Pong => {}
            _ => all.push(frame.payload),
        }
    }
    all
}
