//! What the clients have in common: which addresses they use, and how long they wait.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::Error;
use super::target::{Family, Target};
use crate::config::duration;
use crate::framing::End;
use crate::protocol::Row;

/// Longest `--timeout`: a wait that long is none any more, and the clock can still count it.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The flags of every client that talks to a server: `#[command(flatten)]` them.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Use IPv4 addresses only [e.g. -4]
    #[arg(short = '4', long = "ipv4", conflicts_with = "v6", help_heading = "Network")]
    pub v4: bool,

    /// Use IPv6 addresses only [e.g. -6]
    #[arg(short = '6', long = "ipv6", help_heading = "Network")]
    pub v6: bool,

    /// How long connecting may take, and then each wait for the server [e.g. --timeout 500ms]
    #[arg(short = 'w', long, value_name = "DURATION", default_value = "10s", help_heading = "Network")]
    #[arg(value_parser = timeout)]
    pub timeout: Duration,
}

impl Common {
    /// Which addresses of a name are used.
    pub fn family(&self) -> Family {
        match (self.v4, self.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }

    /// Connects; every read and write on the stream has the time-out, too.
    ///
    /// # Errors
    /// No address of it answers; the text says what to check.
    pub fn connect(&self, target: &Target) -> Result<TcpStream, Error> {
        let stream = target.connect(self.family(), self.timeout)?;
        let set = stream
            .set_read_timeout(Some(self.timeout))
            .and_then(|()| stream.set_write_timeout(Some(self.timeout)));
        set.map_err(|error| target.failed(&error))?;
        Ok(stream)
    }
}

/// What follows a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LineEnd {
    /// Nothing, as in the labs.
    None,
    /// A line feed.
    Lf,
    /// Carriage return and line feed.
    Crlf,
}

impl LineEnd {
    /// The bytes of it.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::None => End::None.bytes(),
            Self::Lf => End::Lf.bytes(),
            Self::Crlf => End::CrLf.bytes(),
        }
    }
}

/// A socket for datagrams that is connected to the first address of the target.
///
/// # Errors
/// There is no such host, or no way to it.
pub fn udp_socket(target: &Target, common: &Common) -> Result<UdpSocket, Error> {
    let mut last = target.failed(&io::ErrorKind::AddrNotAvailable.into());
    let mut addresses = target.addresses(common.family(), common.timeout)?;
    // Nothing refuses a datagram at once, so there is no next address to try: IPv4 is the safer guess.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    for address in addresses {
        let any: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address).map(|()| socket));
        match socket {
            Ok(socket) => return Ok(socket),
            Err(error) => last = target.failed(&error),
        }
    }
    Err(last)
}

/// The port that a service of this program has unless told otherwise; none if there is no such service.
pub fn default_port(service: &str) -> Option<u16> {
    Row::find(service).map(|row| row.port)
}

/// Reads a duration that can be waited for: more than none, 30 days at the most.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text)?;
    if duration < Duration::from_millis(1) || duration > LONGEST {
        return Err("it must be 1ms at the least and 30 days at the most".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_waited_for_is_a_timeout() {
        assert_eq!(timeout("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["0s", "1us", "31 days", "5", "-1s"] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn services_have_ports() {
        assert_eq!(default_port("echo"), Some(10007));
        assert_eq!(default_port("ecko"), None);
    }
}
