//! The service without a socket: requests in, replies out.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use tempfile::TempDir;

use self::rows::{Case, LONG};
use super::{Http, Options};
use crate::conn::{Conn, Env, Life, Pool};
use crate::out::{Front, Out};
use crate::peer::Peer;
use crate::protocol::{ConnId, Protocol, Session, Why};
use crate::shared::{Shared, tests::shared};
use crate::show::Show;
use crate::time::Time;

mod answers;
mod conditions;
mod files;
mod hostile;
mod listings;
mod log;
mod options;
mod paths;
mod private;
mod races;
mod ranges;
mod rows;

/// A directory with something of every kind, and one outside that must never be seen.
struct Site {
    dir: TempDir,
    options: Arc<Options>,
    clock: fn() -> SystemTime,
}

impl Site {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        rows::fill(&root, &outside);
        Self { options: Arc::new(Options { root, ..options }), dir, clock: || shared().wall_clock() }
    }

    /// A site whose files are old enough for strong entity tags, whenever the tests run.
    fn of_old() -> Self {
        Self { clock: a_day_later, ..Self::new() }
    }

    /// Puts a file below the root, last modified `at` seconds after 1970.
    fn put(&self, path: &str, content: &[u8], at: u64) {
        rows::put(self.root(), path, content, at);
    }

    /// The value of a field of the reply to this request line and these fields.
    fn field(&self, line: &str, fields: &str, name: &str) -> String {
        let request = format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let reply = String::from_utf8_lossy(&self.ask([request.as_bytes()]).0).into_owned();
        let value = reply.split("\r\n").find_map(|field| field.strip_prefix(&format!("{name}: ")));
        value.unwrap_or_else(|| panic!("{name} in {reply}")).to_owned()
    }

    fn root(&self) -> &Path {
        &self.options.root
    }

    fn connect(&self) -> Client {
        let session = Session::Http(Http::new(&self.options));
        let mut client = Client {
            conn: Conn::new(session),
            pool: Pool::default(),
            shared: Shared::with_clock(self.clock, TimeZone::UTC, Show::nowhere()),
            now: Time::START,
            got: Vec::new(),
        };
        client.with(Conn::open);
        client
    }

    /// What a connection gets that sends these pieces, and whether it stays open.
    fn ask<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
        let mut client = self.connect();
        for piece in pieces {
            client.send(piece);
        }
        let is_open = client.is_open();
        (client.got, is_open)
    }

    fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        String::from_utf8(self.ask([request.as_bytes()]).0).unwrap()
    }
}

/// A clock that stands still, a day after the tests began.
fn a_day_later() -> SystemTime {
    static CLOCK: OnceLock<SystemTime> = OnceLock::new();
    *CLOCK.get_or_init(|| SystemTime::now() + Duration::from_secs(86_400))
}

/// Checks each case whole, byte by byte, cut in two at every place, and twice in a pipeline.
fn check_cases(site: &Site, cases: &[Case]) {
    let tag = site.field("GET /a.txt", "", "ETag");
    for case in cases {
        let fields = if case.fields.is_empty() {
            String::new()
        } else {
            format!("{}\r\n", case.fields.replace(" | ", "\r\n"))
        };
        let raw = format!("{} HTTP/1.1\r\nHost: h\r\n{fields}\r\n", case.line).replace("{t}", &tag);
        let (got, is_open) = site.ask([raw.as_bytes()]);
        let text = String::from_utf8_lossy(&got).replace(&tag, "{t}");
        assert!(is_open, "{raw}{text}");
        assert_eq!(statuses(&got), [case.status], "{raw}{text}");
        case.has.iter().for_each(|has| assert!(text.contains(has), "{raw}{text}has no {has}"));
        case.lacks.iter().for_each(|lacks| assert!(!text.contains(lacks), "{raw}{text}has {lacks}"));
        // Parts are separated by what is drawn for each reply.
        if text.contains("multipart/byteranges") {
            continue;
        }
        assert_eq!(site.ask(raw.as_bytes().chunks(1)).0, got, "byte by byte: {raw}");
        for at in 1..raw.len() {
            let (first, second) = raw.as_bytes().split_at(at);
            assert_eq!(site.ask([first, second]).0, got, "cut at {at}: {raw}");
        }
        let twice = site.ask([raw.repeat(2).as_bytes()]).0;
        assert_eq!(twice, got.repeat(2), "twice: {raw}");
    }
}

/// A peer that reads everything at once.
struct Client {
    conn: Conn,
    pool: Pool,
    shared: Shared,
    now: Time,
    got: Vec<u8>,
}

