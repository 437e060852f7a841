//! A network that fails when it is told to: everything goes through here, until it does not.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// See the module. The thread that accepts ends with the tests.
#[derive(Debug)]
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Where to; nowhere while the network is down.
    target: Option<SocketAddr>,
    streams: Vec<TcpStream>,
}

impl Proxy {
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { target: Some(target), streams: Vec::new() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let mut state = shared.lock().unwrap();
                // Whoever comes while it is down is turned away by the drop.
                let Some(far) = state.target.and_then(|target| TcpStream::connect(target).ok()) else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || pass(from, to));
                }
                state.streams.extend([near, far]);
            }
        });
        Self { address, state }
    }

    /// Cuts every connection, in the middle of whatever it carries, and lets none in.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.target = None;
        for stream in state.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections in again, to wherever that is now.
    pub fn mend(&self, target: SocketAddr) {
        self.state.lock().unwrap().target = Some(target);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
