//! One connection, on a clock that jumps: a thread is not always given its turn in time.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::access::Policy;
use crate::protocol::{Options, Row};

/// Each look at its clock is later than the one before by more than a tail is waited for; and when what the
/// peer has sent is read for the first time, the peer sends the rest.
struct Sleepy {
    services: Arc<Vec<Service>>,
    shared: Arc<Shared>,
    clock: AtomicU64,
    stream: Arc<OwnedFd>,
    rest: Mutex<Option<UnixStream>>,
}

impl Host for Sleepy {
    fn services(&self) -> Arc<Vec<Service>> {
        Arc::clone(&self.services)
    }

    fn patience(&self, _: usize) -> Patience {
        Patience::default()
    }

    fn banner(&self, _: usize) -> Option<String> {
        None
    }

    fn hears(&self, _: usize, _: Option<IpAddr>) -> bool {
        true
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn now(&self) -> Time {
        if !sockets::has_unread(&*self.stream)
            && let Some(mut peer) = self.rest.lock().unwrap().take()
        {
            peer.write_all(b" yourself\n").unwrap();
        }
        Time::from_millis(self.clock.fetch_add(30, Ordering::Relaxed))
    }

    fn is_draining(&self) -> bool {
        false
    }
}

#[test]
fn what_came_while_the_thread_slept_belongs_to_the_message() {
    let row = Row::find("modify").unwrap();
    let options = Options::parse(row.kind, "name = \"Ali\"".parse().unwrap()).unwrap();
    let service = Service { name: "modify".to_owned(), row, options, policy: Policy::default() };
    let (ours, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"Hello").unwrap();
    let stream = Arc::new(OwnedFd::from(ours));
    let host = Sleepy {
        services: Arc::new(vec![service]),
        shared: Arc::new(crate::shared::tests::shared()),
        clock: AtomicU64::new(0),
        stream: Arc::clone(&stream),
        rest: Mutex::new(Some(peer.try_clone().unwrap())),
    };
    let id = ConnId { key: 0, generation: 0 };
    let connection = Connection::new(host, id, stream, Peer::Unix, 0).unwrap();
    let server = std::thread::spawn(move || connection.run(Ok(())));
    let mut reply = [0; 64];
    let n = peer.read(&mut reply).unwrap();
    assert_eq!(String::from_utf8_lossy(&reply[..n]), "Hello yourself Ali\n");
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    server.join().unwrap();
}

#[test]
fn a_coarse_wait_is_never_longer_and_seldom_another() {
    let coarse = |millis| coarse(Duration::from_millis(millis)).as_millis();
    assert_eq!([0, 1, 25, 63].map(coarse), [0, 1, 25, 63]);
    assert_eq!([60_000, 59_999, 57_500].map(coarse), [57_344; 3]);
    assert!((64..100_000).all(|millis| {
        let kept = coarse(millis);
        kept <= u128::from(millis) && kept * 4 >= u128::from(millis) * 3
    }));
}
