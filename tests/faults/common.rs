//! What these tests share: clients, and the daemon seen from outside, whatever its engine is made of.
#![allow(unreachable_pub)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use switchboard::check::Client;

use crate::support::{Daemon, PATIENCE, proc, wait_for};

/// What the daemon's memory may grow by, in KiB, whatever happens to it.
pub const GROWTH: u64 = 32 * 1024;

pub fn connect(address: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(address).unwrap())
}

/// A client with little room for what it does not read.
pub fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    patient(socket.into())
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Ends a connection as a machine does that loses its power and comes back.
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Writes until the peer takes no more for a moment.
pub fn stuff(stream: &mut TcpStream, unit: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + Duration::from_millis(20);
    while Instant::now() < deadline && stream.write(unit).is_ok() {}
    stream.set_nonblocking(false).unwrap();
}

/// All that comes up to the end, when nothing more is sent.
pub fn finish(stream: &mut TcpStream) -> Vec<u8> {
    stream.shutdown(Shutdown::Write).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap_or_else(|error| panic!("{error} after {} bytes", all.len()));
    all
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The daemon is there and serves; the number of connections that took.
pub fn assert_serves(daemon: &Daemon) -> u64 {
    let served = || {
        Client::connect(&daemon.target("echo"))?.send(b"still there?")?.expect(b"still there?")?;
        Client::connect(&daemon.target("modify"))?.send(b"Hello\n")?.find(b"Hello").map(drop)
    };
    if let Err(failure) = served() {
        panic!("{failure}\n{}", daemon.output());
    }
    2
}

/// A process and those that it has made.
fn family(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = list.split_whitespace().flat_map(|child| family(child.parse().unwrap()));
    std::iter::once(pid).chain(children).collect()
}

/// The memory of the daemon in KiB, without what is only a file; what several of its processes share counts once.
pub fn memory(daemon: &Daemon) -> u64 {
    let of_one = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let pss = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
        pss.map_or(0, |pss| pss.trim().trim_end_matches(" kB").parse().unwrap())
    };
    family(daemon.pid()).into_iter().map(of_one).sum()
}

/// Processor time used so far, in ticks of 10 ms.
pub fn ticks(daemon: &Daemon) -> u64 {
    family(daemon.pid()).into_iter().map(proc::ticks).sum()
}

/// Open descriptors and processes: what connections take.
pub fn taken(daemon: &Daemon) -> usize {
    proc::descriptors(daemon.pid()) + family(daemon.pid()).len()
}

/// Waits until no more is open than before, but for what is kept for the next client.
pub fn assert_lets_go(daemon: &Daemon, before: usize, what: &str) {
    /// The helper's thread and files that were served lately.
    const KEPT: usize = 8;
    let is_let_go = wait_for(PATIENCE, || (taken(daemon) <= before + KEPT).then_some(()));
    assert!(is_let_go.is_some(), "{what}: {} are open, {before} before\n{}", taken(daemon), daemon.output());
}

/// What the daemon has counted.
#[derive(Debug)]
pub struct Totals {
    pub connections: u64,
    pub cut_off: u64,
    pub read: u64,
    pub written: u64,
}

/// Stops the daemon; its last words.
pub fn stop(mut daemon: Daemon) -> Totals {
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(PATIENCE).code(), Some(0), "{}", daemon.output());
    let said = text(&daemon.stderr());
    let last = said.lines().rev().find_map(|line| line.split_once("stopped; "));
    let (_, last) = last.unwrap_or_else(|| panic!("no last words\n{}", daemon.output()));
    let words = last.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
    let [connections, cut_off, read, written, ..] = numbers[..] else { panic!("strange totals: {last}") };
    Totals { connections, cut_off, read, written }
}

/// Whether everything is to run, however long it takes.
pub fn is_thorough() -> bool {
    std::env::var_os("SWITCHBOARD_TESTS").is_some_and(|which| which == "all")
}
