//! The framing against tungstenite, an implementation of others; the conversation with a made-up clock.

use std::io::{self, Read, Write};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame as Theirs, FrameHeader};
use tungstenite::protocol::{Role, WebSocket as Client};
use tungstenite::{Error, Message};

use super::*;
use crate::input::Input;
use crate::out::{Front, Out};
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::shared::Shared;
use crate::show::Show;
use crate::time::Time;

const MAX: usize = 1000;
const PING: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends frames back; notes whether it was told that it ends.
#[derive(Debug, Default)]
struct Echo {
    has_left: bool,
    whole: bool,
}

impl FrameProtocol for Echo {
    fn rules(&self) -> Rules {
        Rules { wanted: Wanted { max: MAX, whole: self.whole }, ping_every: PING, patience: PATIENCE }
    }

    fn frame(&mut self, frame: Frame, cx: &mut Cx<'_>) -> Next {
        assert!(!self.has_left);
        assert!(!self.whole || (frame.fin && frame.opcode != Opcode::Continuation));
        if frame.payload == b"bye" {
            return Next::Close(Code::NORMAL, "bye");
        }
        frame::send(frame.fin, frame.opcode, &frame.payload, cx.out);
        Next::Go
    }

    fn leave(&mut self, _: &mut Cx<'_>) {
        assert!(!self.has_left, "it leaves once");
        self.has_left = true;
    }
}

/// A conversation as an engine holds it.
struct Server {
    handler: WebSocket<Echo>,
    shared: Shared,
    left: Vec<u8>,
    out: Out,
    deadline: Time,
    now: Time,
}

impl Server {
    fn new() -> Self {
        Self::wanting(false)
    }

    /// Whole messages, or frames.
    fn wanting(whole: bool) -> Self {
        let mut server = Self {
            handler: WebSocket::new(Echo { whole, ..Echo::default() }),
            shared: Shared::new(Show::nowhere()),
            left: Vec::new(),
            out: Out::default(),
            deadline: Time::NEVER,
            now: Time::START,
        };
        server.call(Handler::open);
        server
    }

    fn call(&mut self, call: impl FnOnce(&mut WebSocket<Echo>, &mut Cx<'_>) -> Flow) -> Flow {
        let mut cx = Cx {
            now: self.now,
            input: Input::new(&self.left),
            out: &mut self.out,
            deadline: &mut self.deadline,
            shared: &self.shared,
            peer: &Peer::Unix,
            id: ConnId { key: 0, generation: 0 },
        };
        let flow = call(&mut self.handler, &mut cx);
        let used = cx.input.used();
        self.left.drain(..used);
        flow
    }

    fn input(&mut self, bytes: &[u8]) -> Flow {
        self.left.extend_from_slice(bytes);
        self.call(Handler::input)
    }

    /// Lets time pass up to the deadline.
    fn expire(&mut self) -> Flow {
        self.now = std::mem::replace(&mut self.deadline, Time::NEVER);
        self.call(Handler::expired)
    }

    /// What was sent since the last call.
    fn sent(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        loop {
            let front = match self.out.front(&[]) {
                Front::Empty => return sent,
                Front::Bytes(first, second) => [first, second].concat(),
                Front::File(_) => panic!("a file"),
            };
            self.out.advance(front.len() as u64);
            sent.extend(front);
        }
    }

    fn keeps_nothing(&self) -> bool {
        self.handler.0.reader.is_idle() && self.left.is_empty() && self.out.is_empty()
    }
}

/// A masked frame.
fn theirs(opcode: OpCode, fin: bool, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let header =
        FrameHeader { is_final: fin, rsv1: false, rsv2: false, rsv3: false, opcode, mask: Some(mask) };
    let mut bytes = Vec::new();
    Theirs::from_payload(header, payload.to_vec().into()).format(&mut bytes).unwrap();
    bytes
}

fn text(payload: &str) -> Vec<u8> {
    theirs(OpCode::Data(Data::Text), true, *b"\x01\x82\x03\xf4", payload.as_bytes())
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    let payload = [&code.to_be_bytes()[..], reason].concat();
    theirs(OpCode::Control(Control::Close), true, [7; 4], &payload)
}

/// What the bytes of a server are to tungstenite.
struct Wire(io::Cursor<Vec<u8>>);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The messages that tungstenite finds in what a server sent, until it ends.
fn heard(bytes: Vec<u8>) -> Vec<Message> {
    let mut client = Client::from_raw_socket(Wire(io::Cursor::new(bytes)), Role::Client, None);
    let mut messages = Vec::new();
    loop {
        match client.read() {
            Ok(message) => messages.push(message),
            Err(Error::ConnectionClosed | Error::Protocol(_) | Error::Io(_)) => return messages,
            Err(error) => panic!("{error}"),
        }
    }
}

fn close_code(bytes: Vec<u8>) -> Option<u16> {
    match heard(bytes).pop() {
        Some(Message::Close(Some(CloseFrame { code, .. }))) => Some(code.into()),
        _ => None,
    }
}

/// A message in one or more frames, with control frames in between.
#[derive(Debug, Clone)]
struct Said {
    is_text: bool,
    parts: Vec<Vec<u8>>,
    pings: Vec<Option<Vec<u8>>>,
}

impl Said {
    fn frames(&self, mask: [u8; 4]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (at, part) in self.parts.iter().enumerate() {
            if let Some(Some(ping)) = self.pings.get(at) {
                bytes.extend(theirs(OpCode::Control(Control::Ping), true, mask, ping));
            }
            let data = match (at, self.is_text) {
                (0, true) => Data::Text,
                (0, false) => Data::Binary,
                _ => Data::Continue,
            };
            bytes.extend(theirs(OpCode::Data(data), at + 1 == self.parts.len(), mask, part));
        }
        bytes
    }

