//! The chat over WebSocket, frame by frame, on every engine: what a page may rely on.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

mod support;

use support::{Daemon, PATIENCE, Start};

const ENGINES: [&str; 3] = ["reactor", "threads", "processes"];

/// A page without a browser.
struct Page {
    socket: WebSocket<TcpStream>,
    welcome: Value,
}

impl Page {
    fn open(daemon: &Daemon) -> WebSocket<TcpStream> {
        let at = daemon.tcp("console");
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        tungstenite::client(format!("ws://{at}/ws/chat"), stream).unwrap().0
    }

    fn join(daemon: &Daemon, join: &Value) -> Self {
        let mut page = Self { socket: Self::open(daemon), welcome: Value::Null };
        page.send(&json!({ "join": join }));
        page.welcome = page.next("welcome");
        page
    }

    /// Comes back with what the last welcome gave, after entry `seq`.
    fn resume(&self, daemon: &Daemon, seq: u64) -> Self {
        let of = |key: &str| self.welcome[key].clone();
        Self::join(
            daemon,
            &json!({"room": of("room"), "token": of("token"), "epoch": of("epoch"), "seq": seq,
            "name": of("name")}),
        )
    }

    fn send(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).unwrap();
    }

    fn say(&mut self, id: u64, text: &str) {
        self.send(&json!({"id": id, "text": text}));
    }

    /// The next frame of a kind; others are passed over.
    fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.any();
            if frame["kind"] == kind {
                return frame;
            }
        }
    }

    fn any(&mut self) -> Value {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Ends without a good-bye.
    fn drop_connection(self) -> Value {
        self.socket.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
        self.welcome
    }

    fn close_code(&mut self) -> u16 {
        loop {
            match self.socket.read() {
                Ok(Message::Close(Some(frame))) => return frame.code.into(),
                Ok(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Somebody with nc.
struct Line {
    reader: BufReader<TcpStream>,
}

impl Line {
    fn join(daemon: &Daemon) -> Self {
        let stream = TcpStream::connect(daemon.tcp("chat")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = Self { reader: BufReader::new(stream) };
        line.say("/help");
        line.find("/quit ");
        line
    }

    fn say(&mut self, text: &str) {
        self.reader.get_mut().write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn find(&mut self, part: &str) -> String {
        loop {
            let line = self.next();
            assert!(!line.is_empty(), "the end, without {part}");
            if line.contains(part) {
                return line;
            }
        }
    }
}

#[test]
fn browsers_and_nc_hear_each_other() {
    for engine in ENGINES {
        let daemon = Start::engine(engine).run();
        let mut nc = Line::join(&daemon);
        nc.say("/nick ben");
        let mut page = Page::join(&daemon, &json!({"name": "ali"}));
        assert_eq!(page.welcome["name"], "ali", "{engine}");
        assert_eq!(nc.find("joined"), "* ali joined");
        page.say(1, "hi <b>\"ben\"</b> \u{1f980}");
        assert_eq!(nc.next(), "ali: hi <b>\"ben\"</b> \u{1f980}");
        let own = page.next("said");
        assert_eq!((&own["id"], &own["from"]), (&json!(1), &page.welcome["you"]), "it is acknowledged");
        nc.say("hello \x1b[2Jali");
        let theirs = page.next("said");
        assert_eq!((&theirs["name"], &theirs["text"]), (&json!("ben"), &json!("hello [2Jali")));
        assert!(theirs["id"].is_null() && theirs["from"] != own["from"]);
        assert!(theirs["seq"].as_u64() > own["seq"].as_u64() && theirs["epoch"] == own["epoch"]);
        page.send(&json!({"who": true}));
        let members = page.next("members");
        assert_eq!((&members["names"], &members["count"]), (&json!(["ali", "ben"]), &json!(2)));
    }
}

#[test]
fn commands_are_those_of_telnet_and_each_is_answered_once() {
    let daemon = Start::reactor().run();
    let mut nc = Line::join(&daemon);
    let mut page = Page::join(&daemon, &json!({"name": "ali"}));
    let mut ask = |id: u64, text: &str| {
        page.say(id, text);
        let reply = page.next("reply");
        assert_eq!(reply["id"], id, "{text}");
        reply
    };
    assert!(ask(1, "/help")["text"].as_str().unwrap().contains("/nick NAME"));
    assert_eq!(ask(2, "/nick cem")["name"], "cem");
    assert!(ask(3, "/nick a b")["text"].as_str().unwrap().contains("a name has"));
    assert!(ask(4, "/who")["text"].as_str().unwrap().contains("cem"));
    assert_eq!(ask(5, "/join other")["room"], "other");
    assert_eq!(ask(6, "/join lobby")["room"], "lobby");
    assert!(ask(7, "/nonsense")["text"].as_str().unwrap().contains("there is no /nonsense"));
    assert_eq!(ask(7, "/nick again")["name"], "cem", "that number was used");
    nc.find("is now cem");
    page.say(8, "/me waves");
    assert_eq!(page.next("action")["id"], 8);
    nc.find("cem waves");
    page.say(9, "exit");
    assert_eq!(page.close_code(), 1000);
    assert_eq!(nc.find("left"), "* cem left");
}

#[test]
fn a_lost_connection_goes_on_without_loss_or_doubling() {
    for engine in ENGINES {
        let daemon = Start::engine(engine).run();
        let mut nc = Line::join(&daemon);
        let mut page = Page::join(&daemon, &json!({"name": "ali"}));
        page.say(1, "one");
        let seq = page.next("said")["seq"].as_u64().unwrap();
        assert_eq!(nc.find("one"), "ali: one");
        // It is said, but the page does not know.
        page.say(2, "two");
        assert_eq!(nc.next(), "ali: two");
        let welcome = page.welcome.clone();
        page.drop_connection();
        nc.say("said meanwhile");
        let mut page = Page { socket: Page::open(&daemon), welcome }.resume(&daemon, seq);
        assert_eq!(page.welcome["resumed"], true, "{engine}: {}", page.welcome);
        assert_eq!((&page.welcome["last"], &page.welcome["missed"]), (&json!(2), &json!(0)));
        assert_eq!(page.welcome["name"], "ali");
        assert_eq!(page.any()["text"], "two");
        assert_eq!(page.any()["text"], "said meanwhile");
        // What is sent again is not said again.
        page.say(2, "two");
        assert_eq!(page.next("reply")["id"], 2);
        page.say(3, "three");
        assert_eq!(page.next("said")["text"], "three");
        assert_eq!(nc.next(), "ali: three", "nobody left, nothing came twice");
        // A close frame is a good-bye.
        page.socket.close(None).unwrap();
        assert_eq!(nc.next(), "* ali left", "{engine}");
    }
}

#[test]
fn a_connection_that_is_taken_over_hears_nothing_more() {
    for engine in ENGINES {
        let daemon = Start::engine(engine).run();
        let mut nc = Line::join(&daemon);
        let mut old = Page::join(&daemon, &json!({"name": "ali"}));
        let seq = old.welcome["seq"].as_u64().unwrap();
        let mut new = old.resume(&daemon, seq);
        assert_eq!(new.welcome["resumed"], true, "{engine}");
        for n in 0..20 {
            nc.say(&format!("line {n}"));
        }
        for n in 0..20 {
            assert_eq!(new.next("said")["text"], format!("line {n}"), "{engine}");
        }
        // The old one is told, or its connection ends; it does not get what is for the new one.
        loop {
            match old.socket.read() {
                Ok(Message::Text(text)) => assert!(!text.contains("line"), "{engine}: {text}"),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        new.say(1, "still here");
        assert_eq!(nc.find("ali"), "* ali joined");
        assert_eq!(nc.find("ali"), "ali: still here", "{engine}");
    }
}

#[test]
fn a_token_of_nobody_brings_a_new_membership() {
    let daemon = Start::reactor().run();
    let page = Page::join(&daemon, &json!({"name": "ali"}));
    let epoch = page.welcome["epoch"].clone();
    for (token, epoch) in
        [(json!("00"), epoch.clone()), (json!("x"), epoch), (page.welcome["token"].clone(), json!("0"))]
    {
        let other = Page::join(&daemon, &json!({"token": token, "epoch": epoch, "seq": 1, "name": "ali"}));
        assert_eq!(other.welcome["resumed"], false);
        assert_ne!(other.welcome["name"], "ali", "the name is taken");
    }
}

#[test]
fn what_is_no_frame_of_the_chat_ends_it() {
    let daemon = Start::reactor().run();
    for (frame, code) in [
        (Message::text("hello"), 1008),
        (Message::text("{}"), 1008),
        (Message::text("[1]"), 1008),
        (Message::text(json!({"id": 1, "text": "first"}).to_string()), 1008),
        (Message::text(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))), 1008),
        (Message::binary(b"{}".to_vec()), 1003),
        (Message::text("x".repeat(64 * 1024)), 1009),
    ] {
        let mut page = Page { socket: Page::open(&daemon), welcome: Value::Null };
        page.socket.send(frame.clone()).unwrap();
        assert_eq!(page.close_code(), code, "{frame:?}");
    }
    let mut page = Page::join(&daemon, &json!({}));
    page.say(1, &"x".repeat(4097));
    let refused = page.next("refused");
    assert!(refused["id"] == 1 && refused["text"].as_str().unwrap().contains("4096"), "{refused}");
    page.say(2, &"\u{7}".repeat(4096));
    page.say(3, "after");
    assert_eq!(page.next("said")["id"], 2);
    assert_eq!(page.next("said")["id"], 3);
    page.send(&json!({"join": {}}));
    assert_eq!(page.close_code(), 1008);
}

#[test]
fn sixty_pages_hear_everything_once_and_in_order() {
    for engine in ENGINES {
        let daemon = Start::engine(engine).run();
        let mut pages: Vec<Page> = (0..60).map(|_| Page::join(&daemon, &json!({}))).collect();
        for n in 1..=20 {
            for page in pages.iter_mut().take(3) {
                page.say(n, &format!("{n}"));
            }
        }
        for page in &mut pages {
            let mut last = 0;
            let mut heard = std::collections::HashMap::<u64, u64>::new();
            for _ in 0..60 {
                let said = page.next("said");
                let (seq, from) = (said["seq"].as_u64().unwrap(), said["from"].as_u64().unwrap());
                assert!(seq > last, "{engine}");
                last = seq;
                let n = heard.entry(from).or_default();
                *n += 1;
                assert_eq!(said["text"], n.to_string(), "{engine}");
            }
            assert_eq!(heard.values().collect::<Vec<_>>(), [&20, &20, &20]);
        }
    }
}
