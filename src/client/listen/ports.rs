//! The sockets of `listen`: one port on every address, or on one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::{Args, Error, Family};
use crate::bind;
use crate::client::Target;
use crate::service::Address;
use crate::start::lan;

/// Connections that the kernel completes while others are served.
const BACKLOG: i32 = 128;

/// Where to listen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// All addresses if there is none.
    ip: Option<IpAddr>,
    port: u16,
}

impl Ports {
    /// `PORT`, `ADDRESS:PORT`, `[v6]:PORT` or an address alone.
    pub(super) fn parse(text: Option<&str>, default: u16) -> Result<Self, Error> {
        let Some(text) = text else { return Ok(Self { ip: None, port: default }) };
        if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
            return Ok(Self { ip: None, port });
        }
        if let Ok(at) = text.parse::<SocketAddr>() {
            return Ok(Self { ip: Some(at.ip()), port: at.port() });
        }
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(Self { ip: Some(Ipv4Addr::LOCALHOST.into()), port });
        }
        let target = Target::parse(text, Some(default))?;
        match target.host.parse() {
            Ok(ip) => Ok(Self { ip: Some(ip), port: target.port }),
            Err(_) => Err(Error::Usage(format!(
                "{text:?}: it is written PORT or ADDRESS:PORT, as in 40000 or 127.0.0.1:40000"
            ))),
        }
    }

    /// Binds a socket for each address.
    pub(super) fn bind(&self, args: &Args) -> Result<Vec<Socket>, Error> {
        let all: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let ips = self.ip.map_or(all.to_vec(), |ip| vec![ip]);
        let fits = |ip: &IpAddr| args.family().has(&SocketAddr::new(*ip, 0));
        let (mut sockets, mut port) = (Vec::new(), self.port);
        for ip in ips.into_iter().filter(fits) {
            match open(SocketAddr::new(ip, port), args) {
                Ok(socket) => {
                    // What port 0 brought, the other address has to have, too.
                    port = address_of(&socket)?.port();
                    sockets.push(socket);
                }
                // A machine without IPv6 listens on IPv4.
                Err(_) if ip.is_ipv6() && !sockets.is_empty() && args.family() == Family::Any => {}
                Err(error) => {
                    let at = SocketAddr::new(ip, port);
                    let address = if args.is_udp() { Address::Udp(at) } else { Address::Tcp(at) };
                    return Err(Error::Network(bind::why_not(address, error)));
                }
            }
        }
        if sockets.is_empty() {
            return Err(Error::Usage(
                "that address is not of the wanted family; leave out -4 or -6".to_owned(),
            ));
        }
        Ok(sockets)
    }
}

/// What others can use to reach these sockets, and this machine itself.
pub(super) fn usable(sockets: &[Socket]) -> Result<Vec<SocketAddr>, Error> {
    let mut usable = Vec::new();
    for socket in sockets {
        let at = address_of(socket)?;
        if !at.ip().is_unspecified() {
            usable.push(at);
            continue;
        }
        let loopback: IpAddr =
            if at.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        let same_family = lan::addresses().into_iter().filter(|ip| ip.is_ipv4() == at.is_ipv4());
        usable.extend(same_family.chain([loopback]).map(|ip| SocketAddr::new(ip, at.port())));
    }
    Ok(usable)
}

fn open(at: SocketAddr, args: &Args) -> io::Result<Socket> {
    let (kind, protocol) =
        if args.is_udp() { (Type::DGRAM, Protocol::UDP) } else { (Type::STREAM, Protocol::TCP) };
    let socket = Socket::new(Domain::for_address(at), kind, Some(protocol))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Over TCP a restart must not wait. Over UDP it shares the port, which only broadcasts make sense of.
    socket.set_reuse_address(!args.is_udp() || args.broadcast)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    if !args.is_udp() {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

fn address_of(socket: &Socket) -> Result<SocketAddr, Error> {
    let address = socket.local_addr().map(|address| address.as_socket());
    let missing = || Error::Network("the socket has no address".to_owned());
    address.ok().flatten().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_place() {
        let is = |text, ip: Option<&str>, port| {
            let ip = ip.map(|ip| ip.parse().unwrap());
            assert_eq!(Ports::parse(text, 40_000).unwrap(), Ports { ip, port }, "{text:?}");
        };
        is(None, None, 40_000);
        is(Some("9090"), None, 9090);
        is(Some("0"), None, 0);
        is(Some(":9090"), None, 9090);
        is(Some("127.0.0.1:0"), Some("127.0.0.1"), 0);
        is(Some("localhost:9090"), Some("127.0.0.1"), 9090);
        is(Some("[::1]:9090"), Some("::1"), 9090);
        is(Some("192.168.1.5"), Some("192.168.1.5"), 40_000);
        for bad in ["", "65536", "somewhere", "h:x"] {
            assert!(Ports::parse(Some(bad), 1).is_err(), "{bad}");
        }
    }
}
