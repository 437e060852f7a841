//! A service that speaks to everybody on a network, by two threads: one receives and lets the session say it
//! in its room, the other sends out what the room's members say. Both end with the process.

use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::blocking::{Host, STACK};
use super::super::datagram::Exchange;
use super::super::outlet::Speaker;
use super::State;
use crate::lan::Outlet;
use crate::limits;
use crate::room::{Fed, MemberId};
use crate::service::Listener;

/// How long the sender waits when no more may leave in a second.
const SECOND: Duration = Duration::from_secs(1);

/// What both threads know.
#[derive(Debug)]
struct Bridge {
    state: Arc<State>,
    outlet: Outlet,
    speaker: Mutex<Speaker>,
}

/// Starts both threads.
pub(super) fn start(state: &Arc<State>, listener: Listener) -> io::Result<()> {
    let services = state.services();
    let (Some(service), Some(outlet)) = (services.get(listener.service), listener.outlet) else {
        return Ok(());
    };
    let mut exchange = Exchange::new(service.session());
    let Some(member) = exchange.open(Speaker::id(listener.service), state.shared(), state.now()) else {
        return Ok(());
    };
    let speaker = Mutex::new(Speaker::new(outlet.own_port(), outlet.chat_port()));
    let bridge = Arc::new(Bridge { state: Arc::clone(state), outlet, speaker });
    let sender = Arc::clone(&bridge);
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
    thread("lan-out").spawn(move || sender.send(member))?;
    thread("lan-in").spawn(move || bridge.receive(listener.socket, exchange))?;
    Ok(())
}

impl Bridge {
    fn speaker(&self) -> MutexGuard<'_, Speaker> {
        self.speaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, socket: OwnedFd, mut exchange: Exchange) {
        let socket = UdpSocket::from(socket);
        let mut buffer = vec![0; limits::READ_BUFFER];
        // Only this thread uses it, and may wait.
        let _ = socket.set_nonblocking(false);
        while !self.state.is_draining() {
            let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
            let (datagram, peer) = (buffer.get(..len).unwrap_or_default(), from.into());
            let now = self.state.now();
            if self.speaker().hears(datagram, &peer, now) {
                let _ = exchange.reply(datagram, &peer, self.state.shared(), now);
                self.state.shared().end_turn();
                self.state.tell_members();
            }
        }
    }

    fn send(&self, member: MemberId) {
        let shared = self.state.shared();
        let mut rooms = shared.rooms();
        loop {
            let now = self.state.now();
            let fed = rooms.feed(member, now, |lines| {
                self.speaker().speak(lines, now, |datagram| {
                    // UDP may lose a datagram, and there may be no network just now.
                    let _ = self.outlet.send(datagram);
                })
            });
            rooms = if fed == Fed::All {
                shared.room_changed.wait(rooms).unwrap_or_else(PoisonError::into_inner)
            } else if self.speaker().may_send(now) {
                rooms
            } else {
                let waited = shared.room_changed.wait_timeout(rooms, SECOND);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}
