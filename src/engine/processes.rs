//! A process for each connection: the parent accepts and forks, the child serves, and dies with its
//! connection.
//!
//! The parent is the [reactor](super::reactor) over a network that forks for whoever is let in (`net.rs`). Of a service
//! whose clients hear each other it runs the sessions itself, for the rooms can be in one process only; the
//! child then passes bytes (`relay.rs`) between its client and the parent, and what a slow client costs is the
//! child's. Of any other service the child is alone (`child.rs`) with its client, by blocking calls. A datagram
//! socket has one child, made before anything else.
//!
//! * No thread is ever started before a fork: the child could find any lock taken.
//! * A child comes back up the parent's stack by an error, so that everything of the parent's is dropped
//!   and closed on its way, and does its work from here. Dropping the poll leaves the registrations of the
//!   parent, whose sockets these are, alone.
//! * It ends by `_exit`: what the parent has to do at its end is not done twice.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::datagram::Guard;
use super::doors::Doors;
use super::reactor::{Reactor, Settings};
use super::{Setup, Watched};
use crate::service::{Address, Listener, Service};
use crate::shared::Shared;

mod child;
mod children;
mod net;
mod relay;

use child::{Task, Work};
use children::{Children, Forked, Role};
use net::{ForkListener, ForkNet};

/// What every process knows.
#[derive(Debug)]
struct Site {
    services: RefCell<Arc<Vec<Service>>>,
    /// A child's own, for what it asks of them; the parent lets in by those of its reactor.
    doors: RefCell<Doors>,
    shared: Arc<Shared>,
    started: Instant,
}

/// Where a child finds, when it has left the parent's stack, what it was made for.
type Desk = Rc<RefCell<Option<Work>>>;

/// Serves until the operator stops it.
pub(super) fn serve(setup: Setup) -> io::Result<()> {
    let (services, shared) = (setup.services.clone(), Arc::clone(&setup.shared));
    let doors = RefCell::new(Doors::new(&services));
    let services = RefCell::new(Arc::new(services));
    let site = Rc::new(Site { services, doors, shared, started: Instant::now() });
    let desk = Desk::default();
    let result = parent(setup, &site, &desk);
    let work = desk.take();
    match work {
        None => result,
        Some(work) => child::run(work, &site),
    }
}

/// What the parent does; a child returns from here at once, with its work on the desk.
fn parent(setup: Setup, site: &Rc<Site>, desk: &Desk) -> io::Result<()> {
    let (capacity, udp_ports) = (setup.capacity(), setup.udp_ports());
    let Setup { services, listeners, shared, grace, mut control, reload, .. } = setup;
    let mut children = Children::new()?;
    let (answering, listeners): (Vec<_>, Vec<_>) = listeners.into_iter().partition(is_answering);
    for listener in answering {
        if let Forked::Child(birth) = children.fork(Role::Datagrams)? {
            control.abandon();
            let (socket, service) = (listener.socket, listener.service);
            let task = Task::Datagrams { socket, service, guard: Guard::new(udp_ports) };
            desk.replace(Some(Work { birth, task }));
            return Err(io::ErrorKind::Other.into());
        }
    }
    let Watched { net, streams, datagrams } = super::watch(control, listeners, &services)?;
    let net = ForkNet::new(net, children, Rc::clone(site), Rc::clone(desk))?;
    // Each client has buffers of its own, in its own process.
    let settings = Settings { services, shared, capacity, grace, reload, max_buffers: None };
    let mut reactor = Reactor::new(net, settings, Guard::new(udp_ports));
    for (socket, service) in streams {
        reactor.add_listener(ForkListener { socket, service: usize::from(service) }, service);
    }
    for (socket, service, outlet) in datagrams {
        reactor.add_datagrams(socket, service, outlet);
    }
    reactor.serves();
    reactor.run()
}

/// Whether a listener is a datagram socket that answers. One that speaks in a room is the parent's.
fn is_answering(listener: &Listener) -> bool {
    matches!(listener.address, Address::Udp(_)) && listener.outlet.is_none()
}
