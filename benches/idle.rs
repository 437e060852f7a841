//! A million connections on the simulated network: what each takes of memory, and what it costs when a
//! deadline moves, when all of them expire, and when one speaks and all others hear it.
//!
//! The reactor is the one that ships, the network is that of the simulation
//! (`src/engine/reactor/tests/simulation`); what the network itself allocates is not counted, and no kernel
//! takes part. `cargo bench --bench idle [CONNECTIONS]`.
// An allocator that counts cannot be written without `unsafe`; the network has more than is used here, and
// is written for tests.
#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::unnecessary_operation)]
#![allow(missing_docs, dead_code, unreachable_pub, unused_qualifications)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use switchboard::{engine, escape, helper, peer, protocol, time};

#[path = "../src/engine/reactor/tests/simulation/ladder.rs"]
mod ladder;
#[path = "../src/engine/reactor/tests/simulation/network.rs"]
mod network;
#[path = "../src/engine/reactor/tests/simulation/wire.rs"]
mod wire;
#[path = "../src/engine/reactor/tests/simulation/world.rs"]
mod world;

use engine::control::Command;
use engine::datagram::Guard;
use engine::net::{Datagram, Net, Ready};
use engine::reactor::{Reactor, Settings};
use helper::Job;
use network::{Network, Stream};
use peer::Peer;
use protocol::{ConnId, Options, Row};
use switchboard::service::Service;
use switchboard::shared::Shared;
use switchboard::show::Show;
use time::Time;
use wire::{Reader, Segment, Wire};
use world::{Advance, World};

thread_local! {
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: i64) {
    if IS_COUNTED.get() {
        BYTES.set(BYTES.get() + bytes);
        CALLS.set(CALLS.get() + u64::from(bytes > 0));
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is handed on to the system's allocator as it comes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size().cast_signed() as i64));
        unsafe { System.dealloc(memory, layout) }
    }
}

/// The network, whose own memory is not counted; it stops the reactor when there is nothing to do.
struct Uncounted {
    network: Network,
    told: Time,
}

fn uncounted<T>(call: impl FnOnce() -> T) -> T {
    let before = IS_COUNTED.replace(false);
    let result = call();
    IS_COUNTED.set(before);
    result
}

impl Net for Uncounted {
    type Stream = Stream;
    type Listener = usize;
    type Socket = ();
    type WayBack = ();
    type Outlet = ();

    fn now(&self) -> Time {
        self.network.now()
    }

    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        uncounted(|| {
            self.network.poll(ready, Some(Duration::ZERO))?;
            let before = std::mem::replace(&mut self.told, self.network.now());
            if ready.is_empty() && before == self.told && timeout != Some(Duration::ZERO) {
                return Err(io::Error::other("nothing to do"));
            }
            Ok(())
        })
    }

    fn accept(&mut self, listener: &usize) -> Result<(Stream, Peer), Errno> {
        uncounted(|| self.network.accept(listener))
    }

    fn watch(&mut self, stream: &Stream, id: ConnId) -> io::Result<()> {
        uncounted(|| self.network.watch(stream, id))
    }

    fn read(&mut self, stream: &Stream, buffer: &mut [u8]) -> Result<usize, Errno> {
        uncounted(|| self.network.read(stream, buffer))
    }

    fn write(&mut self, stream: &Stream, first: &[u8], second: &[u8], more: bool) -> Result<usize, Errno> {
        uncounted(|| self.network.write(stream, first, second, more))
    }

    fn send_file(&mut self, stream: &Stream, file: &File, offset: u64, len: usize) -> Result<usize, Errno> {
        uncounted(|| self.network.send_file(stream, file, offset, len))
    }

    fn has_unread(&self, stream: &Stream) -> bool {
        self.network.has_unread(stream)
    }

    fn shutdown_write(&mut self, stream: &Stream) -> Result<(), Errno> {
        uncounted(|| self.network.shutdown_write(stream))
    }

    fn receive(&mut self, (): &(), _: &mut [u8]) -> Result<Datagram<()>, Errno> {
        Err(Errno::AGAIN)
    }

    fn send_back(&mut self, (): &(), _: &[u8], (): &()) -> Result<(), Errno> {
        Ok(())
    }

    fn start_job(&mut self, _: ConnId, _: Job) {}

    fn job_done(&mut self) -> Option<ConnId> {
        None
    }

    fn send_out(&mut self, (): &(), _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }

    fn ports(&self, (): &()) -> (u16, u16) {
        (0, 0)
    }

    fn command(&mut self) -> Option<Command> {
        None
    }
}

