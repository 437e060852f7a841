//! Everything at once for a while, and the counts compared in the end: what was accepted, what is open, what came
//! in and went out, who heard what in the room.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::{GROWTH, connect, finish, is_thorough, memory, reset, stop, text};
use crate::support::daemon::concurrent_engines;
use crate::support::{Daemon, PATIENCE, Start, wait_for};

/// Members of the room who stay from the beginning to the end.
const MEMBERS: usize = 6;
/// Who stays, and says nothing.
const SILENT: usize = 20;

/// What each kind of client does at the least, however slow the machine is.
const LEAST: usize = 30;

/// How long; the engine that is the point of all this is tried longest.
fn time(engine: &str) -> Duration {
    match (is_thorough(), engine) {
        (true, "reactor") => Duration::from_secs(60),
        (true, _) => Duration::from_secs(8),
        _ => Duration::from_secs(3),
    }
}

/// What the clients count.
#[derive(Default)]
struct Counts {
    /// Connections of services other than echo.
    others: AtomicU64,
    echo: AtomicU64,
    echoed: AtomicU64,
    /// Those of which it is not known how much the daemon has read.
    resets: AtomicU64,
    said: AtomicU64,
    heard: AtomicU64,
}

fn add(count: &AtomicU64, n: usize) {
    count.fetch_add(n as u64, Ordering::Relaxed);
}

fn of(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[test]
fn after_a_while_of_everything_the_counts_are_right() {
    std::thread::scope(|scope| {
        for engine in concurrent_engines() {
            scope.spawn(move || soak(engine));
        }
    });
}

fn soak(engine: &'static str) {
    let daemon = Start::engine(engine).set("modify.name=Ali").set("chat.flood=0").run();
    let counts = Counts::default();
    let silent: Vec<_> = (0..SILENT).map(|_| connect(daemon.tcp("discard"))).collect();
    add(&counts.others, SILENT);
    let end = Instant::now() + time(engine);
    let workers: [fn(&Daemon, &Counts, usize); 6] = [echoes, resets, messages, files, stores, datagrams];
    let early = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (daemon, counts, early) = (&daemon, &counts, &early);
        for work in workers {
            scope.spawn(move || {
                for number in 0.. {
                    if Instant::now() >= end && number >= LEAST {
                        break;
                    }
                    work(daemon, counts, number);
                    // The daemon's processor is not to be the one thing that is tried.
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
        }
        scope.spawn(move || {
            std::thread::sleep(time(engine) / 4);
            early.store(memory(daemon), Ordering::Relaxed);
        });
        room(daemon, counts, end);
    });
    let grown = memory(&daemon).saturating_sub(of(&early));
    println!("{engine}: {grown} KiB in three quarters of the time");
    assert!(grown < GROWTH / 2, "{engine}: {grown} KiB more than after a quarter of the time");
    compare(engine, daemon, &counts, silent);
}

fn compare(engine: &str, daemon: Daemon, counts: &Counts, silent: Vec<TcpStream>) {
    let (echo, others) = (of(&counts.echo) + of(&counts.resets), of(&counts.others));
    assert!(of(&counts.echo) > 20 && of(&counts.resets) > 20 && others > 100, "{engine}: little was tried");
    assert_eq!(of(&counts.heard), of(&counts.said) * (MEMBERS as u64 - 1), "{engine}: lines x members");
    // Accepted is closed and open.
    let states = [
        format!("state: service echo: 0 open, {echo} in all"),
        format!("state: service discard: {SILENT} open, {SILENT} in all"),
    ];
    let is_right = wait_for(PATIENCE, || {
        daemon.signal(Signal::USR1);
        std::thread::sleep(Duration::from_millis(50));
        let log = text(&daemon.stderr());
        states.iter().all(|state| log.contains(state)).then_some(())
    });
    assert!(is_right.is_some(), "{engine}: not {states:?}\n{}", daemon.output());
    drop(silent);
    let closed = |log: &String| log.matches("] closed service=").count() as u64;
    let all_closed = || Some(text(&daemon.stderr())).filter(|log| closed(log) == echo + others);
    let lines = wait_for(PATIENCE, all_closed).unwrap_or_else(|| {
        panic!("{engine}: {} of {} have closed", closed(&text(&daemon.stderr())), echo + others)
    });
    let totals = stop(daemon);
    assert_eq!((totals.connections, totals.cut_off), (echo + others, 0), "{engine}");
    println!("{engine}: {totals:?}; {} lines said, {} heard", of(&counts.said), of(&counts.heard));
    assert!(totals.read > of(&counts.echoed) && totals.written > of(&counts.echoed), "{engine}: {totals:?}");
    check_echoes(engine, &lines, counts);
}

/// Of every echo that was not reset, what came in went out, and it is what the clients have counted.
fn check_echoes(engine: &str, log: &str, counts: &Counts) {
    let (mut whole, mut bytes) = (0, 0);
    for line in log.lines().filter(|line| line.contains(" closed") && line.contains("service=echo ")) {
        let field = |name: &str| {
            let value = line.split(' ').find_map(|word| word.strip_prefix(name));
            value.unwrap_or_else(|| panic!("{name} is missing: {line}")).to_owned()
        };
        if !line.contains("why=peer reset") {
            let (read, written) = (field("in="), field("out="));
            assert!(read == written, "{engine}: {line}");
            whole += 1;
            bytes += read.parse::<u64>().unwrap();
        }
    }
    let (echo, resets) = (of(&counts.echo), of(&counts.resets));
    assert!((echo..=echo + resets).contains(&whole), "{engine}: {whole} echoes of {echo} ended well");
    assert!(bytes >= of(&counts.echoed), "{engine}: {bytes} bytes of {}", of(&counts.echoed));
}

fn echoes(daemon: &Daemon, counts: &Counts, number: usize) {
    let said = format!("{number} ").into_bytes().repeat(1 + number * 7919 % 20_000);
    let mut stream = connect(daemon.tcp("echo"));
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&said).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert!(got == said, "{} of {} bytes came back", got.len(), said.len());
    });
    add(&counts.echo, 1);
    add(&counts.echoed, said.len());
}

