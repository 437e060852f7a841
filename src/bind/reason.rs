//! Why a socket was not to be had, in words that help.

use std::io;

use super::{Failure, holder};
use crate::service::Address;

/// The first port that an ordinary user may bind.
const FIRST_FREE_PORT: u16 = 1024;

/// Whether this machine has no such address, or no such protocol.
pub(super) fn is_missing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let missing = [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT];
    error.raw_os_error().is_some_and(|code| missing.iter().any(|errno| errno.raw_os_error() == code))
}

/// One line about a failure; `ours` is the service of this very program that has the place.
pub(super) fn reason(failure: &Failure, ours: Option<&str>) -> String {
    let place = place(&failure.address);
    match failure.error.kind() {
        io::ErrorKind::AddrInUse => match (ours, holder::holder(&failure.address)) {
            (Some(service), _) => format!("{place} is taken by the service {service}"),
            (None, Some(holder)) => format!("{place} is taken by {holder}"),
            (None, None) => format!("{place} is in use"),
        },
        io::ErrorKind::PermissionDenied if is_low(&failure.address) => format!(
            "{place} needs the capability CAP_NET_BIND_SERVICE (sudo setcap \
             cap_net_bind_service=+ep {}), or choose a port from {FIRST_FREE_PORT} up",
            std::env::current_exe().map_or_else(|_| "switchboard".into(), |path| path.display().to_string())
        ),
        _ if is_missing(&failure.error) => format!("{place}: this machine has no such address"),
        _ => format!("{place}: {}", failure.error),
    }
}

/// `port 8080 (127.0.0.1)`, `udp port 7 (::1)`, or the path.
fn place(address: &Address) -> String {
    match address {
        Address::Tcp(at) => format!("port {} ({})", at.port(), at.ip()),
        Address::Udp(at) => format!("udp port {} ({})", at.port(), at.ip()),
        Address::Unix(path) => path.display().to_string(),
    }
}

fn is_low(address: &Address) -> bool {
    match address {
        Address::Tcp(at) | Address::Udp(at) => at.port() < FIRST_FREE_PORT,
        Address::Unix(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_port_names_the_capability_and_a_way_out() {
        let address = Address::Tcp(([127, 0, 0, 1], 80).into());
        let failure = Failure { address, error: io::ErrorKind::PermissionDenied.into() };
        let said = reason(&failure, None);
        assert!(said.starts_with("port 80 (127.0.0.1) needs the capability CAP_NET_BIND_SERVICE"), "{said}");
        assert!(said.ends_with("or choose a port from 1024 up"), "{said}");
    }
}
