//! What is measured of every handler, without sockets and system calls of the network: by `handlers` in
//! nanoseconds and allocations, by `instructions` in instructions.
// Each bench uses a part of it.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code)]

use std::hint::black_box;
use std::time::Duration;

use switchboard::conn::{Conn, Env, Life, Pool};
use switchboard::input::Input;
use switchboard::out::{Front, Out};
use switchboard::peer::Peer;
use switchboard::protocol::{ConnId, Cx, Options, Row, Session, Why};
use switchboard::shared::Shared;
use switchboard::show::Show;
use switchboard::time::Time;
use tempfile::TempDir;

/// What a client sends that is a head and nothing else, `curl`'s, and a browser's: 2, 4 and 12 fields.
pub const SHORT: &[u8] = b"GET /file.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
pub const CURL: &[u8] = b"GET /file.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/8.14.1\r\n\
    Accept: */*\r\n\r\n";
pub const BROWSER: &[u8] = b"GET /file.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; \
    Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\nAccept: \
    text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\r\n";
/// A head that is not an ordinary one, so that the general parser takes it.
pub const UNUSUAL: &[u8] =
    b"OPTIONS /file.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/8.14.1\r\n\
    Accept: */*\r\n\r\n";

/// What one event is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A message on a connection that lasts.
    Message(&'static [u8]),
    /// A message that is whole when its pause has passed.
    Unterminated(&'static [u8]),
    /// A frame of a WebSocket: where, what is said first, and the frame's text.
    Frame(&'static str, &'static str, &'static str),
    /// A turn of a connection whose output has been taken.
    Turn,
    /// A connection from its beginning to its end, with what is sent in it.
    Whole(&'static [u8]),
    /// A datagram.
    Datagram(&'static [u8]),
}

/// Something that happens to a handler.
#[derive(Debug)]
pub struct Event {
    pub name: &'static str,
    protocol: &'static str,
    kind: Kind,
    /// Whether it costs the same each time: not where a disk or the time of day is asked.
    pub is_steady: bool,
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn event(name: &'static str, protocol: &'static str, kind: Kind) -> Event {
    Event { name, protocol, kind, is_steady: true }
}

const fn unsteady(name: &'static str, protocol: &'static str, kind: Kind) -> Event {
    Event { name, protocol, kind, is_steady: false }
}

/// Every handler.
pub const EVENTS: &[Event] = &[
    event("echo", "echo", Kind::Message(&[b'e'; 64])),
    event("echo, a datagram", "echo", Kind::Datagram(&[b'e'; 64])),
    event("discard", "discard", Kind::Message(&[b'd'; 64])),
    event("modify", "modify", Kind::Message(b"hello, world\n")),
    event("modify, unterminated", "modify", Kind::Unterminated(b"hello, world")),
    event("hello", "hello", Kind::Message(b"Hello World\n")),
    unsteady("reqtime", "reqtime", Kind::Message(b"reqtime\n")),
    unsteady("daytime, a connection", "daytime", Kind::Whole(b"")),
    event("time, a connection", "time", Kind::Whole(b"")),
    event("chargen, a turn", "chargen", Kind::Turn),
    event("collect, a connection", "collect", Kind::Whole(b"Hello, world\n")),
    event("chat, a line", "chat", Kind::Message(b"hello, all of you\n")),
    event("udp-chat, a datagram", "udp-chat", Kind::Datagram(b"hello, all of you")),
    event("http, short head", "http", Kind::Message(SHORT)),
    event("http, curl's head", "http", Kind::Message(CURL)),
    event("http, a browser's head", "http", Kind::Message(BROWSER)),
    event(
        "http, not modified",
        "http",
        Kind::Message(
            b"GET /file.html HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n",
        ),
    ),
    event(
        "console, a missing page",
        "console",
        Kind::Message(b"GET /style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
    ),
    event("WebSocket echo, a frame", "console", Kind::Frame("/ws/echo", "hello", "hello, world")),
    event(
        "WebSocket chat, a line",
        "console",
        Kind::Frame("/ws/chat", "{\"join\":{}}", "{\"text\":\"hello, all of you\"}"),
    ),
    unsteady("download, a connection", "download", Kind::Whole(b"file.html\n")),
    unsteady("upload, a connection", "upload", Kind::Whole(b"up.txt\nhello, world\n")),
];

/// A handler with an engine that takes everything at once, and does jobs as they come.
pub struct Bench {
    options: Options,
    shared: Shared,
    pool: Pool,
    now: Time,
    peer: Peer,
    kind: Kind,
    step: Duration,
    conn: Conn,
    /// What datagrams go to.
    session: Session,
    out: Out,
    frame: Vec<u8>,
    _dir: TempDir,
}

impl Bench {
    /// A connection on which the event has happened once.
    pub fn new(event: &Event) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file.html"), [b'x'; 1024]).unwrap();
        let options = options(event.protocol, &dir);
        options.prepare().unwrap();
        let (conn, session) = (Conn::new(options.session()), options.session());
        let peer = Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 40_000)));
        let mut bench = Self {
            options,
            shared: Shared::new(Show::nowhere()),
            pool: Pool::default(),
            now: Time::START,
            peer,
            kind: event.kind,
            // Speakers as slow as people: nobody is told to wait. All else is in one turn: no file is looked at
            // again.
            step: Duration::from_secs(u64::from(event.name.contains("chat"))),
            conn,
            session,
            out: Out::default(),
            frame: Vec::new(),
            _dir: dir,
        };
        bench.open();
        assert!(bench.run() > 0 || matches!(event.protocol, "discard" | "chat" | "udp-chat" | "collect"));
        bench.run();
        let lasts = !matches!(event.kind, Kind::Whole(_) | Kind::Datagram(_));
        assert!(!lasts || bench.conn.life() == Life::Open, "{} has ended it", event.name);
        bench
    }

    fn open(&mut self) {
        match self.kind {
            Kind::Frame(path, first, text) => {
                self.call(&[], Conn::open);
                let handshake = format!(
                    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                );
                assert!(self.input(handshake.as_bytes()) > 0);
                self.input(&frame(first));
                self.frame = frame(text);
            }
            Kind::Datagram(_) => {
                let (now, id) = (self.now, ID);
                let mut out = Out::default();
                let mut deadline = Time::NEVER;
                let (shared, peer) = (&self.shared, &self.peer);
                let mut cx = Cx {
                    now,
                    input: Input::new(&[]),
                    out: &mut out,
                    deadline: &mut deadline,
                    shared,
                    peer,
                    id,
                };
                // Only a network's session has something to do before its first datagram.
                if matches!(self.session, Session::UdpChat(_)) {
                    self.session.handler().open(&mut cx);
                }
            }
            Kind::Whole(_) => {}
            _ => {
                self.call(&[], Conn::open);
            }
        }
    }

    /// The event happens; how many bytes were sent.
    pub fn run(&mut self) -> u64 {
        self.now = self.now.after(self.step);
        match self.kind {
            Kind::Message(bytes) => self.input(bytes) + self.feed(),
            Kind::Unterminated(bytes) => {
                let sent = self.input(bytes);
                self.now = self.now.after(Duration::from_millis(25));
                sent + self.call(&[], Conn::tick)
            }
            Kind::Frame(..) => {
                let frame = std::mem::take(&mut self.frame);
                let sent = self.input(&frame) + self.feed();
                self.frame = frame;
                sent
            }
            Kind::Turn => self.call(&[], |conn, env| {
                conn.go_on(env);
            }),
            Kind::Whole(bytes) => self.whole(bytes),
            Kind::Datagram(bytes) => self.datagram(bytes),
        }
    }

    fn whole(&mut self, bytes: &[u8]) -> u64 {
        self.conn = Conn::new(self.options.session());
        let mut sent = self.call(&[], Conn::open);
        if self.conn.life() == Life::Open {
            sent += self.input(bytes) + self.call(&[], Conn::peer_done);
        }
        sent + self.call(&[], |conn, env| conn.closed(Why::PeerDone, env))
    }

    fn input(&mut self, bytes: &[u8]) -> u64 {
        self.call(bytes, |conn, env| conn.input(black_box(bytes), env))
    }

    /// The members of rooms are fed, as at the end of a turn.
    fn feed(&mut self) -> u64 {
        if self.conn.member().is_none() {
            return 0;
        }
        let (mut rooms, mut sent, now) = (self.shared.rooms(), 0, self.now);
        while let Some((id, _)) = rooms.next_pending() {
            rooms.feed(id, now, |bytes| {
                sent += bytes.len() as u64;
                black_box(bytes).len()
            });
        }
        sent
    }

    fn datagram(&mut self, bytes: &[u8]) -> u64 {
        let (now, id) = (self.now, ID);
        let mut deadline = Time::NEVER;
        let (shared, peer, out) = (&self.shared, &self.peer, &mut self.out);
        let mut cx = Cx { now, input: Input::new(&[]), out, deadline: &mut deadline, shared, peer, id };
        black_box(self.session.handler().datagram(black_box(bytes), &mut cx));
        let sent = match self.out.front(&[]) {
            Front::Bytes(first, second) => (first.len() + second.len()) as u64,
            _ => 0,
        };
        self.out.advance(sent);
        sent
    }

    fn call(&mut self, bytes: &[u8], call: impl FnOnce(&mut Conn, &mut Env<'_>)) -> u64 {
        let mut env =
            Env { now: self.now, shared: &self.shared, pool: &mut self.pool, peer: &self.peer, id: ID };
        call(&mut self.conn, &mut env);
        let mut sent = self.flush(bytes);
        // A turn of chargen is the event itself; all else goes on until it waits for its peer.
        while !matches!(self.kind, Kind::Turn) {
            let jobs = self.pool.take_jobs();
            if jobs.is_empty() && !self.conn.has_turn() {
                break;
            }
            for (_, job) in jobs {
                job.run();
                self.conn.job_done();
            }
            let mut env =
                Env { now: self.now, shared: &self.shared, pool: &mut self.pool, peer: &self.peer, id: ID };
            self.conn.go_on(&mut env);
            sent += self.flush(&[]);
        }
        sent
    }

    fn flush(&mut self, bytes: &[u8]) -> u64 {
        let mut sent = 0;
        while let Some(out) = self.conn.out() {
            let n = match out.front(bytes) {
                Front::Empty => break,
                Front::Bytes(first, second) => (first.len() + second.len()) as u64,
                Front::File(range) => range.len,
            };
            out.advance(black_box(n));
            sent += n;
        }
        self.conn.settle(bytes, &mut self.pool);
        sent
    }
}

const ID: ConnId = ConnId { key: 0, generation: 0 };

fn options(protocol: &str, dir: &TempDir) -> Options {
    let path = |key: &str| (key.to_owned(), toml::Value::from(dir.path().to_str().unwrap()));
    let table = match protocol {
        "http" | "download" => toml::Table::from_iter([path("root")]),
        "upload" => {
            toml::Table::from_iter([path("dir"), ("on_conflict".to_owned(), toml::Value::from("replace"))])
        }
        _ => toml::Table::new(),
    };
    Options::parse(Row::find(protocol).unwrap().kind, table).unwrap()
}

/// A frame of text as a browser sends it: masked.
fn frame(text: &str) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let length = u8::try_from(text.len()).ok().filter(|n| *n < 126).unwrap();
    let masked = text.bytes().zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key);
    [0x81, 0x80 | length].into_iter().chain(key).chain(masked).collect()
}
