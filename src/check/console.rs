//! The daemon's own web pages, and WebSocket byte by byte: what a server must say to each of a client's
//! frames. The frames are written out here, so that nothing of the server's own code is trusted.

use std::time::Duration;

use super::http::expect_status;
use super::{Case, Client, Outcome, Target, common};

const P: &str = "console";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const UPGRADE: &str = "GET /ws/echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// "Hello", masked (RFC 6455, section 5.7).
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const HELLO_BACK: &[u8] = b"\x81\x05Hello";

pub(super) const CASES: &[Case] = &[
    Case::new(P, "get", "GET / brings a page", "the length counts characters, not bytes", |t| {
        ask(&mut Client::connect(t)?)
    }),
    Case::new(
        P,
        "not_found",
        "what is not there brings status 404, and the connection lives on",
        "the server closes or dies",
        not_found,
    ),
    Case::new(
        P,
        "foreign_host",
        "a request for another host brings no page",
        "a name that somebody else points here opens the door (DNS rebinding)",
        foreign_host,
    ),
    Case::new(
        P,
        "foreign_origin",
        "a page of another site cannot open a WebSocket",
        "the Origin field is not looked at",
        foreign_origin,
    ),
    Case::new(
        P,
        "handshake",
        "the key of RFC 6455 is answered as there",
        "the key is decoded before it is hashed",
        |t| open(t).map(drop),
    ),
    Case::new(
        P,
        "behind_the_handshake",
        "frames that come with the handshake are answered",
        "bytes read together with the request are dropped",
        behind_the_handshake,
    ),
    Case::new(
        P,
        "every_split",
        "a frame comes back however it is cut",
        "each recv is taken as a frame",
        every_split,
    ),
    Case::new(
        P,
        "fragments",
        "fragments come back as they were, the answer to a ping between them",
        "control frames are taken for a part of the message",
        fragments,
    ),
    Case::new(P, "close", "a close frame comes back with its code, then the end", "no answer", |t| {
        open(t)?.send(b"\x88\x82\0\0\0\0\x03\xe8")?.expect(b"\x88\x02\x03\xe8")?.expect_eof()
    }),
    Case::new(
        P,
        "no_mask",
        "a frame without a mask brings code 1002, then the end",
        "the mask bit is not looked at",
        |t| open(t)?.send(b"\x81\x02hi")?.expect_code(1002),
    ),
    Case::new(
        P,
        "not_utf8",
        "text that is no UTF-8 brings code 1007, before its frame ends",
        "text is looked at when all of it is there, or never",
        |t| open(t)?.send(b"\x81\xfe\x01\x00\0\0\0\0good so far \xc3\x28")?.expect_code(1007),
    ),
    Case::new(
        P,
        "too_long",
        "a frame of 8 EiB brings code 1009",
        "memory is reserved for what is announced",
        |t| open(t)?.send(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0")?.expect_code(1009),
    ),
    common::silent_client(P, |t| common::beside_a_silent_one(t, ask)),
    common::resets(P, |t| common::after_resets(t, GET, ask)),
];

impl Client {
    /// A close frame with this code comes next, and then the end.
    fn expect_code(&mut self, code: u16) -> Outcome {
        let frame = self.take(4)?;
        if frame.first() != Some(&0x88) || frame.get(2..) != Some(&code.to_be_bytes()) {
            return Err(self.unexpected(&format!("a close frame with code {code}")));
        }
        let reason = frame.get(1).map_or(0, |length| usize::from(*length).saturating_sub(2));
        self.take(reason)?;
        self.expect_eof()
    }
}

fn ask(client: &mut Client) -> Outcome {
    let page = expect_status(client.send(GET)?, "200")?;
    let is_page = page.windows(9).any(|part| part.eq_ignore_ascii_case(b"<!doctype"));
    if is_page { Ok(()) } else { Err(client.unexpected("a page")) }
}

fn not_found(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    expect_status(client.send(b"GET /no-such-page HTTP/1.1\r\nHost: localhost\r\n\r\n")?, "404")?;
    ask(&mut client)
}

fn foreign_host(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    let body = expect_status(client.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")?, "421")?;
    if body.windows(6).any(|part| part == b"--host") {
        return Ok(());
    }
    Err(client.unexpected("a word on --host"))
}

fn foreign_origin(target: &Target) -> Outcome {
    let request = UPGRADE.replace("Host: localhost", "Host: localhost\r\nOrigin: http://evil.example");
    expect_status(Client::connect(target)?.send(request.as_bytes())?, "403").map(drop)
}

/// A connection after its handshake.
fn open(target: &Target) -> Outcome<Client> {
    let mut client = Client::connect(target)?;
    client.send(UPGRADE.as_bytes())?;
    client.find(b"HTTP/1.1 101 ")?.find(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")?;
    Ok(client)
}

fn behind_the_handshake(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(&[UPGRADE.as_bytes(), HELLO, HELLO].concat())?;
    client.find(b"\r\n\r\n")?.expect(HELLO_BACK)?.expect(HELLO_BACK).map(drop)
}

fn every_split(target: &Target) -> Outcome {
    let mut client = open(target)?;
    for at in 1..HELLO.len() {
        let (first, second) = HELLO.split_at(at);
        client.send(first)?.pause(Duration::from_millis(2)).send(second)?.expect(HELLO_BACK)?;
    }
    let bytes: Vec<&[u8]> = HELLO.chunks(1).collect();
    client.send_parts(&bytes)?.expect(HELLO_BACK).map(drop)
}

fn fragments(target: &Target) -> Outcome {
    let mut client = open(target)?;
    client.send(b"\x01\x82\0\0\0\0\xc3\xa9\x00\x81\0\0\0\0\xf0")?;
    client.send(b"\x89\x82\0\0\0\0hi\x80\x83\0\0\0\0\x9f\xa6\x80")?;
    client.expect(b"\x01\x02\xc3\xa9\x00\x01\xf0\x8a\x02hi\x80\x03\x9f\xa6\x80").map(drop)
}
