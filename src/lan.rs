//! The chat of a local network over UDP (lab A, exercise 1): a line is a datagram to everybody, by broadcast
//! or to a multicast group. Who is there needs no server; what is lost is lost.
//!
//! What is sent leaves from a port of its own. Its copy that comes back is known by that port, even where
//! several programs on one machine receive on the same one.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use if_addrs::{IfAddr, Interface};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

pub mod copies;

/// The port of the labs' program.
pub const PORT: u16 = 40_000;
/// Longest text sent in one datagram, in bytes: the labs' programs receive no more.
pub const LONGEST: usize = 1000;

/// Whom one talks to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Where datagrams are received, and sent to.
    pub port: u16,
    /// Broadcast addresses, instead of those of every interface.
    pub broadcast: Vec<Ipv4Addr>,
    /// A multicast group, instead of broadcast.
    pub group: Option<IpAddr>,
    /// The only interface to be used.
    pub interface: Option<String>,
    /// The only addresses of this machine whose interfaces are used, unless one is named; none for all.
    pub addresses: Vec<IpAddr>,
}

/// A way to some of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Where to send to.
    pub to: SocketAddr,
    /// For a group: the interface, by its index and its IPv4 address.
    via: Option<(u32, Ipv4Addr)>,
}

/// The sockets of a place.
#[derive(Debug)]
pub struct Lan {
    /// What others say comes here.
    pub receiving: UdpSocket,
    /// What is said leaves here.
    pub outlet: Outlet,
}

/// Where datagrams to everybody leave.
#[derive(Debug)]
pub struct Outlet {
    socket: UdpSocket,
    routes: Vec<Route>,
    own_port: u16,
}

impl Place {
    /// Opens the sockets.
    ///
    /// # Errors
    /// What is wrong with the place, in a few words.
    pub fn open(&self) -> Result<Lan, String> {
        let interfaces = self.interfaces()?;
        let mut routes = self.routes(&interfaces)?;
        let receiving = self.receiving(&routes).map_err(|error| self.explain(&error))?;
        let no_socket = |error: io::Error| format!("no socket: {error}");
        // Port 0 has become one.
        let port = receiving.local_addr().map_err(no_socket)?.port();
        routes.iter_mut().for_each(|route| route.to.set_port(port));
        let socket = sending(self.is_ipv6()).map_err(no_socket)?;
        let own_port = socket.local_addr().map_err(no_socket)?.port();
        Ok(Lan { receiving, outlet: Outlet { socket, routes, own_port } })
    }

    fn is_ipv6(&self) -> bool {
        self.group.is_some_and(|group| group.is_ipv6())
    }

    /// The interfaces that are up: the named one, or all, the loopback only where there is nothing else.
    fn interfaces(&self) -> Result<Vec<Interface>, String> {
        let all = if_addrs::get_if_addrs().map_err(|error| format!("no list of interfaces: {error}"))?;
        let up: Vec<Interface> =
            all.into_iter().filter(|one| one.is_oper_up() || one.is_loopback()).collect();
        if let Some(name) = &self.interface {
            let known: BTreeSet<&str> = up.iter().map(|one| one.name.as_str()).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            let named: Vec<Interface> = up.iter().filter(|one| one.name == *name).cloned().collect();
            return if named.is_empty() {
                Err(format!("there is no interface {name:?} that is up; there are {known}"))
            } else {
                Ok(named)
            };
        }
        if !self.addresses.is_empty() {
            return Ok(up.into_iter().filter(|one| self.addresses.contains(&one.ip())).collect());
        }
        let usable = |one: &&Interface| !one.is_loopback() && one.ip().is_ipv6() == self.is_ipv6();
        let others: Vec<Interface> = up.iter().filter(usable).cloned().collect();
        Ok(if others.is_empty() { up } else { others })
    }

    fn routes(&self, interfaces: &[Interface]) -> Result<Vec<Route>, String> {
        let routes: BTreeSet<Route> = match self.group {
            Some(group) if !group.is_multicast() => {
                return Err(format!("{group} is no multicast group, as 239.1.2.3 and ff02::1234 are"));
            }
            Some(group) => interfaces.iter().filter_map(|one| self.to_group(group, one)).collect(),
            None if self.broadcast.is_empty() => {
                interfaces.iter().filter_map(broadcast_of).map(|ip| self.to_broadcast(ip)).collect()
            }
            None => self.broadcast.iter().map(|ip| self.to_broadcast(*ip)).collect(),
        };
        if routes.is_empty() {
            let what = if self.group.is_some() { "an address for that group" } else { "a broadcast address" };
            return Err(format!("no interface that is up has {what}"));
        }
        Ok(routes.into_iter().collect())
    }

    fn to_broadcast(&self, ip: Ipv4Addr) -> Route {
        Route { to: (ip, self.port).into(), via: None }
    }

    fn to_group(&self, group: IpAddr, interface: &Interface) -> Option<Route> {
        let index = interface.index?;
        match (group, &interface.addr) {
            (IpAddr::V4(group), IfAddr::V4(own)) => {
                Some(Route { to: (group, self.port).into(), via: Some((index, own.ip)) })
            }
            (IpAddr::V6(group), IfAddr::V6(_)) => {
                let to = SocketAddrV6::new(group, self.port, 0, index).into();
                Some(Route { to, via: Some((index, Ipv4Addr::UNSPECIFIED)) })
            }
            _ => None,
        }
    }

