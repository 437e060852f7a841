//! What the targets share: a connection without a socket, and a directory to serve to it.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use switchboard::conn::{Conn, Env, Life, Pool};
use switchboard::out::Front;
use switchboard::peer::Peer;
use switchboard::protocol::http::{Http, Options};
use switchboard::protocol::{ConnId, Protocol, Session};
use switchboard::shared::Shared;
use switchboard::show::Show;
use switchboard::time::Time;
use tempfile::TempDir;

/// What no reply may ever have in it: it lies outside of the served directory.
pub const SECRET: &str = "SECRET-THAT-LIES-OUTSIDE";

/// Length of `long.bin`, longer than what is sent from memory.
pub const LONG: usize = 20_000;

/// The byte of `long.bin` at this place.
pub fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

/// A directory with files, folders and links, and one beside it.
pub struct Site {
    options: Arc<Options>,
    dir: TempDir,
}

impl Default for Site {
    fn default() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(root.join("sub/deep")).unwrap();
        fs::create_dir(&outside).unwrap();
        for name in ["a.txt", "sub/b.txt", "back\\slash", ".hidden", "..x", "%2e%2e", "caf\u{e9}", "a b"] {
            fs::write(root.join(name), format!("content of {name}\n")).unwrap();
        }
        fs::write(root.join("long.bin"), (0..LONG).map(byte).collect::<Vec<_>>()).unwrap();
        fs::write(root.join("a.txt.gz"), b"compressed").unwrap();
        fs::write(outside.join("passwd"), SECRET).unwrap();
        symlink("../outside/passwd", root.join("out")).unwrap();
        symlink(outside.join("passwd"), root.join("far")).unwrap();
        symlink("../outside", root.join("o")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("../a.txt", root.join("sub/in")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let mut options = Options::default();
        options.root = root;
        Http::prepare(&options).unwrap();
        Self { options: Arc::new(options), dir }
    }
}

impl Site {
    pub fn connect(&self) -> Client {
        Client::new(Session::Http(Http::new(&self.options)))
    }

    pub fn root(&self) -> &Path {
        &self.options.root
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What a connection gets that sends this at once.
    pub fn ask(&self, request: &[u8]) -> Vec<u8> {
        let mut client = self.connect();
        client.send(request);
        client.got
    }
}

/// A peer that reads everything at once.
pub struct Client {
    conn: Conn,
    pool: Pool,
    shared: Shared,
    now: Time,
    pub got: Vec<u8>,
}

impl Client {
    pub fn new(session: Session) -> Self {
        let clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        let mut client = Self {
            conn: Conn::new(session),
            pool: Pool::default(),
            shared: Shared::with_clock(clock, TimeZone::UTC, Show::stdout()),
            now: Time::START,
            got: Vec::new(),
        };
        client.with(Conn::open);
        client.read();
        client
    }

    fn with(&mut self, event: impl FnOnce(&mut Conn, &mut Env<'_>)) {
        let peer = Peer::V4(Ipv4Addr::LOCALHOST, 40_000);
        let id = ConnId { key: 0, generation: 0 };
        let (now, shared, pool) = (self.now, &self.shared, &mut self.pool);
        event(&mut self.conn, &mut Env { now, shared, pool, peer: &peer, id });
        // As with an engine that has all the time of the world.
        for (_, job) in self.pool.take_jobs() {
            job.run();
            self.conn.job_done();
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.with(|conn, env| conn.input(bytes, env));
        self.conn.settle(bytes, &mut self.pool);
        self.read();
    }

    /// Sends this in pieces of these lengths, over and over; the last piece is what is left.
    pub fn send_in_pieces(&mut self, mut bytes: &[u8], lengths: &[u8]) {
        for length in lengths.iter().cycle().take(bytes.len()) {
            let (piece, rest) = bytes.split_at(bytes.len().min(usize::from(*length).max(1)));
            if piece.is_empty() {
                break;
            }
            self.send(piece);
            bytes = rest;
        }
        self.send(bytes);
    }

    pub fn eof(&mut self) {
        self.with(Conn::peer_done);
        self.read();
    }

    pub fn is_open(&self) -> bool {
        self.conn.life() == Life::Open
    }

    fn read(&mut self) {
        loop {
            while let Some(out) = self.conn.out() {
                let sent = match out.front(&[]) {
                    Front::Empty => break,
                    Front::Bytes(first, second) => {
                        self.got.extend_from_slice(first);
                        self.got.extend_from_slice(second);
                        (first.len() + second.len()) as u64
                    }
                    Front::File(range) => {
                        let mut bytes = vec![0; usize::try_from(range.len).unwrap()];
                        range.file.read_exact_at(&mut bytes, range.offset).unwrap();
                        self.got.extend_from_slice(&bytes);
                        range.len
                    }
                };
                out.advance(sent);
            }
            let mut is_more = false;
            self.with(|conn, env| is_more = conn.go_on(env));
            self.shared.end_turn();
            if !is_more && self.conn.is_flushed() {
                break;
            }
        }
        self.conn.settle(&[], &mut self.pool);
    }
}

/// Whether the bytes have this in them.
pub fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The head and the body of a reply.
pub fn split(reply: &[u8]) -> (String, &[u8]) {
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n").expect("a reply has a head") + 4;
    (String::from_utf8(reply[..end].to_vec()).expect("a head is text"), &reply[end..])
}

/// The value of a field of a head.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