impl Client {
    fn with(&mut self, event: impl FnOnce(&mut Conn, &mut Env<'_>)) {
        let peer = Peer::V4(Ipv4Addr::LOCALHOST, 40_000);
        let id = ConnId { key: 0, generation: 0 };
        let (now, shared, pool) = (self.now, &self.shared, &mut self.pool);
        event(&mut self.conn, &mut Env { now, shared, pool, peer: &peer, id });
    }

    /// Sends, and reads until nothing more comes.
    fn send(&mut self, bytes: &[u8]) {
        self.with(|conn, env| conn.input(bytes, env));
        self.read();
    }

    fn eof(&mut self) {
        self.with(Conn::peer_done);
        self.read();
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.with(Conn::tick);
    }

    fn read(&mut self) {
        loop {
            if let Some(out) = self.conn.out() {
                read_all(out, &mut self.got);
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

    fn is_open(&self) -> bool {
        self.conn.life() == Life::Open
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.got).unwrap()
    }
}

/// Reads everything that waits, files too.
fn read_all(out: &mut Out, to: &mut Vec<u8>) {
    loop {
        let sent = match out.front(&[]) {
            Front::Empty => return,
            Front::Bytes(first, second) => {
                to.extend_from_slice(first);
                to.extend_from_slice(second);
                (first.len() + second.len()) as u64
            }
            Front::File(range) => {
                let mut bytes = vec![0; usize::try_from(range.len).unwrap()];
                range.file.read_exact_at(&mut bytes, range.offset).unwrap();
                to.extend_from_slice(&bytes);
                range.len
            }
        };
        out.advance(sent);
    }
}

/// The statuses of all replies, in order. No file of the site looks like a reply.
fn statuses(replies: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(replies);
    let codes = text.split("HTTP/1.1 ").skip(1);
    codes.filter_map(|reply| reply.get(..3)?.parse().ok()).collect()
}

#[test]
fn a_session_is_prepared_or_says_why_not() {
    let prepare = |root: &Path| Http::prepare(&Options { root: root.into(), ..Options::default() });
    let site = Site::new();
    assert_eq!(prepare(site.root()), Ok(()));
    assert_eq!(prepare(Path::new("./x")), Err("cannot serve ./x: No such file or directory".to_owned()));
    let file = site.root().join("a.txt");
    assert_eq!(prepare(&file), Err(format!("cannot serve {}: Not a directory", file.display())));
}

#[test]
fn options_are_read_from_a_table() {
    let options: Options = toml::from_str("root = \"x\"\nkeep_alive = \"2s\"\nlisting = false").unwrap();
    assert_eq!((options.keep_alive, options.listing), (Duration::from_secs(2), false));
    assert!(toml::from_str::<Options>("opened = 1").is_err());
}

#[test]
fn a_head_must_come_in_time() {
    let site = Site::new();
    let mut client = site.connect();
    client.send(b"GET / HTTP/1.1\r\n");
    client.wait(9);
    client.send(b"Host: h\r\n");
    client.wait(1);
    client.read();
    assert!(client.text().starts_with("HTTP/1.1 408 "));
    assert!(client.text().contains("the blank line that ends the request is missing"));
    assert_eq!(client.conn.life(), Life::Finishing(Why::TimedOut));
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let site = Site::new();
    let mut client = site.connect();
    client.wait(29);
    client.send(b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    let answered = client.got.len();
    client.wait(74);
    assert!(client.is_open());
    client.wait(1);
    client.read();
    assert_eq!(client.got.len(), answered);
    assert_eq!(client.conn.life(), Life::Finishing(Why::TimedOut));
}

#[test]
fn empty_lines_do_not_keep_a_connection() {
    let site = Site::new();
    let mut client = site.connect();
    for _ in 0..30 {
        client.send(b"\r\n");
        client.wait(1);
    }
    assert!(client.got.is_empty() && !client.is_open());
}

#[test]
fn a_slow_reader_is_kept_and_a_dead_one_is_not() {
    let site = Site::new();
    let mut client = site.connect();
    client.with(|conn, env| conn.input(b"GET /long.bin HTTP/1.1\r\nHost: h\r\n\r\n", env));
    read_head(&mut client);
    for _ in 0..10 {
        client.conn.out().unwrap().advance(crate::limits::PROGRESS);
        client.wait(60);
        assert!(client.is_open());
    }
    client.conn.out().unwrap().advance(crate::limits::PROGRESS - 1);
    client.wait(60);
    assert_eq!(client.conn.life(), Life::Dead(Why::TimedOut));
}

#[test]
fn a_short_reply_that_nobody_reads_is_given_up_too() {
    let site = Site::new();
    let mut client = site.connect();
    client.with(|conn, env| conn.input(b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", env));
    client.wait(75);
    assert!(client.is_open());
    client.wait(60);
    assert_eq!(client.conn.life(), Life::Dead(Why::TimedOut));
}

fn read_head(client: &mut Client) {
    let out = client.conn.out().unwrap();
    let Front::Bytes(first, &[]) = out.front(&[]) else { panic!("no head") };
    let head = first.len() as u64;
    out.advance(head);
}

#[test]
fn the_pause_begins_when_the_reply_is_through() {
    let site = Site::new();
    let mut client = site.connect();
    client.with(|conn, env| conn.input(b"GET /long.bin HTTP/1.1\r\nHost: h\r\n\r\n", env));
    client.now = client.now.after(Duration::from_secs(50));
    client.read();
    client.wait(74);
    assert!(client.is_open());
    client.wait(1);
    assert!(!client.is_open());
}

#[test]
fn the_end_of_input_and_the_drain() {
    let site = Site::new();
    let cases: [(&[u8], &[u16]); 5] = [
        (b"", &[]),
        (b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
        (b"GET / HTTP/1.0\r\n", &[400]),
        (b"GET /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc", &[400]),
        (b"GET /long.bin HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /a.txt HTTP/1.0\r\n\r\n", &[200, 200]),
    ];
    for (sent, expected) in cases {
        let mut client = site.connect();
        client.with(|conn, env| conn.input(sent, env));
        client.eof();
        assert_eq!((statuses(&client.got).as_slice(), client.is_open()), (expected, false));
        let mut client = site.connect();
        client.send(sent);
        client.with(Conn::drain);
        assert!(!client.is_open());
    }
}
