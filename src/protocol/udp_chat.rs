//! The bridge between the chat of a local network over UDP (lab A, exercise 1) and a room.
//!
//! What members say goes to the network as datagrams; what comes from there is said in the room, under the
//! sender's address. Nothing that came from a network goes out again, and nothing is ever answered: so
//! neither two bridges on one network nor a forged sender can make it repeat anything.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::{Answer, Cx, Flow, Handler, Protocol, Why};
use crate::escape::is_hidden;
use crate::lan::Place;
use crate::limits;
use crate::room::{Form, Kind, MemberId, Profile, Saying, Style};

/// The bridge's name in its room, where `/who` shows that the network hears. There is one in a room: two
/// that share two networks would pass each line on for ever.
const NAME: &str = "udp-chat";

/// What a `udp-chat` service may be told.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The room that the network is joined to.
    pub room: String,
    /// Broadcast addresses, instead of those of the interfaces that the service is bound to.
    pub broadcast: Vec<Ipv4Addr>,
    /// A multicast group, instead of broadcast.
    pub group: Option<IpAddr>,
    /// The only interface that is used, whatever the service is bound to.
    pub interface: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { room: "lobby".to_owned(), broadcast: Vec::new(), group: None, interface: None }
    }
}

/// The member of the room that stands for the network. There are few of them, so they take no room in slots.
#[derive(Debug)]
pub struct UdpChat {
    bridge: Box<Bridge>,
}

#[derive(Debug)]
struct Bridge {
    options: Arc<Options>,
    member: Option<MemberId>,
}

impl Protocol for UdpChat {
    type Options = Options;

    fn prepare(options: &Options) -> Result<(), String> {
        match options.group {
            Some(group) if !group.is_multicast() => Err(format!("{group} is no multicast group")),
            Some(_) if !options.broadcast.is_empty() => {
                Err("it speaks to a group or to broadcast addresses, not both".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn network(options: &Options) -> Place {
        Place {
            broadcast: options.broadcast.clone(),
            group: options.group,
            interface: options.interface.clone(),
            ..Place::default()
        }
    }

    fn new(options: &Arc<Options>) -> Self {
        Self { bridge: Box::new(Bridge { options: Arc::clone(options), member: None }) }
    }
}

impl Handler for UdpChat {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        let mut rooms = cx.shared.rooms();
        let profile = Profile {
            form: Form::Line(Style::default()),
            guest: "network".to_owned(),
            history: 0,
            // The network never waits for anything.
            quiet_reader: Duration::ZERO,
        };
        let id = rooms.join(&self.bridge.options.room, &profile, Some(NAME), cx.id);
        if rooms.name(id) != NAME {
            rooms.leave(id, cx.id);
            log::warn!(
                "room {} is joined to a network already; another one stays out",
                self.bridge.options.room
            );
            return Flow::Finish(Why::Failed);
        }
        rooms.announce(id);
        self.bridge.member = Some(id);
        Flow::Continue
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.input.take_all();
        Flow::Continue
    }

    fn datagram(&mut self, datagram: &[u8], cx: &mut Cx<'_>) -> Answer {
        let text = displayable(datagram);
        if let (Some(id), Some(ip)) = (self.bridge.member, cx.peer.ip())
            && !text.trim().is_empty()
        {
            // No member's name has a slash, so nobody can pass for a machine, nor a machine for a member.
            let name = format!("lan/{}", ip.to_canonical());
            let saying = Saying { kind: Kind::Said, text: text.trim_end(), client: 0 };
            cx.shared.rooms().say_as(id, &name, saying);
        }
        Answer::Silent
    }

    fn closed(&mut self, cx: &mut Cx<'_>, _: Why) {
        if let Some(id) = self.bridge.member.take() {
            cx.shared.rooms().leave(id, cx.id);
        }
    }

    fn member(&self) -> Option<MemberId> {
        self.bridge.member
    }
}

/// A datagram as one line that is safe on a terminal: line ends and tabs become blanks, other control
/// characters go.
fn displayable(datagram: &[u8]) -> String {
    let datagram = datagram.get(..limits::LAN_TEXT).unwrap_or(datagram);
    let datagram = datagram.strip_suffix(b"\n").unwrap_or(datagram);
    let shown = |c: char| match c {
        '\t' | '\n' => Some(' '),
        c => (!is_hidden(c)).then_some(c),
    };
    String::from_utf8_lossy(datagram).chars().filter_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_one_harmless_line_of_bounded_length() {
        assert_eq!(displayable(b"a\x1b[2J\r\nbob: b\tc\n"), "a[2J bob: b c");
        assert_eq!(displayable(&vec![b'x'; 60_000]).len(), limits::LAN_TEXT);
        assert_eq!(displayable(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn a_network_is_named_in_one_way() {
        let group = |text: &str| Options { group: Some(text.parse().unwrap()), ..Options::default() };
        assert!(UdpChat::prepare(&group("192.0.2.1")).is_err());
        assert!(UdpChat::prepare(&group("239.1.2.3")).is_ok());
        let both = Options { broadcast: vec![Ipv4Addr::BROADCAST], ..group("239.1.2.3") };
        assert!(UdpChat::prepare(&both).is_err());
    }
}