fn resets(daemon: &Daemon, counts: &Counts, number: usize) {
    let mut stream = connect(daemon.tcp("echo"));
    stream.write_all(&vec![b'r'; number * 31 % 50_000]).unwrap();
    reset(stream);
    add(&counts.resets, 1);
}

fn messages(daemon: &Daemon, counts: &Counts, number: usize) {
    let mut stream = connect(daemon.tcp("modify"));
    stream.write_all(format!("{number}\n").repeat(number % 500).as_bytes()).unwrap();
    let expected = format!("{number} Ali\n").repeat(number % 500);
    assert_eq!(text(&finish(&mut stream)), expected);
    let mut hello = connect(daemon.tcp("hello"));
    hello.write_all(b"Hello World").unwrap();
    assert!(finish(&mut hello).starts_with(b"Hello Yourself"));
    add(&counts.others, 2);
}

fn files(daemon: &Daemon, counts: &Counts, _: usize) {
    let mut stream = connect(daemon.tcp("http"));
    stream.write_all(b"GET /sub/long.bin HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.0\r\n\r\n").unwrap();
    let got = finish(&mut stream);
    assert!(got.len() > 1_000_000 && text(&got).contains("HTTP/1.1 404 "), "{} bytes", got.len());
    let mut page = connect(daemon.tcp("console"));
    page.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(finish(&mut page).starts_with(b"HTTP/1.1 200 "));
    add(&counts.others, 2);
}

fn stores(daemon: &Daemon, counts: &Counts, number: usize) {
    let content = vec![b'u'; number * 4001 % 300_000];
    let mut stream = connect(daemon.tcp("upload"));
    stream.write_all(format!("/put {} soak-{number}\n", content.len()).as_bytes()).unwrap();
    stream.write_all(&content).unwrap();
    let said = text(&finish(&mut stream));
    assert!(said.starts_with(&format!("stored {} ", content.len())), "{said}");
    let file = daemon.path("uploads").join(format!("soak-{number}"));
    assert!(std::fs::read(&file).unwrap() == content, "soak-{number}");
    std::fs::remove_file(&file).unwrap();
    let mut back = connect(daemon.tcp("download"));
    back.write_all(b"/get sub/long.bin\n/sum hello.txt\n").unwrap();
    assert!(finish(&mut back).starts_with(b"ok 1000000\nxxx"));
    add(&counts.others, 2);
}

fn datagrams(daemon: &Daemon, _: &Counts, number: usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(format!("{number}").as_bytes(), daemon.udp("echo")).unwrap();
    let mut answer = [0; 20];
    let n = socket.recv(&mut answer).unwrap();
    assert_eq!(answer[..n], *format!("{number}").as_bytes());
    // Nobody is answered more than a hundred of them a second.
    std::thread::sleep(Duration::from_millis(20));
}

/// A member who has come; what is said from now on is heard.
fn member(daemon: &Daemon, number: usize) -> BufReader<TcpStream> {
    let mut stream = connect(daemon.tcp("chat"));
    stream.write_all(format!("/name soak{number}\n/who\n").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains("here: ") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the room closed");
    }
    reader
}

/// Members say something in turn until the end; each hears all that the others say, once and in order.
fn room(daemon: &Daemon, counts: &Counts, end: Instant) {
    let members: Vec<_> = (0..MEMBERS).map(|number| member(daemon, number)).collect();
    add(&counts.others, MEMBERS);
    std::thread::scope(|scope| {
        for (number, mut reader) in members.into_iter().enumerate() {
            let mut speaker = reader.get_ref().try_clone().unwrap();
            scope.spawn(move || {
                let mut said = 0;
                // At least some: with a process for each connection, joining may have taken all of the time.
                while Instant::now() < end || said < LEAST {
                    speaker.write_all(format!("line {number} {said}\n").as_bytes()).unwrap();
                    said += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                speaker.write_all(format!("over {number}\n").as_bytes()).unwrap();
                add(&counts.said, said);
            });
            scope.spawn(move || hear(&mut reader, counts, number));
        }
    });
}

/// Hears until all the others have said that it is over.
fn hear(reader: &mut BufReader<TcpStream>, counts: &Counts, own: usize) {
    let (mut next, mut over) = ([0_usize; MEMBERS], 0);
    while over < MEMBERS - 1 {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the room closed");
        let Some((_, said)) = line.trim_end().split_once(": ") else { continue };
        let words: Vec<&str> = said.split(' ').collect();
        match words[..] {
            ["over", _] => over += 1,
            ["line", who, number] => {
                let who: usize = who.parse().unwrap();
                assert!(
                    who != own && next[who] == number.parse::<usize>().unwrap(),
                    "{line:?} after {next:?}"
                );
                next[who] += 1;
                add(&counts.heard, 1);
            }
            _ => {}
        }
    }
}
