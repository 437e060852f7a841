//! Where connections come from. One address has some 28,000 ports to connect from; the loopback network
//! has 16 million addresses, so a loopback target can have as many connections as there is memory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

use rustix::io::Errno;

/// How many addresses are used at the most.
pub const MOST: u32 = 254 * 254;

/// Whether connections to it can come from many addresses: only over IPv4 is the loopback a network.
pub fn can_spread(target: &SocketAddr) -> bool {
    matches!(target.ip(), IpAddr::V4(ip) if ip.is_loopback())
}

/// The address number `n`: 127.1.1.1 to 127.1.254.254, round and round.
pub fn address(n: u64) -> Ipv4Addr {
    let n = n % u64::from(MOST);
    let octet = |n: u64| u8::try_from(n % 254 + 1).unwrap_or(1);
    Ipv4Addr::new(127, 1, octet(n / 254), octet(n))
}

/// Binds a socket to an address, and leaves the port to `connect`: chosen then, it need differ only from
/// those of other connections to the same target.
///
/// # Errors
/// What the kernel says.
pub fn bind(socket: impl AsFd, source: Ipv4Addr) -> Result<(), Errno> {
    // An older kernel chooses the port now: that works, only for fewer connections.
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true);
    rustix::net::bind(socket, &SocketAddr::new(source.into(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_differ_and_none_is_a_networks_own() {
        let all: std::collections::HashSet<_> = (0..u64::from(MOST)).map(address).collect();
        assert_eq!(all.len(), MOST as usize);
        assert!(all.iter().all(|ip| ip.is_loopback() && !matches!(ip.octets()[3], 0 | 255)));
        assert_eq!(address(0), Ipv4Addr::new(127, 1, 1, 1));
        assert_eq!(address(254), Ipv4Addr::new(127, 1, 2, 1));
        assert!(can_spread(&"127.0.0.1:7".parse().unwrap()) && !can_spread(&"[::1]:7".parse().unwrap()));
    }
}
