//! Answering datagrams, and which of them may be answered. UDP has no handshake, so a forged source address would make a
//! service send to a stranger, or two services to each other for ever.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::input::Input;
use crate::limits;
use crate::out::Out;
use crate::peer::Peer;
use crate::protocol::{Answer, ConnId, Cx, Session};
use crate::room::MemberId;
use crate::shared::Shared;
use crate::time::Time;

/// The session of a datagram socket, and the reply it is writing.
#[derive(Debug)]
pub(super) struct Exchange {
    session: Session,
    out: Out,
}

impl Exchange {
    pub(super) fn new(session: Session) -> Self {
        Self { session, out: Out::default() }
    }

    /// Lets a session that speaks unasked enter its room; gives its membership.
    pub(super) fn open(&mut self, id: ConnId, shared: &Shared, now: Time) -> Option<MemberId> {
        self.call(&Peer::Unix, id, shared, now, |session, cx| {
            // It has no connection that could end.
            let _ = session.handler().open(cx);
        });
        self.session.member()
    }

    /// The session's membership.
    pub(super) fn member(&self) -> Option<MemberId> {
        self.session.member()
    }

    fn call<T>(
        &mut self,
        peer: &Peer,
        id: ConnId,
        shared: &Shared,
        now: Time,
        call: impl FnOnce(&mut Session, &mut Cx<'_>) -> T,
    ) -> T {
        self.out.reset();
        let mut deadline = Time::NEVER;
        let (input, out) = (Input::new(&[]), &mut self.out);
        let mut cx = Cx { now, input, out, deadline: &mut deadline, shared, peer, id };
        call(&mut self.session, &mut cx)
    }

    /// The reply to a datagram, if there is one.
    pub(super) fn reply(
        &mut self,
        datagram: &[u8],
        peer: &Peer,
        shared: &Shared,
        now: Time,
    ) -> Option<&[u8]> {
        let nobody = ConnId { key: u32::MAX, generation: 0 };
        let answer =
            self.call(peer, nobody, shared, now, |session, cx| session.handler().datagram(datagram, cx));
        (answer == Answer::Reply).then(|| self.out.bytes())
    }
}

/// What the daemon knows about those who send datagrams.
#[derive(Debug, Default)]
pub struct Guard {
    /// The ports of our own UDP services.
    own_ports: Vec<u16>,
    /// Replies sent in the present second, by source off this machine.
    sent: HashMap<IpAddr, u32>,
    second: u64,
}

impl Guard {
    /// A guard of the UDP services on these ports.
    pub fn new(own_ports: Vec<u16>) -> Self {
        Self { own_ports, ..Self::default() }
    }

    /// These are the ports of the UDP services from now on.
    pub fn set_own_ports(&mut self, own_ports: Vec<u16>) {
        self.own_ports = own_ports;
    }

    /// Whether a reply to this sender is safe: to no service port, not on behalf of a group, and not more
    /// than a bounded number a second to any one address off this machine.
    pub fn allows(&mut self, peer: &Peer, unicast: bool, now: Time) -> bool {
        let port = peer.port();
        if !unicast || port < limits::UDP_MIN_SOURCE_PORT || self.own_ports.contains(&port) {
            return false;
        }
        match peer.ip() {
            Some(ip) if !is_local(ip) => self.is_within_rate(network(ip), now),
            _ => true,
        }
    }

    fn is_within_rate(&mut self, source: IpAddr, now: Time) -> bool {
        let second = now.as_millis() / 1000;
        if self.second != second {
            self.second = second;
            self.sent.clear();
        }
        if self.sent.len() >= limits::UDP_SOURCES && !self.sent.contains_key(&source) {
            return false;
        }
        let sent = self.sent.entry(source).or_default();
        *sent += 1;
        *sent <= limits::UDP_REPLIES_PER_SECOND
    }
}

fn is_local(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// What one sender can forge its way around in: a whole /64 of IPv6 is one source.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => std::net::Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn peer(text: &str) -> Peer {
        text.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn no_service_port_and_no_group_is_answered() {
        let mut guard = Guard::new(vec![10007, 10013]);
        let now = Time::START;
        assert!(guard.allows(&peer("127.0.0.1:40000"), true, now));
        assert!(!guard.allows(&peer("127.0.0.1:7"), true, now), "another echo service");
        assert!(!guard.allows(&peer("127.0.0.1:1023"), true, now));
        assert!(!guard.allows(&peer("127.0.0.1:10013"), true, now), "ourselves");
        assert!(!guard.allows(&peer("127.0.0.1:40000"), false, now), "sent to a broadcast address");
    }

    #[test]
    fn a_stranger_gets_a_bounded_number_of_replies_a_second() {
        let mut guard = Guard::new(vec![]);
        let allowed = |guard: &mut Guard, from: &str, ms| {
            (0..500).filter(|_| guard.allows(&peer(from), true, Time::from_millis(ms))).count()
        };
        let limit = limits::UDP_REPLIES_PER_SECOND as usize;
        assert_eq!(allowed(&mut guard, "192.0.2.1:4000", 10), limit);
        assert_eq!(allowed(&mut guard, "192.0.2.1:4001", 999), 0, "another port is the same source");
        assert_eq!(allowed(&mut guard, "192.0.2.2:4000", 999), limit, "another source has its own share");
        assert_eq!(allowed(&mut guard, "192.0.2.1:4000", 1000), limit, "the next second");
        assert_eq!(allowed(&mut guard, "[2001:db8::1]:4000", 1000), limit);
        assert_eq!(allowed(&mut guard, "[2001:db8::2]:4000", 1000), 0, "the same /64");
        assert_eq!(allowed(&mut guard, "127.0.0.1:4000", 1000), 500, "this machine is not limited");
    }

    #[test]
    fn the_table_of_sources_is_bounded() {
        let mut guard = Guard::new(vec![]);
        for n in 0..20_000u32 {
            let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
            guard.allows(&SocketAddr::from((ip, 4000)).into(), true, Time::START);
        }
        assert_eq!(guard.sent.len(), limits::UDP_SOURCES);
    }
}
