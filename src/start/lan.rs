//! The addresses under which others reach this machine.

use std::net::IpAddr;

/// Addresses of the interfaces that are up, IPv4 first; none that only this machine or only one cable
/// understands.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let up = interfaces.into_iter().filter(|interface| interface.is_oper_up() && !interface.is_loopback());
    let mut addresses: Vec<IpAddr> = up.map(|interface| interface.ip()).filter(is_routable).collect();
    addresses.sort_by_key(|ip| (ip.is_ipv6(), *ip));
    addresses.dedup();
    addresses
}

fn is_routable(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_loopback(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_loopback(),
    }
}

/// An address that a client can connect to: for "every address" one of the machine's, if it has one,
/// else the loopback.
pub(super) fn usable(ip: IpAddr) -> IpAddr {
    if !ip.is_unspecified() {
        return ip;
    }
    let fits = addresses().into_iter().find(|candidate| candidate.is_ipv4() == ip.is_ipv4());
    fits.unwrap_or(if ip.is_ipv4() {
        std::net::Ipv4Addr::LOCALHOST.into()
    } else {
        std::net::Ipv6Addr::LOCALHOST.into()
    })
}
