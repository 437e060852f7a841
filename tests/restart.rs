//! A restart by USR2: a new process takes over the sockets, and no client notices.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

mod support;

use support::{Daemon, PATIENCE, Start, wait_for};

/// The run that serves at the moment: a daemon and its successors, the last of which is ended with it.
struct Line {
    daemon: Daemon,
    /// Restarts so far.
    restarts: usize,
    pid: Pid,
}

impl Line {
    fn start(start: Start) -> Self {
        let daemon = start.run();
        let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap()).unwrap();
        Self { daemon, restarts: 0, pid }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&self.daemon.stderr()).into_owned()
    }

    /// Asks for a restart, and waits until another process serves.
    fn restart(&mut self) {
        kill_process(self.pid, Signal::USR2).unwrap();
        let successor = |log: String| {
            let lines = log.lines().filter(|line| line.ends_with(" has taken over"));
            let word = lines.skip(self.restarts).map(|line| line.rsplit(' ').nth(3).unwrap().to_owned());
            word.map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).next()
        };
        let found = wait_for(PATIENCE, || successor(self.log()));
        self.pid = found.unwrap_or_else(|| panic!("nobody takes over\n{}", self.daemon.output()));
        self.restarts += 1;
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    fn is_running(&self) -> bool {
        test_kill_process(self.pid).is_ok()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The first of the line is the daemon's own to end; a later one is nobody's child here.
        if self.restarts > 0 {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// Clients that ask one thing after the other until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<(&'static str, JoinHandle<Result<(), String>>)>,
}

impl Load {
    fn new() -> Self {
        Self { stop: Arc::default(), done: Arc::default(), clients: Vec::new() }
    }

    /// Adds a client; `ask` is one question and its answer.
    fn add(mut self, name: &'static str, mut ask: impl FnMut() -> io::Result<()> + Send + 'static) -> Self {
        let (stop, done) = (Arc::clone(&self.stop), Arc::clone(&self.done));
        let work = move || {
            while !stop.load(Ordering::SeqCst) {
                ask().map_err(|error| format!("after {} in all: {error:?}", done.load(Ordering::SeqCst)))?;
                done.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        };
        self.clients.push((name, std::thread::spawn(work)));
        self
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// Waits until so many more questions are answered.
    fn goes_on(&self, more: usize) {
        let wanted = self.done() + more;
        let came = wait_for(PATIENCE, || (self.done() >= wanted || self.has_failed()).then_some(()));
        assert!(came.is_some(), "the load stands still at {}", self.done());
    }

    fn has_failed(&self) -> bool {
        self.clients.iter().any(|(_, client)| client.is_finished())
    }

    /// What failed.
    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let failed = self.clients.into_iter().filter_map(|(name, client)| {
            client.join().unwrap().err().map(|error| format!("{name}: {error}"))
        });
        failed.collect()
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn is(got: &[u8], wanted: &[u8]) -> io::Result<()> {
    if got == wanted {
        return Ok(());
    }
    Err(io::Error::other(format!("got {:?}", String::from_utf8_lossy(got))))
}

/// A connection per echo.
fn echo(address: SocketAddr) -> impl FnMut() -> io::Result<()> {
    let mut count = 0;
    move || {
        count += 1;
        let said = format!("echo number {count}\n");
        let mut stream = connect(address)?;
        stream.write_all(said.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut got = Vec::new();
        stream.read_to_end(&mut got)?;
        is(&got, said.as_bytes())
    }
}

/// A socket per echo.
fn datagram(address: SocketAddr) -> impl FnMut() -> io::Result<()> {
    let mut count = 0;
    move || {
        count += 1;
        let said = format!("datagram number {count}");
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(said.as_bytes(), address)?;
        let mut buffer = [0; 100];
        let n = socket.recv(&mut buffer)?;
        is(&buffer[..n], said.as_bytes())
    }
}

/// A connection per request, which is in order when all of the file has come.
fn get(address: SocketAddr) -> impl FnMut() -> io::Result<()> {
    move || {
        let mut stream = connect(address)?;
        stream.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut got = Vec::new();
        stream.read_to_end(&mut got)?;
        is(&got[got.len().saturating_sub(16)..], b"\r\n\r\nHello there\n")
    }
}

/// A connection for many requests, until the server says that it ends.
fn get_often(address: SocketAddr) -> impl FnMut() -> io::Result<()> {
    let mut kept: Option<BufReader<TcpStream>> = None;
    move || {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => BufReader::new(connect(address)?),
        };
        stream.get_mut().write_all(b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let (mut line, mut ends) = (String::new(), false);
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::Error::other("it ends in the head"));
            }
            ends |= line == "Connection: close\r\n";
        }
        let mut body = [0; 12];
        stream.read_exact(&mut body)?;
        is(&body, b"Hello there\n")?;
        kept = (!ends).then_some(stream);
        Ok(())
    }
}

/// Many restarts in a row under a load of every kind: nobody notices.
fn refuses_nobody(engine: &'static str) {
    let mut line = Line::start(Start::engine(engine));
    let (http, tcp, udp) = (line.daemon.tcp("http"), line.daemon.tcp("echo"), line.daemon.udp("echo"));
    let mut load = Load::new().add("echo", echo(tcp)).add("http", get(http)).add("datagrams", datagram(udp));
    // With one client at a time, who keeps a connection keeps all others out.
    if engine != "iterative" {
        load = load.add("http that keeps its connection", get_often(http));
    }
    load.goes_on(100);
    for _ in 0..5 {
        line.restart();
        load.goes_on(200);
        if load.has_failed() {
            break;
        }
    }
    let done = load.done();
    let failed = load.end();
    assert!(failed.is_empty(), "{failed:?}\n{}", line.daemon.output());
    assert!(done > 1000, "{done}");
    line.signal(Signal::TERM);
    let ended = wait_for(PATIENCE, || (!line.is_running()).then_some(()));
    assert!(ended.is_some(), "the last of the line does not stop");
}

#[test]
fn a_restart_of_the_reactor_refuses_nobody() {
    refuses_nobody("reactor");
}

#[test]
fn a_restart_of_the_threads_refuses_nobody() {
    refuses_nobody("threads");
}

#[test]
fn a_restart_of_the_iterative_engine_refuses_nobody() {
    refuses_nobody("iterative");
}

#[test]
fn a_restart_of_the_processes_refuses_nobody() {
    refuses_nobody("processes");
}

/// Of a file that is begun: more than sockets hold.
const LARGE: usize = 20_000_000;

/// Asks for a file and reads none of it but the first byte: what keeps a process from ending.
fn begin_download(daemon: &Daemon) -> TcpStream {
    std::fs::write(daemon.path("root/large"), vec![b'x'; LARGE]).unwrap();
    let mut slow = connect(daemon.tcp("http")).unwrap();
    slow.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    slow.read_exact(&mut [b'H']).unwrap();
    slow
}

fn complete_download(mut slow: TcpStream) {
    let mut got = Vec::new();
    slow.read_to_end(&mut got).unwrap();
    assert!((LARGE..LARGE + 2000).contains(&got.len()), "{} of {LARGE} bytes", got.len());
}

/// What was begun before a restart is finished by the process that began it.
#[test]
fn what_was_begun_is_finished() {
    let mut line = Line::start(Start::reactor().argument("--grace").argument("20s"));
    let slow = begin_download(&line.daemon);
    let mut member = connect(line.daemon.tcp("chat")).unwrap();
    member.write_all(b"here\n").unwrap();
    line.restart();
    assert!(line.daemon.is_running(), "it ends before its client has what it asked for");
    let mut said = String::new();
    member.read_to_string(&mut said).unwrap();
    assert!(said.contains("* the server is going down"), "{said}");
    complete_download(slow);
    assert_eq!(line.daemon.wait(PATIENCE).code(), Some(0), "{}", line.daemon.output());
    echo(line.daemon.tcp("echo"))().unwrap();
}

/// Unix sockets are passed on: the old process does not remove the file, and the last one does.
#[test]
fn a_unix_socket_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("echo.sock");
    let option = format!("local.listen=unix:{}", path.display());
    let mut line = Line::start(Start::reactor().set("local.protocol=echo").set(&option));
    for _ in 0..2 {
        line.restart();
        if line.restarts == 1 {
            assert_eq!(line.daemon.wait(PATIENCE).code(), Some(0), "{}", line.daemon.output());
        }
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"hello\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut got = String::new();
        stream.read_to_string(&mut got).unwrap();
        assert_eq!(got, "hello\n");
    }
    line.signal(Signal::TERM);
    assert!(wait_for(PATIENCE, || (!path.exists()).then_some(())).is_some(), "the file is left behind");
}

/// A configuration that is wrong by now keeps the old process going, which says why.
#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("switchboard.toml");
    std::fs::write(&file, "[service.modify]\nmode = \"upper\"\n").unwrap();
    let start = Start::reactor().argument("--config").argument(&file.display().to_string());
    let mut line = Line::start(start);
    let ports = std::fs::read_to_string(line.daemon.path("ports")).unwrap();
    std::fs::write(&file, "[service.modify]\nmood = \"upper\"\n").unwrap();
    line.signal(Signal::USR2);
    let said = wait_for(PATIENCE, || line.log().contains("this process goes on").then_some(()));
    assert!(said.is_some(), "{}", line.daemon.output());
    let log = line.log();
    let reason = log.lines().find(|line| line.contains("no restart: ")).unwrap();
    assert!(reason.contains("switchboard.toml:2") && reason.contains("mood"), "{reason}");
    echo(line.daemon.tcp("echo"))().unwrap();
    assert_eq!(std::fs::read_to_string(line.daemon.path("ports")).unwrap(), ports);
    // When it is mended, the restart goes through, with what it says now.
    std::fs::write(&file, "[service.modify]\nmode = \"reverse\"\n").unwrap();
    line.restart();
    assert_eq!(line.daemon.wait(PATIENCE).code(), Some(0), "{}", line.daemon.output());
    let mut stream = connect(line.daemon.tcp("modify")).unwrap();
    stream.write_all(b"abc\n").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert!(answer.starts_with("cba"), "{answer}");
    assert_eq!(std::fs::read_to_string(line.daemon.path("ports")).unwrap(), ports);
}

