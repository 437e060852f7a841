//! What listens where, for pages that tell people: made once, when everything is bound.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::protocol::Row;
use crate::service::{Address, Service, Spot};

/// A service at one port or Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The service.
    pub name: String,
    /// Name of its protocol.
    pub protocol: &'static str,
    /// What it does, in a few words.
    pub does: &'static str,
    /// An RFC, or a lab sheet.
    pub source: &'static str,
    /// Where it is.
    pub place: Place,
    try_it: &'static str,
}

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A port, on some addresses.
    Port {
        /// Its number.
        port: u16,
        /// The addresses that it is bound to.
        ips: Vec<IpAddr>,
        /// Over TCP.
        tcp: bool,
        /// Over UDP.
        udp: bool,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// Everything that listens, in the order of the services; a port counts once, whatever it is bound to.
pub fn entries(services: &[Service], spots: &[Spot]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (index, service) in services.iter().enumerate() {
        let start = entries.len();
        for spot in spots.iter().filter(|spot| spot.service == index) {
            let own: &mut [Entry] = entries.get_mut(start..).unwrap_or_default();
            if !own.iter_mut().any(|entry| entry.place.add(&spot.address)) {
                entries.push(Entry::new(service, Place::of(&spot.address)));
            }
        }
    }
    entries
}

impl Place {
    fn of(address: &Address) -> Self {
        match address {
            Address::Tcp(at) => Self::Port { port: at.port(), ips: vec![at.ip()], tcp: true, udp: false },
            Address::Udp(at) => Self::Port { port: at.port(), ips: vec![at.ip()], tcp: false, udp: true },
            Address::Unix(path) => Self::Unix(path.clone()),
        }
    }

    /// Takes another address of the same port; false if it is of another one.
    fn add(&mut self, address: &Address) -> bool {
        let Self::Port { port, ips, tcp, udp } = self else { return false };
        let (at, over_tcp) = match address {
            Address::Tcp(at) => (at, true),
            Address::Udp(at) => (at, false),
            Address::Unix(_) => return false,
        };
        if at.port() != *port {
            return false;
        }
        if !ips.contains(&at.ip()) {
            ips.push(at.ip());
        }
        *tcp |= over_tcp;
        *udp |= !over_tcp;
        true
    }
}

impl Entry {
    fn new(service: &Service, place: Place) -> Self {
        let row = service.row;
        let Row { name: protocol, source, try_it, .. } = *row;
        Self { name: service.name.clone(), protocol, does: service.does(), source, place, try_it }
    }

    /// `tcp`, `udp`, `tcp+udp` or `unix`.
    pub fn transport(&self) -> &'static str {
        match self.place {
            Place::Port { tcp: true, udp: true, .. } => "tcp+udp",
            Place::Port { tcp: true, .. } => "tcp",
            Place::Port { .. } => "udp",
            Place::Unix(_) => "unix",
        }
    }

    /// Under which host somebody reaches it who reached this machine as `asked`, in small letters and
    /// without brackets: that one, unless the service does not listen there.
    pub fn host(&self, asked: &str) -> String {
        let Place::Port { ips, .. } = &self.place else { return String::new() };
        let is_same_family = |own: &IpAddr, ip: IpAddr| own.is_ipv4() == ip.is_ipv4();
        let listens = if let Ok(ip) = asked.parse::<IpAddr>() {
            ips.iter().any(|own| *own == ip || (own.is_unspecified() && is_same_family(own, ip)))
        } else {
            let is_local = asked == "localhost";
            ips.iter().any(|ip| ip.is_unspecified() || ip.is_loopback() == is_local)
        };
        match ips.first() {
            Some(first) if !listens && !first.is_unspecified() => first.to_string(),
            _ => asked.to_owned(),
        }
    }

    /// `host:port`, or the path.
    pub fn address(&self, asked: &str) -> String {
        match &self.place {
            Place::Port { port, .. } => format!("{}:{port}", bracketed(&self.host(asked))),
            Place::Unix(path) => path.display().to_string(),
        }
    }

    /// A command that shows it.
    pub fn try_it(&self, asked: &str) -> String {
        match &self.place {
            Place::Unix(path) if self.try_it.starts_with("curl") => {
                format!("curl --unix-socket {} http://localhost/", path.display())
            }
            Place::Unix(path) => format!("nc -U {}", path.display()),
            Place::Port { port, tcp: false, .. } => format!("nc -u {} {port}", self.host(asked)),
            Place::Port { port, .. } => self
                .try_it
                .replace("{address}", &self.address(asked))
                .replace("{host}", &self.host(asked))
                .replace("{port}", &port.to_string()),
        }
    }
}

/// A host as a URL has it.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ips: &[&str]) -> Entry {
        Entry {
            name: "echo".to_owned(),
            protocol: "echo",
            does: "",
            source: "",
            place: Place::Port {
                port: 7,
                ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
                tcp: true,
                udp: false,
            },
            try_it: "nc {host} {port} {address}",
        }
    }

    #[test]
    fn people_are_told_an_address_that_they_can_reach() {
        for (ips, asked, address) in [
            (&["127.0.0.1", "::1"][..], "localhost", "localhost:7"),
            (&["127.0.0.1", "::1"], "::1", "[::1]:7"),
            (&["127.0.0.1"], "::1", "127.0.0.1:7"),
            (&["127.0.0.1"], "desk.local", "127.0.0.1:7"),
            (&["0.0.0.0"], "192.168.1.5", "192.168.1.5:7"),
            (&["0.0.0.0"], "desk.local", "desk.local:7"),
            (&["192.168.1.5"], "desk.local", "desk.local:7"),
            (&["192.168.1.5"], "localhost", "192.168.1.5:7"),
            (&["192.168.1.5"], "192.168.1.5", "192.168.1.5:7"),
        ] {
            assert_eq!(entry(ips).address(asked), address, "{ips:?}, {asked}");
        }
        assert_eq!(entry(&["::1"]).try_it("::1"), "nc ::1 7 [::1]:7");
    }
}
