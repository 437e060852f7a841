//! Stopping: by a signal, by Esc on the terminal; what is owed is sent, nobody holds it up for ever.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

mod support;

use support::daemon::{engines, is_concurrent, new_dir, read_ports};
use support::program::file;
use support::{Daemon, PATIENCE, Program, Start, proc, wait_for};

fn connect(daemon: &Daemon, service: &str) -> TcpStream {
    let stream = TcpStream::connect(daemon.tcp(service)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    stream
}

/// Sends until the daemon takes no more, for nobody reads its answers.
fn stall(stream: &mut TcpStream) -> usize {
    let mut sent = 0;
    while let Ok(n) = stream.write(&[b'x'; 16_384]) {
        sent += n;
    }
    sent
}

/// Reads a little at a time up to the end; how much came.
fn read_slowly(stream: &mut TcpStream) -> usize {
    let (mut buffer, mut came) = (vec![0; 65_536], 0);
    loop {
        match stream.read(&mut buffer).unwrap_or_else(|error| panic!("after {came} bytes: {error}")) {
            0 => return came,
            n => came += n,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn stops_at_once(engine: &'static str) {
    let mut daemon = Start::engine(engine).argument("--grace").argument("10s").run();
    // Of each service one who says nothing, and one who has said something and is still there.
    let mut clients = Vec::new();
    for service in
        ["echo", "discard", "modify", "reqtime", "chat", "hello", "collect", "http", "upload", "download"]
    {
        clients.push(connect(&daemon, service));
        let mut said = connect(&daemon, service);
        said.write_all(b"hello\n").unwrap();
        clients.push(said);
    }
    daemon.signal(Signal::TERM);
    let status = daemon.wait(Duration::from_secs(5));
    assert_eq!(status.code(), Some(0), "{}", daemon.output());
    let mut last_words = String::new();
    for client in &mut clients {
        let _ = client.read_to_string(&mut last_words);
    }
    assert!(last_words.contains("* the server is going down"), "{last_words}");
}

#[test]
fn silent_clients_do_not_hold_up_the_reactor() {
    stops_at_once("reactor");
}

#[test]
fn silent_clients_do_not_hold_up_the_threads() {
    stops_at_once("threads");
}

#[test]
fn silent_clients_do_not_hold_up_the_processes() {
    stops_at_once("processes");
}

#[test]
fn neither_a_silent_client_nor_those_behind_it_hold_up_the_one_at_a_time() {
    let mut daemon = Start::engine("iterative").argument("--grace").argument("10s").run();
    let mut first = connect(&daemon, "echo");
    first.write_all(b"hello").unwrap();
    first.read_exact(&mut [0; 5]).unwrap();
    let _waiting = [connect(&daemon, "echo"), connect(&daemon, "http")];
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(Duration::from_secs(5)).code(), Some(0), "{}", daemon.output());
    assert_eq!(first.read(&mut [0; 5]).unwrap(), 0, "it is closed, not reset");
}

/// A client that was too slow to read gets all it is owed, although the daemon is stopping.
fn sends_what_is_owed(engine: &'static str) {
    const SIZE: usize = 20_000_000;
    let mut daemon = Start::engine(engine).argument("--grace").argument("20s").run();
    std::fs::write(daemon.path("root/large"), vec![b'x'; SIZE]).unwrap();
    let mut slow = connect(&daemon, "http");
    slow.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    slow.read_exact(&mut [b'H']).unwrap();
    // Of what it gets, the daemon owes the echo of what it has read: here it has read a known amount.
    let mut echo = is_concurrent(engine).then(|| connect(&daemon, "echo"));
    if let Some(echo) = &mut echo {
        echo.write_all(&vec![b'x'; 60_000]).unwrap();
        echo.read_exact(&mut [0; 1]).unwrap();
    }
    daemon.signal(Signal::TERM);
    assert!(daemon.is_running());
    let came = read_slowly(&mut slow);
    assert!((SIZE..SIZE + 2000).contains(&came), "{came} of {SIZE} bytes\n{}", daemon.output());
    if let Some(echo) = &mut echo {
        assert_eq!(read_slowly(echo), 59_999, "{}", daemon.output());
    }
    assert_eq!(daemon.wait(PATIENCE).code(), Some(0), "{}", daemon.output());
}

#[test]
fn a_drain_of_the_reactor_sends_what_is_owed() {
    sends_what_is_owed("reactor");
}

#[test]
fn a_drain_of_the_threads_sends_what_is_owed() {
    sends_what_is_owed("threads");
}

#[test]
fn a_drain_of_the_processes_sends_what_is_owed() {
    sends_what_is_owed("processes");
}

#[test]
fn a_drain_of_the_one_at_a_time_sends_what_is_owed() {
    sends_what_is_owed("iterative");
}

/// Everything at once: a download and an upload that are under way, a member of the chat, one who says nothing
/// and one who never reads. Nobody new gets in, what was begun is completed, the member is told.
fn completes_what_was_begun(engine: &'static str) {
    const SIZE: usize = 10_000_000;
    let mut daemon = Start::engine(engine).argument("--grace").argument("6s").run();
    std::fs::write(daemon.path("root/large"), vec![b'x'; SIZE]).unwrap();
    let mut download = connect(&daemon, "http");
    download.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    download.read_exact(&mut [b'H']).unwrap();
    let mut upload = connect(&daemon, "upload");
    upload.write_all(b"/put 200000 begun.bin\n").unwrap();
    upload.write_all(&vec![b'u'; 100_000]).unwrap();
    let mut member = connect(&daemon, "chat");
    member.write_all(b"hello\n").unwrap();
    let silent = connect(&daemon, "echo");
    let mut stalled = connect(&daemon, "echo");
    stall(&mut stalled);
    let (start, tcp) = (Instant::now(), daemon.tcp("echo"));
    daemon.signal(Signal::TERM);
    let refused = || TcpStream::connect_timeout(&tcp, Duration::from_secs(1)).is_err().then_some(());
    assert!(wait_for(PATIENCE, refused).is_some(), "it still listens\n{}", daemon.output());
    // Later than anything that a drain waits for by itself.
    std::thread::sleep(Duration::from_millis(500));
    upload.write_all(&vec![b'u'; 100_000]).unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("stored 200000 "), "{engine}: {answer:?}\n{}", daemon.output());
    let mut told = String::new();
    member.read_to_string(&mut told).unwrap();
    assert!(told.contains("* the server is going down"), "{told}");
    let came = read_slowly(&mut download);
    assert!((SIZE..SIZE + 2000).contains(&came), "{came} of {SIZE} bytes\n{}", daemon.output());
    assert_eq!(daemon.wait(Duration::from_secs(10)).code(), Some(0), "{}", daemon.output());
    assert!(start.elapsed() >= Duration::from_secs(5), "one who never reads has the grace");
    assert_eq!(std::fs::read(daemon.path("uploads/begun.bin")).unwrap(), vec![b'u'; 200_000]);
    drop(silent);
}

#[test]
fn a_drain_of_the_reactor_completes_what_was_begun() {
    completes_what_was_begun("reactor");
}

#[test]
fn a_drain_of_the_threads_completes_what_was_begun() {
    completes_what_was_begun("threads");
}

#[test]
fn a_drain_of_the_processes_completes_what_was_begun() {
    completes_what_was_begun("processes");
}

/// A client that is still sending when the daemon is told to stop is not reset, for that would destroy
/// what is on its way to it.
fn resets_nobody(engine: &'static str) {
    let mut daemon = Start::engine(engine).argument("--grace").argument("20s").run();
    let mut both_ways = connect(&daemon, "echo");
    let sent = stall(&mut both_ways);
    daemon.signal(Signal::TERM);
    let came = read_slowly(&mut both_ways);
    assert!((100_000..=sent).contains(&came), "{came} of {sent} bytes\n{}", daemon.output());
    assert_eq!(daemon.wait(PATIENCE).code(), Some(0), "{}", daemon.output());
}

#[test]
fn a_drain_of_the_reactor_resets_nobody() {
    resets_nobody("reactor");
}

#[test]
fn a_drain_of_the_one_at_a_time_resets_nobody() {
    resets_nobody("iterative");
}

#[test]
fn a_drain_of_the_threads_resets_nobody() {
    resets_nobody("threads");
}

#[test]
fn a_drain_of_the_processes_resets_nobody() {
    resets_nobody("processes");
}

/// Nor is one that pauses while it sends, for longer than a drain watches who does. It must be heard after the drain
/// has begun, and before the 100 ms are over, which a busy machine may not let it.
fn is_not_reset_while_it_pauses(engine: &'static str) -> std::io::Result<()> {
    let mut daemon = Start::engine(engine).argument("--grace").argument("10s").run();
    let mut client = connect(&daemon, "echo");
    client.set_nodelay(true).unwrap();
    let echoed = |mut client: &TcpStream| {
        client.write_all(b"x")?;
        client.read_exact(&mut [0; 1])
    };
    echoed(&client)?;
    daemon.signal(Signal::TERM);
    while !String::from_utf8_lossy(&daemon.stderr()).contains("stopping") {
        echoed(&client)?;
    }
    // The process that serves is told after that is said.
    let told = Instant::now();
    while told.elapsed() < Duration::from_millis(40) {
        echoed(&client)?;
    }
    std::thread::sleep(Duration::from_millis(400));
    for _ in 0..10 {
        client.write_all(&[b'x'; 1000])?;
        // So that a reset would have come by the next.
        std::thread::sleep(Duration::from_millis(10));
    }
    client.shutdown(std::net::Shutdown::Write)?;
    client.read_to_end(&mut Vec::new())?;
    assert_eq!(daemon.wait(Duration::from_secs(8)).code(), Some(0), "{}", daemon.output());
    Ok(())
}

#[test]
fn a_drain_resets_nobody_who_pauses_while_sending() {
    for engine in engines() {
        let tries: Vec<_> = (0..5).map_while(|_| is_not_reset_while_it_pauses(engine).err()).collect();
        assert!(tries.len() < 5, "{engine}: {tries:?}");
    }
}

/// One who never reads is not waited for longer than the grace.
fn keeps_to_the_grace(engine: &'static str) {
    let mut daemon = Start::engine(engine).argument("--grace").argument("1s").run();
    let mut stalled = connect(&daemon, "echo");
    stall(&mut stalled);
    let mut chargen = is_concurrent(engine).then(|| connect(&daemon, "chargen"));
    if let Some(chargen) = &mut chargen {
        chargen.read_exact(&mut [0; 1000]).unwrap();
    }
    let start = Instant::now();
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait(Duration::from_secs(8)).code(), Some(0), "{}", daemon.output());
    assert!(start.elapsed() >= Duration::from_millis(900), "it gave up after {:?}", start.elapsed());
}

#[test]
fn the_grace_bounds_a_drain_of_the_reactor() {
    keeps_to_the_grace("reactor");
}

#[test]
fn the_grace_bounds_a_drain_of_the_threads() {
    keeps_to_the_grace("threads");
}

#[test]
fn the_grace_bounds_a_drain_of_the_processes() {
    keeps_to_the_grace("processes");
}

#[test]
fn the_grace_bounds_a_drain_of_the_one_at_a_time() {
    keeps_to_the_grace("iterative");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut daemon = Start::reactor().argument("--grace").argument("60s").run();
    let mut stalled = connect(&daemon, "echo");
    stall(&mut stalled);
    daemon.signal(Signal::TERM);
    let said = || String::from_utf8_lossy(&daemon.stderr()).contains("stopping").then_some(());
    assert!(wait_for(PATIENCE, said).is_some(), "it does not say that it stops\n{}", daemon.output());
    assert!(daemon.is_running());
    daemon.signal(Signal::TERM);
    daemon.wait(Duration::from_secs(2));
}

#[test]
fn a_signal_right_after_the_start_is_not_lost() {
    for _ in 0..10 {
        let mut daemon = Start::reactor().run();
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait(PATIENCE).code(), Some(0), "{}", daemon.output());
    }
}

