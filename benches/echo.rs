//! Echo, measured from outside: the real binary with both engines beside a bare epoll loop, in short
//! interleaved slices of load, so that a noisy machine hits all alike; and the memory of idle connections.
//!
//! `cargo bench --bench echo` (on Linux; about a minute). Compare ratios, not rates.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs
)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

const SLICE: Duration = Duration::from_millis(50);
const SLICES: usize = 60;
const IDLE: usize = 9000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == "--floor") {
        return floor();
    }
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    // The servers on one core, the load on another: what runs beside them disturbs both alike.
    pin(0);
    let servers = [
        Server::start("floor", Command::new(&args[0]).arg("--floor")),
        Server::start("reactor", &mut switchboard("reactor")),
        Server::start("threads", &mut switchboard("threads")),
    ];
    pin(1);
    println!("{:>22}  {:>8} {:>8} {:>8}", "echo: ratio to floor", "floor", "reactor", "threads");
    for (connections, size, depth) in
        [(1, 64, 1), (64, 64, 1), (1000, 64, 1), (64, 16 * 1024, 1), (64, 64, 32)]
    {
        compare(&servers, connections, size, depth);
    }
    println!("\nbytes of memory per idle connection, each used once");
    for (server, count) in [(&servers[1], IDLE), (&servers[2], IDLE / 10)] {
        println!("{:>22}  {:>8.0}", server.name, idle(server, count));
    }
}

/// Runs this process, and those that it starts from now on, on one core, if it exists.
fn pin(core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    let _ = rustix::thread::sched_setaffinity(None, &cores);
}

fn switchboard(engine: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(["-q", "--only", "echo", "--port", "echo=0", "--engine", engine, "--ports-file"]);
    command
}

/// The least that an echo server can be: level-triggered, blocking on nothing, remembering nothing.
fn floor() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    fs::write(
        std::env::args().next_back().unwrap(),
        format!("echo tcp {}\n", listener.local_addr().unwrap()),
    )
    .unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut listener = mio::net::TcpListener::from_std(listener);
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(1024));
    poll.registry().register(&mut listener, Token(usize::MAX), Interest::READABLE).unwrap();
    let (mut streams, mut buffer) = (slab::Slab::new(), vec![0; 64 * 1024]);
    loop {
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            if event.token() == Token(usize::MAX) {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true).unwrap();
                    let entry = streams.vacant_entry();
                    poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE).unwrap();
                    entry.insert(stream);
                }
            } else if let Ok(0) | Err(_) = bounce(&mut streams[event.token().0], &mut buffer) {
                streams.remove(event.token().0);
            }
        }
    }
}

fn bounce(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        let n = stream.read(buffer)?;
        let mut sent = 0;
        while sent < n {
            match stream.write(&buffer[sent..n]) {
                Ok(more) => sent += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error),
            }
        }
        if n < buffer.len() {
            return Ok(n);
        }
    }
}