    fn answers(&self) -> Vec<Message> {
        let pings = self.pings.iter().take(self.parts.len()).flatten();
        let mut messages: Vec<Message> = pings.map(|ping| Message::Pong(ping.clone().into())).collect();
        let whole = self.parts.concat();
        messages.push(if self.is_text {
            Message::text(String::from_utf8(whole).unwrap())
        } else {
            Message::binary(whole)
        });
        messages
    }
}

fn said() -> impl Strategy<Value = Said> {
    let payload = prop_oneof![
        any::<String>().prop_map(|text| (true, text.into_bytes())),
        vec(any::<u8>(), 0..400).prop_map(|bytes| (false, bytes)),
    ];
    let pings = vec(proptest::option::of(vec(any::<u8>(), 0..126)), 0..4);
    (payload, vec(0..60_usize, 0..4), pings).prop_map(|((is_text, payload), cuts, pings)| {
        let (mut parts, mut rest) = (Vec::new(), payload.as_slice());
        for cut in cuts {
            let (part, after) = rest.split_at(cut.min(rest.len()));
            parts.push(part.to_vec());
            rest = after;
        }
        parts.push(rest.to_vec());
        Said { is_text, parts, pings }
    })
}

proptest! {
    #[test]
    fn whatever_tungstenite_says_comes_back_to_it_however_it_is_cut(
        all in vec(said(), 1..5), whole: bool, mask: [u8; 4], cuts in vec(1..40_usize, 0..60),
    ) {
        let bytes: Vec<u8> = all.iter().flat_map(|said| said.frames(mask)).collect();
        let (mut server, mut rest) = (Server::wanting(whole), bytes.as_slice());
        let mut sent = Vec::new();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            prop_assert!(matches!(server.input(piece), Flow::Continue));
            sent.extend(server.sent());
            rest = after;
        }
        server.input(rest);
        sent.extend(server.sent());
        prop_assert!(server.keeps_nothing());
        let answers: Vec<Message> = all.iter().flat_map(Said::answers).collect();
        prop_assert_eq!(heard(sent), answers);
    }

    #[test]
    fn nothing_that_is_sent_panics(bytes: Vec<u8>, cut: prop::sample::Index) {
        let mut server = Server::new();
        let at = cut.index(bytes.len() + 1);
        if matches!(server.input(&bytes[..at]), Flow::Continue) {
            server.input(&bytes[at..]);
        }
        heard(server.sent());
    }