/// Starts the daemon on a terminal; also its process id, once it listens. Python makes the terminal.
fn on_a_terminal(background: bool, dir: &std::path::Path) -> (Program, u32) {
    let mut words = vec![file("support/pty.py").display().to_string()];
    words.extend(background.then(|| "--background".to_owned()));
    words.extend(Start::reactor().command_line(dir));
    let terminal = Program::start("python3", words);
    let ports = wait_for(PATIENCE, || std::fs::read_to_string(dir.join("ports")).ok());
    let ports = read_ports(&ports.unwrap_or_else(|| panic!("it does not start: {}", terminal.text())));
    assert!(ports.contains_key(&("echo".to_owned(), "tcp".to_owned())));
    let mut pid = descendant(terminal.pid());
    if background {
        pid = descendant(pid);
    }
    (terminal, pid)
}

/// The only child of a process.
fn descendant(pid: u32) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.trim().parse().unwrap_or_else(|_| panic!("process {pid} has these children: {text:?}"))
}

/// Whether the daemon has had every chance to act on what was typed: it has been asleep for a while.
fn is_at_rest(pid: u32) {
    let rest = wait_for(PATIENCE, || {
        let before = proc::sleeps(pid);
        std::thread::sleep(Duration::from_millis(200));
        (proc::sleeps(pid) == before).then_some(())
    });
    assert!(rest.is_some(), "the daemon does not come to rest");
}

