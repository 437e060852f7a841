//! HUP: services that come and go, and places that change, without anybody being dropped.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

mod support;

use rustix::process::Signal;
use support::daemon::read_ports;
use support::{Daemon, PATIENCE, Start, Stops, wait_for};
use tempfile::TempDir;

const DONE: &str = "the configuration was read again; it counts";

/// A daemon with a configuration that can be written anew.
#[derive(Debug)]
struct Configured {
    daemon: Daemon,
    file: PathBuf,
    _dir: TempDir,
}

impl Configured {
    fn start(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("switchboard.toml");
        std::fs::write(&file, text).unwrap();
        let daemon = Start::reactor().argument("--config").argument(file.to_str().unwrap()).run();
        Self { daemon, file, _dir: dir }
    }

    /// Has it read this, and waits until the log says so.
    fn read(&self, text: &str, said: &str) {
        let before = self.log().matches(said).count();
        std::fs::write(&self.file, text).unwrap();
        self.daemon.signal(Signal::HUP);
        let heard = wait_for(PATIENCE, || (self.log().matches(said).count() > before).then_some(()));
        assert!(heard.is_some(), "{said}: {}", self.log());
    }

    fn log(&self) -> String {
        String::from_utf8(self.daemon.stderr()).unwrap()
    }

    /// Where a service listens by now, as scripts are told.
    fn at(&self, service: &str) -> Option<SocketAddr> {
        let ports = read_ports(&std::fs::read_to_string(self.daemon.path("ports")).unwrap());
        ports.get(&(service.to_owned(), "tcp".to_owned())).copied()
    }

    /// Waits until it listens somewhere else than there.
    fn moved(&self, service: &str, from: Option<SocketAddr>) -> SocketAddr {
        let at = wait_for(PATIENCE, || self.at(service).filter(|at| Some(*at) != from));
        at.unwrap_or_else(|| panic!("{}", self.log()))
    }

    /// The log is asked first: whoever connects before that is let in, and counted.
    fn has_closed(&self, at: SocketAddr) {
        let said = format!(" {at} any more");
        assert!(wait_for(PATIENCE, || self.log().contains(&said).then_some(())).is_some(), "{}", self.log());
        let closed = wait_for(PATIENCE, || TcpStream::connect(at).is_err().then_some(()));
        assert!(closed.is_some(), "{at}: {}", self.log());
    }
}

/// A service that answers each line with its own name; it listens there.
fn shout(name: &str, listen: &str) -> String {
    format!("[service.{name}]\nprotocol = \"modify\"\nname = \"{name}\"\nlisten = \"{listen}\"\n")
}

fn ask(mut stream: &TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"hi\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {answer:?}"));
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

fn asked(at: SocketAddr) -> String {
    ask(&TcpStream::connect(at).unwrap())
}

#[test]
fn a_place_changes_under_load_and_nobody_is_dropped() {
    let it = Configured::start(&shout("shout", "127.0.0.1:0"));
    let (first, modify) = (it.at("shout").unwrap(), it.daemon.tcp("modify"));
    let early: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(first).unwrap()).collect();
    assert!(early.iter().all(|stream| ask(stream) == "hi shout\n"));
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _stops = Stops(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                let kept = TcpStream::connect(modify).unwrap();
                while !stop.load(Ordering::SeqCst) {
                    assert!(asked(modify).starts_with("hi "));
                    assert!(ask(&kept).starts_with("hi "));
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut at = first;
        for round in 0..5 {
            // Another address of the loopback, and any port there.
            it.read(&shout("shout", &format!("127.0.0.{}:0", round + 2)), DONE);
            let next = it.moved("shout", Some(at));
            assert_eq!(asked(next), "hi shout\n");
            it.has_closed(at);
            assert!(early.iter().all(|stream| ask(stream) == "hi shout\n"), "round {round}");
            at = next;
        }
        let by_now = done.load(Ordering::SeqCst);
        let goes_on = wait_for(PATIENCE, || (done.load(Ordering::SeqCst) > by_now + 4).then_some(()));
        assert!(goes_on.is_some(), "{}", it.log());
    });
    assert!(!it.log().contains("peer reset"), "{}", it.log());
}

#[test]
fn who_has_connected_to_a_place_that_goes_is_still_let_in() {
    let it = Configured::start(&shout("shout", "127.0.0.1:0"));
    let at = it.at("shout").unwrap();
    it.daemon.signal(Signal::STOP);
    let waiting: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(at).unwrap()).collect();
    std::fs::write(&it.file, shout("shout", "127.0.0.2:0")).unwrap();
    it.daemon.signal(Signal::HUP);
    it.daemon.signal(Signal::CONT);
    it.moved("shout", Some(at));
    for stream in &waiting {
        assert_eq!(ask(stream), "hi shout\n");
    }
    it.has_closed(at);
}