    #[test]
    fn a_mask_is_its_own_inverse(bytes: Vec<u8>, mask: [u8; 4], phase in 0..9_usize) {
        let mut masked = bytes.clone();
        frame::mask(&mut masked, mask, phase);
        for (at, (byte, masked)) in bytes.iter().zip(&masked).enumerate() {
            prop_assert_eq!(byte ^ mask[(at + phase) % 4], *masked);
        }
    }
}

#[test]
fn every_split_of_a_frame_is_the_frame() {
    for length in [0, 1, 125, 126, 127, MAX] {
        let bytes = text(&"x".repeat(length));
        for at in 0..=bytes.len() {
            let mut server = Server::new();
            server.input(&bytes[..at]);
            server.input(&bytes[at..]);
            assert_eq!(heard(server.sent()), [Message::text("x".repeat(length))], "{length}, cut at {at}");
        }
    }
}

#[test]
fn heads_of_all_lengths_are_those_of_the_rfc() {
    for (length, head) in [
        (0, &[0x82, 0][..]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (65_535, &[0x82, 126, 255, 255]),
        (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        assert_eq!(frame::ServerHead::new(true, Opcode::Binary, length).as_bytes(), head);
    }
}

#[test]
fn each_broken_rule_has_its_code() {
    let continuation = theirs(OpCode::Data(Data::Continue), true, [1; 4], b"x");
    let begun = theirs(OpCode::Data(Data::Text), false, [1; 4], b"x");
    for (what, bytes, code) in [
        ("a reserved bit", vec![0xc1], 1002),
        ("an unknown kind of data", vec![0x83], 1002),
        ("an unknown kind of control", vec![0x8b], 1002),
        ("a fragmented ping", vec![0x09], 1002),
        ("no mask", vec![0x81, 0x05], 1002),
        ("a long ping", vec![0x89, 0xfe], 1002),
        ("a length written too long", vec![0x81, 0xfe, 0, 125], 1002),
        ("a length of eight bytes written too long", vec![0x81, 0xff, 0, 0, 0, 0, 0, 0, 255, 255], 1002),
        ("the first bit of a length", vec![0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], 1002),
        ("a message too long", [&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0][..], &[0; 4]].concat(), 1009),
        ("nothing to go on with", continuation.clone(), 1002),
        ("a message in a message", [begun.clone(), text("y")].concat(), 1002),
        ("text that is no UTF-8", theirs(OpCode::Data(Data::Text), true, [0; 4], b"\xff"), 1007),
        ("half a character", theirs(OpCode::Data(Data::Text), true, [0; 4], b"\xc3"), 1007),
        ("half a close code", theirs(OpCode::Control(Control::Close), true, [0; 4], b"\x03"), 1002),
        ("a reason that is no UTF-8", close(1000, b"\xff"), 1007),
        ("the code for no code", close(1005, b""), 1002),
        ("a code of nobody", close(2999, b""), 1002),
        ("code 0", close(0, b""), 1002),
        ("the code for no close frame", close(1006, b""), 1002),
        ("code 5000", close(5000, b""), 1002),
    ] {
        let mut server = Server::new();
        assert!(matches!(server.input(&bytes), Flow::Finish(Why::BadInput)), "{what}");
        assert_eq!(close_code(server.sent()), Some(code), "{what}");
        assert!(server.handler.0.protocol.has_left, "{what}");
    }
}

#[test]
fn text_that_cannot_become_utf8_is_refused_before_its_frame_ends() {
    let mut server = Server::new();
    let bytes = theirs(OpCode::Data(Data::Text), true, [9; 4], b"abc\xed\xa0\x80 and more that never comes");
    assert!(matches!(server.input(&bytes[..9]), Flow::Continue));
    assert!(matches!(server.input(&bytes[9..11]), Flow::Finish(Why::BadInput)));
    assert_eq!(close_code(server.sent()), Some(1007));
}

#[test]
fn what_is_announced_is_not_reserved() {
    let mut server = Server::new();
    server.input(&[0x82, 0xfe, 0x03, 0xe8, 1, 2, 3, 4]);
    server.input(&[5; 10]);
    let partial = format!("{:?}", server.handler.0.reader);
    assert!(partial.contains("length: 1000"), "{partial}");
    // Ten bytes have come of a thousand.
    assert!(server.handler.0.reader.capacity() <= 64, "{}", server.handler.0.reader.capacity());
}

#[test]
fn fragments_together_may_not_be_longer_than_a_message() {
    let part = vec![b'x'; MAX / 2];
    let mut server = Server::new();
    server.input(&theirs(OpCode::Data(Data::Binary), false, [1; 4], &part));
    server.input(&theirs(OpCode::Data(Data::Continue), false, [1; 4], &part));
    let flow = server.input(&theirs(OpCode::Data(Data::Continue), true, [1; 4], b"x"));
    assert!(matches!(flow, Flow::Finish(Why::BadInput)));
    assert_eq!(close_code(server.sent()[4 + 2 * part.len() + 4..].to_vec()), Some(1009));
}

#[test]
fn a_close_frame_comes_back_with_its_code() {
    for code in [1000, 1001, 1003, 1007, 1011, 1012, 3000, 4999] {
        let mut server = Server::new();
        let flow = server.input(&[text("last"), close(code, b"why"), text("too late")].concat());
        assert!(matches!(flow, Flow::Finish(Why::Complete)), "{code}");
        let expected = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        assert_eq!(heard(server.sent()), [Message::text("last"), Message::Close(Some(expected))]);
        assert!(server.handler.0.protocol.has_left);
    }
    let mut server = Server::new();
    server.input(&theirs(OpCode::Control(Control::Close), true, [1; 4], b""));
    assert_eq!(server.sent(), [0x88, 0]);
}

#[test]
fn the_daemon_that_stops_says_so_and_waits_for_the_answer() {
    let mut server = Server::new();
    assert!(matches!(server.call(Handler::drain), Flow::Continue));
    assert_eq!(close_code(server.sent()), Some(1001));
    assert_eq!(server.deadline, server.now.after(limits::WEBSOCKET_CLOSE));
    assert!(matches!(server.input(&text("not answered any more")), Flow::Continue));
    assert!(matches!(server.input(&close(1001, b"")), Flow::Finish(Why::Shutdown)));
    assert_eq!(server.sent(), b"", "one close frame is enough");
}

#[test]
fn who_does_not_answer_a_close_frame_is_not_waited_for() {
    let mut server = Server::new();
    assert!(matches!(server.input(&text("bye")), Flow::Continue));
    assert_eq!(close_code(server.sent()), Some(1000));
    assert!(matches!(server.expire(), Flow::Finish(Why::Complete)));
}

#[test]
fn the_silent_are_asked_and_then_given_up() {
    let mut server = Server::new();
    assert_eq!(server.deadline, Time::START.after(PING));
    assert!(matches!(server.expire(), Flow::Continue));
    assert_eq!(server.sent(), [0x89, 0]);
    server.input(&theirs(OpCode::Control(Control::Pong), true, [1; 4], b""));
    assert_eq!(server.deadline, server.now.after(PING), "it has answered");
    assert!(server.keeps_nothing());
    server.expire();
    assert_eq!(server.sent(), [0x89, 0]);
    assert_eq!(server.deadline, server.now.after(PATIENCE));
    assert!(matches!(server.expire(), Flow::Abort(Why::TimedOut)));
}

#[test]
fn who_reads_slowly_is_there_and_who_reads_nothing_is_not() {
    let mut server = Server::new();
    server.input(&text(&"x".repeat(MAX)));
    assert!(matches!(server.expire(), Flow::Continue));
    server.out.advance(10);
    assert!(matches!(server.expire(), Flow::Continue), "it took some");
    assert!(matches!(server.expire(), Flow::Abort(Why::TimedOut)), "it took nothing");
}

#[test]
fn who_does_not_read_is_not_read() {
    let mut server = Server::new();
    let message = text(&"x".repeat(MAX));
    while !server.out.is_full() {
        server.input(&message);
    }
    let full = server.out.len();
    server.input(&message);
    assert_eq!((server.out.len(), server.left.len()), (full, message.len()));
}
