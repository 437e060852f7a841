//! Lists of networks: `"192.168.0.0/16"`, `"2001:db8::/32"`, `"10.1.2.3"`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Networks, and single addresses as the smallest of them. IPv4 addresses that came in as IPv6 ones
/// (`::ffff:10.1.2.3`) are what they are: IPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether no network is in the list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length of the longest prefix that fits an address; `None` if none does.
    pub fn longest_match(&self, ip: IpAddr) -> Option<u8> {
        let ip = ip.to_canonical();
        self.0.iter().filter(|network| network.contains(&ip)).map(IpNet::prefix_len).max()
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Words {
            One(String),
            Many(Vec<String>),
        }
        let words = match Words::deserialize(source) {
            Ok(Words::One(text)) => text.split([',', ' ']).map(str::to_owned).collect(),
            Ok(Words::Many(words)) => words,
            Err(_) => return Err(D::Error::custom("a network, or a list of networks, is wanted")),
        };
        let words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
        words.map(|word| network(word).map_err(D::Error::custom)).collect::<Result<_, _>>().map(Self)
    }
}

fn network(word: &str) -> Result<IpNet, String> {
    let parsed = word.parse::<IpNet>().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from));
    let network = parsed.ok_or_else(|| {
        format!("{word:?} is no network, which looks like 192.168.0.0/16, 2001:db8::/32 or 10.1.2.3")
    })?;
    Ok(unmapped(network).unwrap_or(network))
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn unmapped(network: IpNet) -> Option<IpNet> {
    const MAPPED: u8 = 96;
    let IpNet::V6(v6) = network else { return None };
    let v4 = v6.addr().to_ipv4_mapped()?;
    IpNet::new(v4.into(), v6.prefix_len().checked_sub(MAPPED)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(value: &str) -> Result<Networks, String> {
        #[derive(Deserialize)]
        struct Whole {
            list: Networks,
        }
        let whole: Result<Whole, _> = toml::from_str(&format!("list = {value}"));
        whole.map(|whole| whole.list).map_err(|error| error.message().to_owned())
    }

    fn matches(list: &str, ip: &str) -> Option<u8> {
        networks(list).ok()?.longest_match(ip.parse().ok()?)
    }

    #[test]
    fn the_longest_prefix_that_fits_counts() {
        assert_eq!(matches(r#"["10.0.0.0/8", "10.1.0.0/16"]"#, "10.1.2.3"), Some(16));
        assert_eq!(matches(r#"["10.0.0.0/8", "10.1.0.0/16"]"#, "10.2.2.3"), Some(8));
        assert_eq!(matches(r#""10.1.2.3""#, "10.1.2.3"), Some(32));
        assert_eq!(matches(r#""10.1.2.3, ::1""#, "::1"), Some(128));
        assert_eq!(matches(r#""10.0.0.0/8""#, "11.0.0.1"), None);
        assert_eq!(matches(r#""0.0.0.0/0""#, "11.0.0.1"), Some(0));
        assert_eq!(matches(r#""0.0.0.0/0""#, "2001:db8::1"), None);
    }

    #[test]
    fn an_ipv4_address_in_an_ipv6_one_is_an_ipv4_address() {
        assert_eq!(matches(r#""10.0.0.0/8""#, "::ffff:10.1.2.3"), Some(8));
        assert_eq!(matches(r#""::ffff:10.0.0.0/104""#, "10.1.2.3"), Some(8));
        assert_eq!(matches(r#""::/0""#, "::ffff:10.1.2.3"), None);
    }

    #[test]
    fn what_is_no_network_is_named() {
        for bad in ["10.0.0.0/33", "10.0.0", "example.org", "::/129"] {
            let message = networks(&format!("[{bad:?}]")).err().unwrap_or_default();
            assert!(message.contains(bad) && message.contains("192.168.0.0/16"), "{message}");
        }
        assert!(networks("5").is_err());
    }
}
