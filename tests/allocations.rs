//! An echo costs no heap allocation: counted on the reactor's own thread, through real sockets.
//!
//! The only `unsafe` of the tests: an allocator cannot be written without it.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use switchboard::engine::control::Control;
use switchboard::engine::{Engine, Setup, serve};
use switchboard::protocol::{Options, Row};
use switchboard::service::{Address, Listener, Service};
use switchboard::shared::Shared;
use switchboard::show::Show;

struct Counting;

thread_local! {
    static IS_REACTOR: Cell<bool> = const { Cell::new(false) };
}
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

fn count() {
    if IS_REACTOR.try_with(Cell::get).unwrap_or(false) {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`, and we are its caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Starts the reactor on a thread of its own; it ends with the test.
fn start(protocol: &str) -> SocketAddr {
    let row = Row::find(protocol).unwrap();
    let options = Options::parse(row.kind, toml::Table::new()).unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let setup = Setup {
        services: vec![Service {
            name: protocol.to_owned(),
            row,
            options,
            policy: switchboard::access::Policy::default(),
        }],
        listeners: vec![Listener {
            service: 0,
            address: Address::Tcp(address),
            socket: socket.into(),
            outlet: None,
        }],
        shared: Arc::new(Shared::new(Show::stdout())),
        grace: Duration::ZERO,
        descriptors: 1000,
        control: Control::new().unwrap(),
        reload: switchboard::engine::reload::Reload::default(),
    };
    std::thread::spawn(move || {
        IS_REACTOR.set(true);
        serve(Engine::Reactor, setup)
    });
    address
}

fn echo(stream: &mut TcpStream, message: &[u8], back: &mut [u8]) {
    stream.write_all(message).unwrap();
    stream.read_exact(back).unwrap();
    assert_eq!(message, back);
}

#[test]
fn an_echo_allocates_nothing() {
    let address = start("echo");
    let mut clients: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    for client in &clients {
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
    for size in [1, 64, 16 * 1024] {
        let message = vec![b'm'; size];
        let mut back = vec![0; size];
        clients.iter_mut().for_each(|client| echo(client, &message, &mut back));
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        for _ in 0..100 {
            clients.iter_mut().for_each(|client| echo(client, &message, &mut back));
        }
        assert_eq!(ALLOCATIONS.load(Ordering::SeqCst) - before, 0, "in 2,000 echoes of {size} bytes");
    }
    assert!(ALLOCATIONS.load(Ordering::SeqCst) > 0, "the reactor's thread is the one that was counted");
}
