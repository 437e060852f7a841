//! Who holds a port: asked of `/proc`, where there is one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::service::Address;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// The program that has the port: `python3 (pid 4242)`. `None` if it cannot be found out, as with
/// other users' programs.
pub(super) fn holder(address: &Address) -> Option<String> {
    let (at, tables, tcp) = match address {
        Address::Tcp(at) => (at, ["/proc/net/tcp", "/proc/net/tcp6"], true),
        Address::Udp(at) => (at, ["/proc/net/udp", "/proc/net/udp6"], false),
        Address::Unix(_) => return None,
    };
    let inode = tables.iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| inode(line, at.ip(), at.port(), tcp))
    })?;
    let pid = owner(&inode)?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("{} (pid {pid})", name.trim().escape_debug()))
}

/// The inode of the socket in this line of the table, if it is one that keeps the address from others.
fn inode(line: &str, ip: IpAddr, port: u16, tcp: bool) -> Option<String> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let (host, local_port) = local.rsplit_once(':')?;
    let same_port = u16::from_str_radix(local_port, 16).ok()? == port;
    let holds = same_port && (!tcp || state == LISTENING) && covers(parse(host)?, ip);
    holds.then(|| inode.to_owned())
}

/// Whether a socket on one address keeps another from being bound. An IPv6 socket on every address may
/// have the IPv4 ones too.
fn covers(held: IpAddr, wanted: IpAddr) -> bool {
    let same_family = held.is_ipv4() == wanted.is_ipv4();
    let every = held.is_unspecified() && (same_family || held.is_ipv6());
    held.to_canonical() == wanted || every || (wanted.is_unspecified() && same_family)
}

/// An address as the table has it: words of 32 bits in the machine's order of bytes.
fn parse(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let words = [word(0)?, word(8)?, word(16)?, word(24)?];
    let octets: [u8; 16] = words.concat().try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}

/// The process that has a socket of this inode among its descriptors.
fn owner(inode: &str) -> Option<u32> {
    let link = format!("socket:[{inode}]");
    let has = |pid: u32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok();
        files.is_some_and(|files| {
            files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to == Path::new(&link)))
        })
    };
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid| has(*pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 48879 1";

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_table_is_read() {
        let localhost = Ipv4Addr::LOCALHOST.into();
        assert_eq!(inode(LINE, localhost, 8080, true).as_deref(), Some("48879"));
        assert_eq!(inode(LINE, localhost, 8081, true), None);
        assert_eq!(inode(LINE, Ipv4Addr::new(10, 0, 0, 1).into(), 8080, true), None);
        assert_eq!(inode(LINE, Ipv4Addr::UNSPECIFIED.into(), 8080, true).as_deref(), Some("48879"));
        assert_eq!(parse("00000000000000000000000001000000"), Some(Ipv6Addr::LOCALHOST.into()));
    }

    #[test]
    fn garbage_is_no_line() {
        assert_eq!(inode("", Ipv4Addr::LOCALHOST.into(), 1, true), None);
        assert_eq!(inode("a b c d e f g h i j k", Ipv4Addr::LOCALHOST.into(), 1, true), None);
    }
}
