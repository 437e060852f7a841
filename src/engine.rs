//! The engines: each moves bytes and time, and none knows a protocol.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::lan::Outlet;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::service::{Address, Listener, Service};
use crate::shared::Shared;

mod blocking;
pub mod control;
pub mod datagram;
mod doors;
pub mod faulty;
pub mod iterative;
mod keyboard;
mod ledger;
pub mod mio_net;
mod name;
pub mod net;
mod outlet;
mod patience;
pub mod processes;
pub mod reactor;
pub mod reload;
pub mod sockets;
pub mod successor;
pub mod threads;
mod vestibule;

use control::Control;
use datagram::Guard;
use faulty::Faulty;
use mio_net::MioNet;
pub use name::{Engine, Serving};
use net::{Net, Source};
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
    /// What all buffers together may take, in bytes; see [`crate::config::Plan::max_buffers`].
    pub max_buffers: Option<usize>,
}

/// Serves until the operator stops it: INT, TERM, or Esc on the terminal.
///
/// # Errors
/// The operating system refused something without which nothing can be served, or the operator asked
/// a second time and did not want to wait for the drain.
pub fn serve(engine: Engine, mut setup: Setup) -> io::Result<()> {
    if is_planted(Mutant::GraceForgotten) {
        setup.grace = Duration::ZERO;
    } else if is_planted(Mutant::GraceEndless) {
        setup.grace = Duration::from_secs(3600);
    }
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
    let Setup { services, listeners, shared, grace, control, reload, max_buffers, .. } = setup;
    let Watched { net, streams, datagrams } = watch(control, listeners, &services)?;
    let settings = Settings { services, shared, capacity, grace, reload, max_buffers };
    // Two reactors, so that the one without faults has no trace of them.
    if settings.services.iter().any(|service| service.policy.faults.are_any()) {
        let net = Faulty::new(net, &settings.services);
        let streams = streams.into_iter().map(|(socket, service)| ((socket, service.into()), service));
        return run_reactor(Reactor::new(net, settings, guard), streams, datagrams);
    }
    run_reactor(Reactor::new(net, settings, guard), streams, datagrams)
}

fn run_reactor<N: Net>(
    mut reactor: Reactor<N>,
    streams: impl IntoIterator<Item = (N::Listener, u16)>,
    datagrams: Vec<(N::Socket, u16, Option<N::Outlet>)>,
) -> io::Result<()> {
    for (socket, service) in streams {
        reactor.add_listener(socket, service);
    }
    for (socket, service, outlet) in datagrams {
        reactor.add_datagrams(socket, service, outlet);
    }
    reactor.serves();
    reactor.run()
}

/// The sockets that a reactor is to serve, each with the index of its service, and a poll that watches them.
#[derive(Debug)]
struct Watched {
    net: MioNet,
    streams: Vec<(OwnedFd, u16)>,
    datagrams: Vec<(OwnedFd, u16, Option<Outlet>)>,
}

fn watch(control: Control, listeners: Vec<Listener>, services: &[Service]) -> io::Result<Watched> {
    let mut net = MioNet::new(control)?;
    let (mut streams, mut datagrams) = (Vec::new(), Vec::new());
    for listener in listeners {
        let service = u16::try_from(listener.service).map_err(io::Error::other)?;
        if matches!(listener.address, Address::Udp(_)) {
            net.watch_socket(&listener.socket, Source::Datagrams(datagrams.len()))?;
            datagrams.push((listener.socket, service, listener.outlet));
        } else {
            net.watch_listener(&listener.socket, streams.len(), listener.service)?;
            streams.push((listener.socket, service));
        }
    }
    net.set_services(services);
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
    // Of each listener there is a copy, for whoever may take over.
    let taken = limits::SPARE_DESCRIPTORS + limits::OWN_DESCRIPTORS + 2 * listeners as u64;
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