/// Without Python there is no terminal to test on.
fn has_no_terminal() -> bool {
    !support::have(&["python3"], "a test of Esc on a terminal")
}

#[test]
fn esc_stops_it_and_an_arrow_key_does_not() {
    if has_no_terminal() {
        return;
    }
    let dir = new_dir();
    let (mut terminal, pid) = on_a_terminal(false, dir.path());
    is_at_rest(pid);
    terminal.say("\x1b[A").say("x");
    is_at_rest(pid);
    assert!(terminal.is_running(), "an arrow key stopped it: {}", terminal.text());
    terminal.say("\x1b");
    let text = terminal.succeed();
    assert!(text.ends_with("terminal restored\n"), "{text}");
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    if has_no_terminal() {
        return;
    }
    let dir = new_dir();
    let (mut terminal, pid) = on_a_terminal(false, dir.path());
    is_at_rest(pid);
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::TERM).unwrap();
    let text = terminal.succeed();
    assert!(text.ends_with("terminal restored\n"), "{text}");
}

#[test]
fn in_the_background_it_leaves_the_terminal_alone() {
    if has_no_terminal() {
        return;
    }
    let dir = new_dir();
    let (mut terminal, pid) = on_a_terminal(true, dir.path());
    is_at_rest(pid);
    terminal.say("\x1b").say("typed for another program\n");
    is_at_rest(pid);
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let state = state.rsplit(") ").next().unwrap().chars().next();
    assert_eq!(state, Some('S'), "T would be stopped for touching the terminal");
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::TERM).unwrap();
    let text = terminal.succeed();
    assert!(text.ends_with("terminal restored\n"), "{text}");
}
