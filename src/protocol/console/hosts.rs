//! The names under which this machine is asked for, and the origins of pages.
//!
//! Whoever owns a name on the web can let it point to any address, that of this machine as well: a page
//! from there is then, to its browser, of the same origin as what this machine serves under that name. So
//! names that are not known to be ours are refused. An address cannot be borrowed in this way.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The host of a `Host` field in small letters, without port, brackets and the dot at its end.
pub(super) fn host(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field).to_ascii_lowercase();
    if let Some(literal) = text.strip_prefix('[') {
        return literal.split(']').next().unwrap_or_default().to_owned();
    }
    let name = text.split(':').next().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

/// Whether a host is an address, or a name that only this machine has. `more` are names that the operator
/// vouches for.
pub(super) fn is_ours(host: &str, machine: &str, more: &[String]) -> bool {
    let short = machine.split('.').next().unwrap_or_default();
    let own = [machine, short].into_iter().filter(|name| !name.is_empty());
    let is_address = host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok();
    is_address
        || host == "localhost"
        || own.clone().any(|name| host.eq_ignore_ascii_case(name))
        || host.strip_suffix(".local").is_some_and(|host| own.clone().any(|n| host.eq_ignore_ascii_case(n)))
        || more.iter().any(|name| host.eq_ignore_ascii_case(name.trim_end_matches('.')))
}

/// Whether a page of this origin was served under the host of the `Host` field. Programs that are no
/// browsers send no origin.
pub(super) fn is_same_origin(origins: &[&[u8]], host: &[u8]) -> bool {
    match origins {
        [] => true,
        [origin] => {
            let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_known_names_are_ours() {
        let more = ["lab.example.org".to_owned()];
        for (field, ours) in [
            ("localhost", true),
            ("LOCALHOST:8000", true),
            ("localhost.", true),
            ("127.0.0.1:8000", true),
            ("192.168.1.5", true),
            ("[::1]:8000", true),
            ("[fe80::1]", true),
            ("desk:8000", true),
            ("Desk.local", true),
            ("desk.office.example", true),
            ("lab.example.org:80", true),
            ("desk.example", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("desk.local.evil.example", false),
            ("xdesk", false),
            ("", false),
            ("127.1", false),
        ] {
            assert_eq!(is_ours(&host(field.as_bytes()), "desk.office.example", &more), ours, "{field}");
        }
        assert!(!is_ours("", "", &[]) && !is_ours("x", "", &[]) && !is_ours("evil.local", "", &[]));
    }

    #[test]
    fn a_page_is_from_here_if_its_origin_is_the_host() {
        for (origin, host, same) in [
            (&[][..], "localhost:8000", true),
            (&["http://localhost:8000"], "localhost:8000", true),
            (&["http://LocalHost:8000"], "localhost:8000", true),
            (&["https://desk.local"], "desk.local", true),
            (&["http://localhost"], "localhost:8000", false),
            (&["http://localhost:8001"], "localhost:8000", false),
            (&["http://evil.example"], "localhost:8000", false),
            (&["null"], "localhost:8000", false),
            (&[""], "localhost:8000", false),
            (&["localhost:8000"], "localhost:8000", false),
            (&["file://localhost:8000"], "localhost:8000", false),
            (&["http://a", "http://a"], "a", false),
        ] {
            let origins: Vec<&[u8]> = origin.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(is_same_origin(&origins, host.as_bytes()), same, "{origin:?}, {host}");
        }
    }
}
