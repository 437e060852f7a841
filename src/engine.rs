//! The engines: each moves bytes and time, and none knows a protocol.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::lan::Outlet;
use crate::limits;
use crate::service::{Address, Listener, Service};
use crate::shared::Shared;

mod blocking;
pub mod control;
pub mod datagram;
mod doors;
pub mod iterative;
mod keyboard;
pub mod mio_net;
mod name;
pub mod net;
mod outlet;
mod patience;
pub mod processes;
pub mod reactor;
pub mod reload;
pub mod sockets;
pub mod threads;

use control::Control;
use datagram::Guard;
use mio_net::MioNet;
pub use name::{Engine, Serving};
use net::Source;
use reactor::{Reactor, Settings};
use reload::Reload;

/// Everything an engine needs to serve.
#[derive(Debug)]
pub struct Setup {
    /// The services; a [`Listener`] names one by its index.
    pub services: Vec<Service>,
    /// Their sockets.
    pub listeners: Vec<Listener>,
    /// What all connections share.
    pub shared: Arc<Shared>,
    /// How long a drain may take.
    pub grace: Duration,
    /// The process's limit on open descriptors.
    pub descriptors: u64,
    /// The operator's signals and keys, listened to since before anybody was told that the program is
    /// ready: a signal that came meanwhile is not lost.
    pub control: Control,
    /// How the configuration is read again.
    pub reload: Reload,
}

/// Serves until the operator stops it: INT, TERM, or Esc on the terminal.
///
/// # Errors
/// The operating system refused something without which nothing can be served, or the operator asked
/// a second time and did not want to wait for the drain.
pub fn serve(engine: Engine, setup: Setup) -> io::Result<()> {
    match engine {
        Engine::Reactor => serve_by_reactor(setup),
        Engine::Threads => threads::serve(setup),
        Engine::Processes => processes::serve(setup),
        Engine::Iterative => iterative::serve(setup),
    }
}

fn serve_by_reactor(setup: Setup) -> io::Result<()> {
    let guard = Guard::new(setup.udp_ports());
    let capacity = setup.capacity();
    let Setup { services, listeners, shared, grace, control, reload, .. } = setup;
    let Watched { net, streams, datagrams } = watch(control, listeners)?;
    let mut reactor = Reactor::new(net, Settings { services, shared, capacity, grace, reload }, guard);
    for (socket, service) in streams {
        reactor.add_listener(socket, service);
    }
    for (socket, service, outlet) in datagrams {
        reactor.add_datagrams(socket, service, outlet);
    }
    reactor.run()
}

/// The sockets that a reactor is to serve, each with the index of its service, and a poll that watches them.
#[derive(Debug)]
struct Watched {
    net: MioNet,
    streams: Vec<(OwnedFd, u16)>,
    datagrams: Vec<(OwnedFd, u16, Option<Outlet>)>,
}

fn watch(control: Control, listeners: Vec<Listener>) -> io::Result<Watched> {
    let mut net = MioNet::new(control)?;
    let (mut streams, mut datagrams) = (Vec::new(), Vec::new());
    for listener in listeners {
        let service = u16::try_from(listener.service).map_err(io::Error::other)?;
        if matches!(listener.address, Address::Udp(_)) {
            net.watch_socket(&listener.socket, Source::Datagrams(datagrams.len()))?;
            datagrams.push((listener.socket, service, listener.outlet));
        } else {
            net.watch_socket(&listener.socket, Source::Listener(streams.len()))?;
            streams.push((listener.socket, service));
        }
    }
    Ok(Watched { net, streams, datagrams })
}

impl Setup {
    fn capacity(&self) -> usize {
        capacity(self.descriptors, self.listeners.len())
    }

    fn udp_ports(&self) -> Vec<u16> {
        let port = |listener: &Listener| match listener.address {
            Address::Udp(address) => Some(address.port()),
            _ => None,
        };
        self.listeners.iter().filter_map(port).collect()
    }
}

/// Connections that there are descriptors for, beside those of the listeners and some to spare for files.
pub fn capacity(descriptors: u64, listeners: usize) -> usize {
    let taken = limits::SPARE_DESCRIPTORS + limits::OWN_DESCRIPTORS + listeners as u64;
    usize::try_from(descriptors.saturating_sub(taken)).unwrap_or(usize::MAX).max(1)
}

/// Says that a drain begins.
fn announce_drain(connections: usize, grace: Duration) {
    let plural = if connections == 1 { "" } else { "s" };
    log::info!("stopping; {connections} connection{plural} open, grace {grace:?}");
}

/// Says what was done, when all is over.
fn announce_end(shared: &Shared) {
    log::info!("stopped; {}", totals(shared));
}

/// What there was altogether, in one line.
fn totals(shared: &Shared) -> String {
    let observer = &shared.observer;
    match shared.rooms().expelled() {
        0 => observer.to_string(),
        1 => format!("{observer}; gave up 1 member of a room that did not read"),
        count => format!("{observer}; gave up {count} members of rooms that did not read"),
    }
}

/// The error of an operator who asked a second time.
fn stopped_at_once() -> io::Error {
    io::Error::other("stopped at once; what was owed was not sent")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::tests::shared;

    #[test]
    fn the_totals_tell_of_members_that_were_given_up() {
        let shared = shared();
        let before = totals(&shared);
        assert!(before.ends_with(" out"), "{before}");
        shared.rooms().count_expelled();
        assert_eq!(totals(&shared), format!("{before}; gave up 1 member of a room that did not read"));
        shared.rooms().count_expelled();
        assert!(totals(&shared).ends_with("; gave up 2 members of rooms that did not read"));
    }
}
