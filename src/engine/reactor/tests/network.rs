//! A service that speaks to everybody on a network, on the reactor.

use std::net::SocketAddr;

use super::*;

/// What our own datagrams leave from.
const OWN: u16 = 50_000;
const LIMIT: usize = limits::LAN_PER_SECOND as usize;

fn bridged() -> (Reactor<Sim>, Sim) {
    bridged_from(OWN)
}

fn bridged_from(own_port: u16) -> (Reactor<Sim>, Sim) {
    let (mut reactor, sim) = reactor("chat");
    let row = Row::find("udp-chat").unwrap();
    let options = Options::parse(row.kind, toml::Table::new()).unwrap();
    reactor.context.services.push(Service {
        name: row.name.to_owned(),
        row,
        options,
        policy: crate::access::Policy::default(),
    });
    reactor.add_datagrams((), 1, Some(own_port));
    reactor.settle_down();
    (reactor, sim)
}

impl Sim {
    /// A datagram from somewhere on the network.
    fn network_says(&self, from: &str, text: &[u8]) {
        let mut world = self.world();
        world.datagrams.push_back((text.to_vec(), from.parse().unwrap()));
        let source = Source::Datagrams(0);
        world.events.push(Ready { source, readable: true, writable: false, read_closed: false });
    }

    fn sent_out(&self) -> Vec<String> {
        self.world().sent_out.clone()
    }
}

#[test]
fn what_members_say_goes_out_once_and_does_not_come_back() {
    let (mut reactor, sim) = bridged();
    let (talker, listener) = (sim.connect(WIDE), sim.connect(WIDE));
    reactor.settle_down();
    sim.send(talker, b"/nick ali\nhi\n/me waves\nhi\n");
    reactor.settle_down();
    assert_eq!(sim.sent_out(), ["ali: hi", "** ali waves", "ali: hi"], "what was said, and no notice");
    assert!(sim.world().datagrams.is_empty(), "its copies came, and were taken");
    assert!(sim.text(listener).ends_with("ali: hi\n** ali waves\nali: hi\n"), "{}", sim.text(listener));
    assert!(!sim.text(talker).contains("lan/"));
    // A newcomer that says nothing is waited for a moment.
    reactor.wait(&sim, 1000);
    assert_eq!(reactor.wait(&sim, 10_000), 0, "and nothing more is to be done");
}

#[test]
fn what_comes_from_the_network_is_heard_by_all_and_goes_nowhere() {
    let (mut reactor, sim) = bridged();
    let (one, two) = (sim.connect(WIDE), sim.connect(WIDE));
    reactor.settle_down();
    sim.network_says("192.0.2.9:40000", b"hello\n");
    sim.network_says("192.0.2.9:40000", b"ali: \x1b[2Jhello\nagain");
    sim.network_says("192.0.2.9:40000", b" \r\n");
    sim.network_says("[fe80::9]:40000", b"");
    sim.network_says("[fe80::9]:40000", "héllo".as_bytes());
    reactor.settle_down();
    let heard = "lan/192.0.2.9: hello\nlan/192.0.2.9: ali: [2Jhello again\nlan/fe80::9: héllo\n";
    for wire in [one, two] {
        assert!(sim.text(wire).ends_with(&format!("joined\n{heard}")) || sim.text(wire).ends_with(heard));
    }
    assert!(sim.sent_out().is_empty());
    sim.send(one, b"/who\n");
    reactor.settle_down();
    assert!(sim.text(one).contains("udp-chat"), "members can see that the network hears them");
}

#[test]
fn two_bridges_on_a_network_pass_nothing_on_for_ever() {
    let ports = [50_000, 50_001];
    let mut sides = ports.map(bridged_from);
    let wires = sides.each_ref().map(|(_, sim)| sim.connect(WIDE));
    let mut passed = [0, 0];
    sides[0].1.send(wires[0], b"from a\n");
    sides[1].1.send(wires[1], b"from b\n");
    for _ in 0..50 {
        for (reactor, _) in &mut sides {
            reactor.settle_down();
        }
        for from in [0, 1] {
            let sent = sides[from].1.sent_out();
            for text in &sent[passed[from]..] {
                let address = SocketAddr::from(([192, 0, 2, 1], ports[from])).to_string();
                sides[1 - from].1.network_says(&address, text.as_bytes());
            }
            passed[from] = sent.len();
        }
    }
    assert_eq!(passed, [1, 1]);
    assert_eq!(sides[0].1.sent_out(), ["guest2: from a"]);
    assert!(sides[0].1.text(wires[0]).ends_with("lan/192.0.2.1: guest2: from b\n"));
    assert!(sides[1].1.text(wires[1]).ends_with("lan/192.0.2.1: guest2: from a\n"));
}

#[test]
fn a_burst_leaves_at_a_bounded_rate_and_whole() {
    let (mut reactor, sim) = bridged();
    let talker = sim.connect(WIDE);
    reactor.settle_down();
    let lines = 3 * LIMIT - 50;
    for n in 0..lines {
        sim.send(talker, format!("line {n}\n").as_bytes());
    }
    reactor.settle_down();
    assert_eq!(sim.sent_out().len(), LIMIT);
    let wake_ups = reactor.wait(&sim, 1000);
    assert_eq!(sim.sent_out().len(), 2 * LIMIT);
    assert!(wake_ups <= 2, "it sleeps until the next second: {wake_ups} wake-ups");
    reactor.wait(&sim, 1000);
    let sent = sim.sent_out();
    assert_eq!(sent.len(), lines);
    assert!(sent.iter().enumerate().all(|(n, text)| text.ends_with(&format!(": line {n}"))));
    reactor.settle_down();
    assert_eq!(reactor.wait(&sim, 10_000), 0);
}

#[test]
fn a_flood_from_the_network_is_taken_in_part_and_disturbs_nobody() {
    let (mut reactor, sim) = bridged();
    let listener = sim.connect(WIDE);
    reactor.settle_down();
    for n in 0..5000 {
        sim.network_says(&format!("192.0.2.{}:40000", n % 250), format!("spam {n}").as_bytes());
    }
    reactor.settle_down();
    assert_eq!(sim.text(listener).matches("spam").count(), LIMIT);
    assert!(sim.sent_out().is_empty());
}

#[test]
fn a_room_is_joined_to_one_network_only() {
    let (mut reactor, sim) = bridged();
    reactor.add_datagrams((), 1, Some(OWN + 1));
    let talker = sim.connect(WIDE);
    reactor.settle_down();
    sim.send(talker, b"hi\n");
    reactor.settle_down();
    assert_eq!(sim.sent_out().len(), 1);
}