#[test]
fn services_come_and_go() {
    let it = Configured::start("");
    it.read(&shout("shout", "127.0.0.1:0"), DONE);
    let first = it.moved("shout", None);
    let stays = TcpStream::connect(first).unwrap();
    assert_eq!(ask(&stays), "hi shout\n");
    it.read("without = [\"echo\"]\n", DONE);
    it.has_closed(first);
    it.has_closed(it.daemon.tcp("echo"));
    assert_eq!((it.at("shout"), it.at("echo")), (None, None));
    assert_eq!(ask(&stays), "hi shout\n", "who is there stays");
    it.daemon.signal(Signal::USR1);
    let counted = "state: service shout: 1 open, 1 in all";
    assert!(wait_for(PATIENCE, || it.log().contains(counted).then_some(())).is_some(), "{}", it.log());
    // It comes back under its number, with what has been counted.
    it.read(&shout("shout", "127.0.0.1:0"), DONE);
    assert_eq!(asked(it.moved("shout", None)), "hi shout\n");
    let mut echo = TcpStream::connect(it.moved("echo", None)).unwrap();
    echo.write_all(b"hello").unwrap();
    echo.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    echo.read_to_string(&mut back).unwrap();
    assert_eq!(back, "hello");
    let page = support::own::run(&["get", &format!("http://{}/", it.daemon.tcp("console"))]).succeed();
    assert!(page.contains("shout"), "the page names what is new");
}

#[test]
fn a_place_that_cannot_be_had_changes_nothing_and_says_why() {
    let it = Configured::start(&shout("shout", "127.0.0.1:0"));
    let at = it.at("shout").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let two = shout("shout", "127.0.0.2:0") + &shout("other", &format!("127.0.0.1:{port}"));
    it.read(
        &two,
        &format!(
            "nothing has changed: {}:8: service other: port {port} (127.0.0.1) is taken by",
            it.file.display()
        ),
    );
    assert_eq!((it.at("shout"), asked(at)), (Some(at), "hi shout\n".to_owned()));
    // One of our own is in the way.
    let wide = shout("shout", &format!("0.0.0.0:{}", at.port()));
    it.read(&wide, "is taken by the service shout; to go on there with other addresses takes a restart");
    assert_eq!(asked(at), "hi shout\n");
    // And then it can be had.
    drop(taken);
    it.read(&two, DONE);
    assert_eq!(asked(([127, 0, 0, 1], port).into()), "hi other\n");
}

#[test]
fn a_place_is_handed_from_one_service_to_another() {
    let it = Configured::start(&shout("shout", "127.0.0.1:0"));
    let at = it.at("shout").unwrap();
    let early = TcpStream::connect(at).unwrap();
    assert_eq!(ask(&early), "hi shout\n");
    it.read(&shout("yell", &at.to_string()), DONE);
    assert_eq!(it.moved("yell", None), at);
    assert_eq!((asked(at), ask(&early)), ("hi yell\n".to_owned(), "hi shout\n".to_owned()));
}

#[test]
fn unix_sockets_and_datagrams_move_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    let of = |path: &PathBuf| shout("shout", &format!("unix:{}", path.display()));
    let it = Configured::start(&of(&one));
    it.read(&of(&two), DONE);
    assert!(wait_for(PATIENCE, || UnixStream::connect(&two).is_ok().then_some(())).is_some(), "{}", it.log());
    assert!(!one.exists() && two.exists());
    let mut stream = UnixStream::connect(&two).unwrap();
    stream.write_all(b"hi\n").unwrap();
    stream.read_exact(&mut [0; 9]).unwrap();

    let echo = "[service.again]\nprotocol = \"echo\"\nlisten = \"udp:127.0.0.1:0\"\n";
    it.read(echo, DONE);
    let port = wait_for(PATIENCE, || {
        let ports = read_ports(&std::fs::read_to_string(it.daemon.path("ports")).unwrap());
        ports.get(&("again".to_owned(), "udp".to_owned())).copied()
    });
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"hello", port.unwrap()).unwrap();
    assert_eq!(socket.recv(&mut [0; 100]).unwrap(), 5);
    assert!(!two.exists(), "it goes with its listener");
    it.read("", DONE);
    // Closed: its port can be had again.
    assert!(wait_for(PATIENCE, || UdpSocket::bind(port.unwrap()).ok()).is_some(), "{}", it.log());
}