/// A service that is there no more is refused from then on; others keep their ports, and a new one gets one.
#[test]
fn services_come_and_go_with_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("switchboard.toml");
    std::fs::write(&file, "[service.early]\nprotocol = \"echo\"\nport = 0\n").unwrap();
    let start = Start::reactor().argument("--config").argument(&file.display().to_string());
    let mut line = Line::start(start);
    let (early, kept) = (line.daemon.tcp("early"), line.daemon.tcp("echo"));
    std::fs::write(&file, "[service.late]\nprotocol = \"echo\"\nport = 0\n").unwrap();
    line.restart();
    assert_eq!(line.daemon.wait(PATIENCE).code(), Some(0), "{}", line.daemon.output());
    let ports = std::fs::read_to_string(line.daemon.path("ports")).unwrap();
    let ports = support::daemon::read_ports(&ports);
    let at = |name: &str| ports.get(&(name.to_owned(), "tcp".to_owned())).copied();
    assert_eq!((at("early"), at("echo")), (None, Some(kept)));
    echo(at("late").unwrap())().unwrap();
    assert!(is_refused(early));
}

/// Nobody listens there.
fn is_refused(at: SocketAddr) -> bool {
    let refused = TcpStream::connect_timeout(&at, Duration::from_secs(2));
    refused.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// HUP, then USR2: a successor serves the places as they are by then, and nobody those that were left.
#[test]
fn places_that_have_changed_are_passed_on_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("switchboard.toml");
    let echoes = |name, at| format!("[service.{name}]\nprotocol = \"echo\"\nlisten = \"{at}:0\"\n");
    std::fs::write(&file, echoes("moves", "127.0.0.1") + &echoes("goes", "127.0.0.1")).unwrap();
    let start = Start::reactor().argument("--config").argument(&file.display().to_string());
    let mut line = Line::start(start.argument("--grace").argument("20s"));
    let left = ["moves", "goes"].map(|service| line.daemon.tcp(service));
    let slow = begin_download(&line.daemon);
    std::fs::write(&file, echoes("moves", "127.0.0.2")).unwrap();
    line.signal(Signal::HUP);
    let is_closed = |at: &SocketAddr| line.log().contains(&format!(" {at} any more"));
    let closed = wait_for(PATIENCE, || left.iter().all(is_closed).then_some(()));
    assert!(closed.is_some() && left.iter().all(|at| is_refused(*at)), "{}", line.daemon.output());
    let ports = std::fs::read_to_string(line.daemon.path("ports")).unwrap();
    let moved = support::daemon::read_ports(&ports)[&("moves".to_owned(), "tcp".to_owned())];
    let load = Load::new().add("echo", echo(moved));
    load.goes_on(50);
    line.restart();
    load.goes_on(200);
    assert!(line.daemon.is_running(), "it ends before its client has what it asked for");
    assert!(left.iter().all(|at| is_refused(*at)), "while both run");
    complete_download(slow);
    assert_eq!(line.daemon.wait(PATIENCE).code(), Some(0), "{}", line.daemon.output());
    load.goes_on(50);
    assert!(left.iter().all(|at| is_refused(*at)), "afterwards");
    let failed = load.end();
    assert!(failed.is_empty(), "{failed:?}\n{}", line.daemon.output());
}