/// A server in a process of its own; it ends with this value.
struct Server {
    name: &'static str,
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(name: &'static str, command: &mut Command) -> Self {
        let ports = std::env::temp_dir().join(format!("switchboard-bench-{name}-{}", std::process::id()));
        let child = command.arg(&ports).stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let line = loop {
            match fs::read_to_string(&ports) {
                Ok(text) if text.ends_with('\n') => break text,
                _ => assert!(Instant::now() < deadline, "{name} does not start"),
            }
        };
        fs::remove_file(&ports).unwrap();
        let address = line.lines().next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        Self { name, child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connections that each have one batch of messages on its way.
struct Load {
    poll: Poll,
    streams: Vec<(TcpStream, usize, usize)>,
    batch: Vec<u8>,
    depth: usize,
    buffer: Vec<u8>,
}

impl Load {
    fn new(server: &Server, connections: usize, size: usize, depth: usize) -> Self {
        let poll = Poll::new().unwrap();
        let streams = (0..connections).map(|index| {
            let std = std::net::TcpStream::connect(server.address).unwrap();
            std.set_nodelay(true).unwrap();
            std.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(std);
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(index), both).unwrap();
            (stream, 0, 0)
        });
        let streams = streams.collect();
        Self { poll, streams, batch: vec![b'e'; size * depth], depth, buffer: vec![0; 256 * 1024] }
    }

    /// Drives the server for a slice; returns messages per second.
    fn slice(&mut self) -> f64 {
        let start = Instant::now();
        let (mut batches, mut live) = (0, self.streams.len());
        let mut events = Events::with_capacity(1024);
        (0..self.streams.len()).for_each(|index| self.begin(index));
        while live > 0 {
            self.poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
            assert!(!events.is_empty(), "the server has stalled");
            let over = start.elapsed() > SLICE;
            for event in &events {
                if !self.turn(event.token().0) {
                    continue;
                }
                batches += 1;
                if over {
                    live -= 1;
                } else {
                    self.begin(event.token().0);
                }
            }
        }
        (batches * self.depth) as f64 / start.elapsed().as_secs_f64()
    }

    fn begin(&mut self, index: usize) {
        let (_, sent, got) = &mut self.streams[index];
        (*sent, *got) = (0, 0);
        self.send(index);
    }

    fn send(&mut self, index: usize) {
        let (stream, sent, _) = &mut self.streams[index];
        while *sent < self.batch.len() {
            match stream.write(&self.batch[*sent..]) {
                Ok(n) => *sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("sending: {error}"),
            }
        }
    }

    /// Sends what is left and receives what there is; true when the batch has come back.
    fn turn(&mut self, index: usize) -> bool {
        self.send(index);
        let (stream, _, got) = &mut self.streams[index];
        let was = *got;
        while *got < self.batch.len() {
            match stream.read(&mut self.buffer) {
                Ok(n) => {
                    assert!(n > 0 && self.buffer[..n].iter().all(|byte| *byte == b'e'), "not an echo");
                    *got += n;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("receiving: {error}"),
            }
        }
        was < self.batch.len() && *got == self.batch.len()
    }
}

/// Prints the medians of the paired ratios to the first server.
fn compare(servers: &[Server], connections: usize, size: usize, depth: usize) {
    let mut loads: Vec<Load> =
        servers.iter().map(|server| Load::new(server, connections, size, depth)).collect();
    let mut ratios = vec![Vec::new(); servers.len()];
    for round in 0..SLICES {
        let mut rates = vec![0.0; servers.len()];
        // There and back again, so that a drift favours nobody.
        let mut order: Vec<usize> = (0..servers.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        order.iter().for_each(|&index| rates[index] = loads[index].slice());
        for (ratios, rate) in ratios.iter_mut().zip(&rates) {
            ratios.push(rate / rates[0]);
        }
    }
    let medians = ratios.iter_mut().map(|ratios| {
        ratios.sort_by(f64::total_cmp);
        format!("{:>8.3}", ratios[ratios.len() / 2])
    });
    let medians: Vec<String> = medians.collect();
    println!("{:>22}  {}", format!("c{connections}, {size} B x{depth}"), medians.join(" "));
}

/// Bytes of memory per connection that was used once and is idle.
fn idle(server: &Server, count: usize) -> f64 {
    let before = private_memory(server);
    let message = [b'x'; 64];
    let streams: Vec<std::net::TcpStream> = (0..count)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(server.address).unwrap();
            stream.write_all(&message).unwrap();
            stream.read_exact(&mut [0; 64]).unwrap();
            stream
        })
        .collect();
    let after = private_memory(server);
    (after - before) / streams.len() as f64
}

fn private_memory(server: &Server) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", server.child.id())).unwrap();
    let private = rollup.lines().filter(|line| line.starts_with("Private_"));
    let kib: f64 = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum();
    kib * 1024.0
}