    /// A socket that hears what is said, beside those of other programs on this machine.
    fn receiving(&self, routes: &[Route]) -> io::Result<UdpSocket> {
        let address = self.address(routes);
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        // Where that is what lets several programs receive on a port.
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        socket.set_reuse_port(true)?;
        #[cfg(target_os = "linux")]
        if self.group.is_some_and(|group| group.is_ipv4()) {
            // Only what comes by the interfaces that we join, not what others on this machine have joined.
            socket.set_multicast_all_v4(false)?;
        }
        socket.bind(&address.into())?;
        for route in routes {
            match (self.group, route.via) {
                (Some(IpAddr::V4(group)), Some((index, _))) => {
                    socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))?;
                }
                (Some(IpAddr::V6(group)), Some((index, _))) => socket.join_multicast_v6(&group, index)?,
                _ => {}
            }
        }
        Ok(socket.into())
    }

    /// What to bind to. The labs' program sends to 255.255.255.255, others to the broadcast address of their
    /// network, so for broadcasts it is any address; but those of the loopback cannot come from elsewhere,
    /// and who names one does not want to hear others.
    fn address(&self, routes: &[Route]) -> SocketAddr {
        let ip = match (self.group, routes) {
            (Some(IpAddr::V4(group)), _) => group.into(),
            (Some(IpAddr::V6(_)), _) => Ipv6Addr::UNSPECIFIED.into(),
            (None, [only]) if only.to.ip().is_loopback() => only.to.ip(),
            (None, _) => Ipv4Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(ip, self.port)
    }

    fn explain(&self, error: &io::Error) -> String {
        let port = self.port;
        match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "port {port}/udp is taken by a program that shares it with nobody, as the labs' own do; \
                 stop it, or take another port, all of you"
            ),
            _ => format!("port {port}/udp: {error}"),
        }
    }
}

/// The broadcast address of an interface that has one.
fn broadcast_of(interface: &Interface) -> Option<Ipv4Addr> {
    match &interface.addr {
        IfAddr::V4(own) if own.ip.is_loopback() => Some(Ipv4Addr::new(127, 255, 255, 255)),
        IfAddr::V4(own) => own.broadcast,
        IfAddr::V6(_) => None,
    }
}

fn sending(ipv6: bool) -> io::Result<UdpSocket> {
    let any = if ipv6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
    let address = SocketAddr::new(any, 0);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if ipv6 {
        socket.set_only_v6(true)?;
        // Not beyond this network, and heard by others on this machine.
        socket.set_multicast_hops_v6(1)?;
        socket.set_multicast_loop_v6(true)?;
    } else {
        socket.set_broadcast(true)?;
        socket.set_multicast_ttl_v4(1)?;
        socket.set_multicast_loop_v4(true)?;
    }
    // A datagram that finds no room in the queue is lost, like others.
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl Outlet {
    /// The port that what is sent leaves from.
    pub fn own_port(&self) -> u16 {
        self.own_port
    }

    /// The port that everybody receives on.
    pub fn chat_port(&self) -> u16 {
        self.routes.first().map_or(0, |route| route.to.port())
    }

    /// The addresses that it sends to.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.routes.iter().map(|route| route.to.ip())
    }

    /// Sends a datagram to everybody.
    ///
    /// # Errors
    /// It could be sent to nobody; the last reason.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let mut last = Ok(());
        let mut sent = false;
        for route in &self.routes {
            let result = self.send_by(*route, datagram);
            sent |= result.is_ok();
            last = result;
        }
        if sent { Ok(()) } else { last }
    }

    fn send_by(&self, route: Route, datagram: &[u8]) -> io::Result<()> {
        let socket = socket2::SockRef::from(&self.socket);
        match (route.to, route.via) {
            (SocketAddr::V4(_), Some((_, ip))) => socket.set_multicast_if_v4(&ip)?,
            (SocketAddr::V6(_), Some((index, _))) => socket.set_multicast_if_v6(index)?,
            (_, None) => {}
        }
        self.socket.send_to(datagram, route.to).map(|_| ())
    }
}

/// Cuts a line into texts that fit a datagram each, between characters.
pub fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let mut end = rest.len().min(LONGEST);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, left) = rest.split_at(end);
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = "é🦀".repeat(700);
        let cut: Vec<&str> = pieces(&line).collect();
        assert_eq!(cut.concat(), line);
        assert!(cut.len() == 5 && cut.iter().all(|piece| piece.len() <= LONGEST));
        assert_eq!(pieces("short").collect::<Vec<_>>(), ["short"]);
        assert_eq!(pieces("").count(), 0);
    }

    #[test]
    fn what_cannot_be_a_place_is_refused_in_words() {
        let refused = |place: Place, word: &str| match place.open() {
            Ok(_) => panic!("{place:?}"),
            Err(reason) => assert!(reason.contains(word), "{reason}"),
        };
        refused(
            Place { addresses: vec!["192.0.2.250".parse().unwrap()], ..Place::default() },
            "broadcast address",
        );
        refused(Place { group: Some("10.0.0.1".parse().unwrap()), ..Place::default() }, "multicast");
        refused(Place { interface: Some("nosuch0".into()), ..Place::default() }, "lo");
        let alone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = alone.local_addr().unwrap().port();
        refused(Place { port, ..Place::default() }, "shares it with nobody");
    }

    #[test]
    fn a_loopback_broadcast_is_heard_by_all_on_this_machine_and_nobody_else() {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place =
            Place { port: free, broadcast: vec![Ipv4Addr::new(127, 255, 255, 255)], ..Place::default() };
        let (one, two) = (place.open().unwrap(), place.open().unwrap());
        one.outlet.send(b"hello").unwrap();
        for lan in [&one, &two] {
            lan.receiving.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
            let mut buffer = [0; 100];
            let (n, from) = lan.receiving.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..n], from.port()), (&b"hello"[..], one.outlet.own_port()));
        }
        assert_eq!(one.receiving.local_addr().unwrap().to_string(), format!("127.255.255.255:{free}"));
    }
}