/// A reactor with so many clients of one protocol.
struct Crowd {
    reactor: Reactor<Uncounted>,
    network: Network,
    protocol: &'static str,
    size: usize,
}

/// What a step cost.
struct Cost {
    time: Duration,
    bytes: i64,
    allocations: u64,
    calls: u64,
}

impl Crowd {
    fn new(protocol: &'static str, size: usize) -> Self {
        let row = Row::find(protocol).unwrap();
        let options = Options::parse(row.kind, toml::Table::new()).unwrap();
        let service = Service {
            name: protocol.to_owned(),
            row,
            options,
            policy: switchboard::access::Policy::default(),
        };
        let network = Network(Rc::new(RefCell::new(World::new(1, 1, ladder::Trace::default()))));
        let settings = Settings {
            services: vec![service],
            shared: Arc::new(Shared::new(Show::stdout())),
            capacity: size,
            grace: Duration::ZERO,
            reload: switchboard::engine::reload::Reload::default(),
        };
        let net = Uncounted { network: network.clone(), told: Time::NEVER };
        let mut reactor = Reactor::new(net, settings, Guard::default());
        reactor.add_listener(0, 0);
        Self { reactor, network, protocol, size }
    }

    /// Lets everybody in; what one takes of memory then.
    fn connect(&mut self) {
        let reader = Reader { chunk: usize::MAX, pause: 0 };
        for _ in 0..self.size {
            // They never read: what they are sent stays with the network.
            let wire = Wire { is_reading: true, ..Wire::new(0, 1 << 16, 1 << 16, reader) };
            self.network.world().connect(wire);
        }
        let cost = self.run();
        self.say("is accepted, and then idle", self.size, &cost);
    }

    /// So many of them send something, which arrives at once.
    fn send(&mut self, what: &str, bytes: &[u8], senders: usize, concerned: usize) {
        for wire in 0..senders {
            self.network.world().send(wire, Segment::Bytes(bytes.to_vec()), 0);
        }
        let now = self.network.world().now;
        assert_eq!(self.network.world().advance(Some(now)), Advance::Ready);
        let cost = self.run();
        self.say(what, concerned, &cost);
    }

    fn wait(&mut self, what: &str, ms: u64) {
        self.network.world().now += ms;
        let cost = self.run();
        self.say(what, self.size, &cost);
    }

    /// Runs until there is nothing to do.
    fn run(&mut self) -> Cost {
        let calls = self.network.world().calls;
        (BYTES.set(0), CALLS.set(0));
        IS_COUNTED.set(true);
        let began = Instant::now();
        let stopped = self.reactor.run();
        let time = began.elapsed();
        IS_COUNTED.set(false);
        assert_eq!(stopped.unwrap_err().to_string(), "nothing to do");
        let calls = self.network.world().calls - calls;
        Cost { time, bytes: BYTES.get(), allocations: CALLS.get(), calls }
    }

    #[allow(clippy::cast_precision_loss)] // figures for people
    fn say(&self, what: &str, concerned: usize, cost: &Cost) {
        let each = |n: f64| n / concerned as f64;
        println!(
            "{:<7} {concerned:>9} x {what:<46} {:>7.0} ns {:>8.1} bytes {:>6.2} allocations {:>6.2} system calls",
            self.protocol,
            each(cost.time.as_secs_f64() * 1e9),
            each(cost.bytes as f64),
            each(cost.allocations as f64),
            each(cost.calls as f64),
        );
    }
}

fn main() {
    let size = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let some = size / 10;
    println!("what one costs, of {size} connections");
    let mut echo = Crowd::new("echo", size);
    echo.connect();
    echo.send("is answered, without a deadline", b"hello", some, some);
    drop(echo);
    let mut hello = Crowd::new("hello", size);
    hello.connect();
    hello.send("is answered, and its deadline moves", b"Hello World", some, some);
    hello.wait("expires, is told good-bye, and waits for it", 20_000);
    hello.wait("expires again, and is closed", 20_000);
    drop(hello);
    let mut chat = Crowd::new("chat", size);
    chat.connect();
    chat.wait("expires and is announced", 1000);
    chat.wait("hears who came, in one line", 1000);
    chat.send("hears what one says", b"hello, all of you\n", 1, size);
}
