//! Whom a client talks to: `HOST`, `HOST:PORT`, `[v6]:port`, `:PORT`; and how a connection that fails is
//! explained.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::{Error, wait};
use crate::escape::Escaped;

/// Which addresses of a name are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// Both, in the order that the resolver gives.
    #[default]
    Any,
    /// IPv4 only (`-4`).
    V4,
    /// IPv6 only (`-6`).
    V6,
}

impl Family {
    /// Whether an address belongs to it.
    pub fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// A host and a port, not looked up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    /// A TCP or UDP port.
    pub port: u16,
}

impl Target {
    /// Reads `HOST`, `HOST:PORT`, `[v6]`, `[v6]:PORT`, a bare IPv6 address, or `:PORT` for this machine.
    ///
    /// # Errors
    /// No host and no port in it, a port that is none, or no port where there is no default.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, Error> {
        let (host, port) = split(text)?;
        let host = if host.is_empty() { "localhost" } else { host };
        let port = match port {
            Some(port) => port.parse().map_err(|_| usage(text, "its port is no number of 1 to 65535"))?,
            None => default_port.ok_or_else(|| usage(text, "it has no port; write HOST:PORT"))?,
        };
        if port == 0 {
            return Err(usage(text, "its port is no number of 1 to 65535"));
        }
        Ok(Self { host: host.to_owned(), port })
    }

    /// Its addresses, those of the wanted family only, within `timeout`.
    ///
    /// # Errors
    /// There is no such name, nobody could tell, or it has no such address.
    pub fn addresses(&self, family: Family, timeout: Duration) -> Result<Vec<SocketAddr>, Error> {
        let found = look_up(&self.host, self.port, timeout)?;
        let fit: Vec<_> = found.into_iter().filter(|address| family.has(address)).collect();
        if fit.is_empty() {
            let (kind, flag) = if family == Family::V6 { ("IPv6", "-6") } else { ("IPv4", "-4") };
            return Err(Error::Network(format!(
                "{}: it has no {kind} address; try it without {flag}",
                Escaped::new(self.host.as_bytes())
            )));
        }
        Ok(fit)
    }

    /// Connects to the first address that answers, within `timeout` for all of them together.
    ///
    /// # Errors
    /// None of them answers; the last one's reason is told.
    pub fn connect(&self, family: Family, timeout: Duration) -> Result<TcpStream, Error> {
        let deadline = Instant::now() + timeout;
        let addresses = self.addresses(family, timeout)?;
        let mut last = self.failed(&io::ErrorKind::TimedOut.into());
        for (tried, address) in addresses.iter().enumerate() {
            // One address that swallows everything must leave time for the others.
            let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / untried;
            match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
                Ok(stream) => {
                    // One message, one answer: waiting for more to send would only delay it.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = self.failed(&error),
            }
        }
        Err(last)
    }

    /// An error of the network at this target, in a line that says what to check.
    pub fn failed(&self, error: &io::Error) -> Error {
        Error::Network(format!("{self}: {}", explain(error)))
    }
}

/// Asks the resolver, for as long as `timeout`.
fn look_up(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let name = host.to_owned();
    let found = wait::in_time(timeout, move || {
        (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>)
    });
    let why = match found {
        Some(Ok(found)) => return Ok(found),
        Some(Err(error)) => {
            let text = error.to_string();
            format!("name not found ({}); is it spelt right", text.rsplit(": ").next().unwrap_or_default())
        }
        None => "looking up the name timed out; does the name server answer".to_owned(),
    };
    let shown = Escaped::new(host.as_bytes());
    Err(Error::Network(format!(
        "{shown}: {why}, and is there a network? An address such as 192.168.1.5 works without"
    )))
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What an error of the network means, and what to check.
pub fn explain(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    let text = match error.kind() {
        Kind::ConnectionRefused => "refused: nothing listens there; is the server running, on this port?",
        Kind::TimedOut | Kind::WouldBlock => {
            "timed out: no answer; is the host up, and does a firewall drop it? (--timeout waits longer)"
        }
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => {
            "reset: the server closed before everything was said; did it crash, or refuse this client?"
        }
        Kind::UnexpectedEof => "closed: the server ended the connection too early; is this the right port?",
        Kind::HostUnreachable | Kind::NetworkUnreachable => {
            "unreachable: no way to that address from here; is it right, and is there a network?"
        }
        Kind::PermissionDenied => {
            "not allowed: a firewall on this machine, or a broadcast without --broadcast?"
        }
        Kind::AddrNotAvailable => "no such address: this machine has no way to use it; is IPv6 on?",
        _ => return error.to_string(),
    };
    text.to_owned()
}

fn split(text: &str) -> Result<(&str, Option<&str>), Error> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| usage(text, "the ] is missing"))?;
        return match (rest.strip_prefix(':'), rest) {
            (Some(port), _) => Ok((host, Some(port))),
            (None, "") => Ok((host, None)),
            (None, _) => Err(usage(text, "behind the ] comes a :PORT or nothing")),
        };
    }
    // An IPv6 address may name its interface: fe80::1%eth0.
    if text.split('%').next().is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()) {
        return Ok((text, None));
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Err(usage(text, "write an IPv6 address as [::1]:PORT")),
        Some((host, port)) => Ok((host, Some(port))),
        None if text.is_empty() => Err(usage(text, "it is empty; write HOST:PORT")),
        None => Ok((text, None)),
    }
}

fn usage(text: &str, what: &str) -> Error {
    Error::Usage(format!("\"{}\": {what}", Escaped::bounded(text.as_bytes(), 300)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, u16)> {
        Target::parse(text, Some(7)).ok().map(|target| (target.host, target.port))
    }

    #[test]
    fn every_way_of_writing_a_target() {
        let is = |text, host: &str, port| assert_eq!(parsed(text), Some((host.to_owned(), port)), "{text}");
        is("h", "h", 7);
        is("h:80", "h", 80);
        is(":80", "localhost", 80);
        is("127.0.0.1", "127.0.0.1", 7);
        is("::1", "::1", 7);
        is("[::1]", "::1", 7);
        is("[::1]:80", "::1", 80);
        is("fe80::1%eth0", "fe80::1%eth0", 7);
        is("[fe80::1%eth0]:80", "fe80::1%eth0", 80);
        for bad in ["", "h:", "h:x", "h:0", "h:65536", "[::1", "[::1]80", "fe80::zz:80"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
        assert!(Target::parse("h", None).is_err());
    }
}
