//! Binding once more, while the daemon runs: what is wanted and listens already stays, what is new is bound.

use std::net::SocketAddr;

use super::{At, Bound, Error, Failure, Place, SocketFiles, bind_place, clash, reason, socket, unix};
use crate::config::Origin;
use crate::service::{Address, Listener, Service, Spot};

/// What listens from now on.
#[derive(Debug, Default)]
pub struct Again {
    /// What goes on to listen, with the service that it is for.
    pub kept: Vec<Spot>,
    /// What is new.
    pub opened: Vec<Listener>,
}

/// What listened so far.
#[derive(Debug)]
pub struct Before<'a> {
    /// The sockets.
    pub spots: &'a [Spot],
    /// The places that were wanted.
    pub places: &'a [Place],
}

impl Before<'_> {
    fn has(&self, place: &Place) -> bool {
        self.places.iter().any(|before| before.service == place.service && before.at == place.at)
    }

    /// The sockets that came of a place without addresses of its own: any port, or a whole network.
    fn of<'a>(&'a self, place: &'a Place, named: &'a [Address]) -> impl Iterator<Item = &'a Spot> {
        let stands_for = |address: &Address| match (&place.at, address) {
            (At::Port { hosts, tcp, .. }, Address::Tcp(at)) => {
                *tcp && hosts.iter().any(|it| it.ip == at.ip())
            }
            (At::Port { hosts, udp, .. }, Address::Udp(at)) => {
                *udp && hosts.iter().any(|it| it.ip == at.ip())
            }
            (At::Lan(_), Address::Udp(_)) => true,
            _ => false,
        };
        let own = self.spots.iter().filter(|spot| spot.service == place.service);
        own.filter(move |spot| stands_for(&spot.address) && !named.contains(&spot.address))
    }
}

/// Binds what is new among these places. Nothing that listens is touched.
///
/// # Errors
/// A place that was not wanted before could not be had; nothing is left of the others.
pub fn again(services: &[Service], before: &Before<'_>, places: &[Place]) -> Result<Again, Error> {
    let named: Vec<Address> =
        places.iter().flat_map(|place| addresses(&place.at)).map(|(it, _)| it).collect();
    // What was given by whoever started the program stays, and takes the place of what the configuration says.
    let given = before.spots.iter().filter(|spot| spot.given);
    let mut all = Again { kept: given.cloned().collect(), opened: Vec::new() };
    let has_given = |place: &&Place| before.spots.iter().any(|it| it.given && it.service == place.service);
    for place in places.iter().filter(|place| !has_given(place)) {
        if let Err(error) = all.add(services, before, place, &named) {
            // The files of Unix sockets do not go by themselves.
            drop(SocketFiles::of(&all.opened));
            return Err(error);
        }
    }
    Ok(all)
}

impl Again {
    fn add(
        &mut self,
        services: &[Service],
        before: &Before<'_>,
        place: &Place,
        named: &[Address],
    ) -> Result<(), Error> {
        let service = place.service;
        let refuse = |failure: &Failure| refuse(services, before, place, failure);
        let is_new = !before.has(place);
        match &place.at {
            At::Lan(_) if is_new => {
                let name = services.get(service).map_or("", |service| &service.name);
                return Err(Error(format!("service {name}: another network takes a restart")));
            }
            At::Port { port: 0, .. } if is_new => {
                let sockets = bind_place(&place.at, &mut |_| None).map_err(|failure| refuse(&failure))?;
                self.opened.extend(sockets.into_iter().map(|it| it.listener(service)));
            }
            At::Lan(_) | At::Port { port: 0, .. } => self.kept.extend(before.of(place, named).cloned()),
            at => {
                for (address, is_optional) in addresses(at) {
                    if before.spots.iter().any(|spot| spot.address == address) {
                        self.kept.push(Spot { service, address, given: false });
                        continue;
                    }
                    match open(&address) {
                        Ok(socket) => self.opened.push(Listener::new(service, address, socket)),
                        // What was not to be had before is no news.
                        Err(_) if !is_new => {}
                        Err(error) if is_optional && reason::is_missing(&error) => {}
                        Err(error) => return Err(refuse(&Failure { address, error })),
                    }
                }
            }
        }
        Ok(())
    }
}

fn open(address: &Address) -> std::io::Result<std::os::fd::OwnedFd> {
    match address {
        Address::Unix(path) => unix::listen(path),
        _ => socket::open(address).map(|(_, socket)| socket),
    }
}

/// Where a place is that says so itself, and whether it does not matter if this machine has no such address.
fn addresses(at: &At) -> Vec<(Address, bool)> {
    match at {
        At::Unix(path) => vec![(Address::Unix(path.clone()), false)],
        At::Port { port: 0, .. } | At::Lan(_) => Vec::new(),
        At::Port { hosts, port, tcp, udp } => {
            let of = |wanted: bool, make: fn(SocketAddr) -> Address| {
                let hosts = hosts.iter().filter(move |_| wanted);
                hosts.map(move |host| (make(SocketAddr::new(host.ip, *port)), host.optional))
            };
            of(*tcp, Address::Tcp).chain(of(*udp, Address::Udp)).collect()
        }
    }
}

fn refuse(services: &[Service], before: &Before<'_>, place: &Place, failure: &Failure) -> Error {
    let ours = before.spots.iter().find(|spot| clash(&spot.address, &failure.address));
    let ours = ours.and_then(|spot| services.get(spot.service)).map(|service| service.name.as_str());
    let name = services.get(place.service).map_or("", |service| service.name.as_str());
    let way_out = if ours.is_some() { "; to go on there with other addresses takes a restart" } else { "" };
    let reason = format!("service {name}: {}{way_out}", reason::reason(failure, ours));
    match place.origin {
        Origin::Default => Error(reason),
        ref origin => Error(format!("{origin}: {reason}")),
    }
}

impl Bound {
    /// The sockets, without themselves.
    pub fn spots(&self) -> Vec<Spot> {
        self.listeners.iter().map(Listener::spot).collect()
    }
}
