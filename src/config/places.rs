//! Where a service is to listen: its `port` on every address of `bind`, and whatever `listen` names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use toml::Value;

use super::draft::Draft;
use super::file::Setting;
use super::{Error, Origin};
use crate::bind::{At, Host, Place};
use crate::lan;
use crate::protocol::{Options, Row, Transport};

const LISTEN_HINT: &str = "it is written unix:PATH, tcp:ADDRESS:PORT, udp:ADDRESS:PORT or ADDRESS:PORT";

/// What the places of all services share.
#[derive(Debug)]
pub(super) struct Common {
    /// Where to bind.
    pub(super) hosts: Vec<Host>,
    /// Whether the ports are those of the RFCs, and who says so.
    pub(super) well_known: Option<Origin>,
}

/// This machine only; one without IPv6 does not matter.
pub(super) fn loopback() -> Vec<Host> {
    vec![
        Host { ip: Ipv4Addr::LOCALHOST.into(), optional: false },
        Host { ip: Ipv6Addr::LOCALHOST.into(), optional: true },
    ]
}

/// The addresses that a word of `bind` stands for.
pub(super) fn hosts(words: &[String]) -> Result<Vec<Host>, String> {
    let mut hosts = Vec::new();
    for word in words {
        match word.as_str() {
            "localhost" => hosts.extend(loopback()),
            "*" => hosts.extend([
                Host { ip: Ipv4Addr::UNSPECIFIED.into(), optional: false },
                Host { ip: Ipv6Addr::UNSPECIFIED.into(), optional: true },
            ]),
            word => hosts.push(Host { ip: address(word)?, optional: false }),
        }
    }
    // What every address of a family covers already would be in its own way.
    let every: Vec<IpAddr> = hosts.iter().map(|host| host.ip).filter(IpAddr::is_unspecified).collect();
    let covered = |ip: IpAddr| !every.contains(&ip) && every.iter().any(|any| any.is_ipv4() == ip.is_ipv4());
    let mut kept: Vec<Host> = Vec::new();
    for host in hosts {
        if !covered(host.ip) && kept.iter().all(|other| other.ip != host.ip) {
            kept.push(host);
        }
    }
    Ok(kept)
}

fn address(word: &str) -> Result<IpAddr, String> {
    let bare = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
    bare.parse().map_err(|_| {
        format!("\"{word}\" is no address; it is an IPv4 or IPv6 address, localhost, or * for every address")
    })
}

/// The strings of a setting that may be one or a list.
pub(super) fn strings(value: &Value) -> Option<Vec<String>> {
    let owned = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => values.iter().map(owned).collect(),
        _ => None,
    }
}

/// The places of the service, which will be number `index`.
pub(super) fn places(
    draft: &Draft,
    row: &'static Row,
    options: &Options,
    index: usize,
    common: &Common,
) -> Result<Vec<Place>, Error> {
    let mut places = Vec::new();
    for (at, origin) in listen(draft, row)? {
        places.push(Place { service: index, at, origin });
    }
    if let Some((port, origin)) = port(draft, row, common, places.is_empty())? {
        let hosts = bind(draft)?.unwrap_or_else(|| common.hosts.clone());
        let at = match row.transport {
            Transport::Lan => At::Lan(network(options, &hosts, port)),
            transport => At::Port { hosts, port, tcp: true, udp: transport.has_udp() },
        };
        places.insert(0, Place { service: index, at, origin });
    }
    Ok(places)
}

/// The network that is reached by these addresses, unless the options name another.
fn network(options: &Options, hosts: &[Host], port: u16) -> lan::Place {
    let place = options.network();
    let named = place.interface.is_some() || !place.broadcast.is_empty();
    let every = named || hosts.iter().any(|host| host.ip.is_unspecified());
    let addresses = if every { Vec::new() } else { hosts.iter().map(|host| host.ip).collect() };
    lan::Place { port, addresses, ..place }
}

fn bind(draft: &Draft) -> Result<Option<Vec<Host>>, Error> {
    let Some(setting) = draft.get("bind") else { return Ok(None) };
    let words = strings_of(draft, setting)?;
    hosts(&words).map(Some).map_err(|message| draft.error(setting, &message))
}

fn strings_of(draft: &Draft, setting: &Setting) -> Result<Vec<String>, Error> {
    let wrong = || draft.error(setting, "a string, or a list of strings, is wanted");
    strings(&setting.value).filter(|words| !words.is_empty()).ok_or_else(wrong)
}

/// The port and who says so. A service of the table has one unless it says where else it listens.
fn port(draft: &Draft, row: &Row, common: &Common, needed: bool) -> Result<Option<(u16, Origin)>, Error> {
    if let Some(setting) = draft.get("port") {
        let port = setting.value.as_integer().and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| draft.error(setting, "a port is a number from 0 to 65535"))?;
        return Ok(Some((port, setting.origin.clone())));
    }
    if !needed {
        return Ok(None);
    }
    if draft.name != row.name {
        return Err(draft.own_error("it needs a port, or listen"));
    }
    Ok(Some(match (&common.well_known, row.well_known) {
        (Some(origin), Some(port)) => (port, origin.clone()),
        _ => (row.port, Origin::Default),
    }))
}

fn listen(draft: &Draft, row: &Row) -> Result<Vec<(At, Origin)>, Error> {
    let Some(setting) = draft.get("listen") else { return Ok(Vec::new()) };
    if row.transport == Transport::Lan {
        return Err(draft.error(setting, "it speaks to a whole network, named by port and bind"));
    }
    let mut places = Vec::new();
    for word in strings_of(draft, setting)? {
        let at = place(&word, row.transport.has_udp()).map_err(|message| draft.error(setting, &message))?;
        places.push((at, setting.origin.clone()));
    }
    Ok(places)
}

/// One word of `listen`.
fn place(word: &str, has_udp: bool) -> Result<At, String> {
    if let Some(path) = word.strip_prefix("unix:") {
        return if path.is_empty() { Err(LISTEN_HINT.to_owned()) } else { Ok(At::Unix(PathBuf::from(path))) };
    }
    let (tcp, udp, address) = match (word.strip_prefix("tcp:"), word.strip_prefix("udp:")) {
        (Some(address), _) => (true, false, address),
        (_, Some(_)) if !has_udp => return Err(format!("\"{word}\": this protocol is served over TCP only")),
        (_, Some(address)) => (false, true, address),
        _ => (true, has_udp, word),
    };
    let address: SocketAddr = address.parse().map_err(|_| format!("\"{word}\": {LISTEN_HINT}"))?;
    let hosts = vec![Host { ip: address.ip(), optional: false }];
    Ok(At::Port { hosts, port: address.port(), tcp, udp })
}
