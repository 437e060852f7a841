//! Who is let in, and how long a peer is waited for, on the reactor.

use super::*;
use crate::access::Policy;

fn limited(protocol: &str, limits: &[(&str, toml::Value)]) -> (Reactor<Sim>, Sim) {
    let mut policy = Policy::default();
    for (key, value) in limits {
        policy.set(key, value.clone()).unwrap();
    }
    let (mut reactor, sim) = reactor(protocol);
    reactor.context.services[0].policy = policy;
    reactor.doors = Doors::new(&reactor.context.services);
    (reactor, sim)
}

fn text(value: &str) -> toml::Value {
    toml::Value::String(value.to_owned())
}

fn number(value: i64) -> toml::Value {
    toml::Value::Integer(value)
}

fn is_closed(sim: &Sim, wire: usize) -> bool {
    sim.world().wires[wire].closed
}

#[test]
fn one_too_many_is_told_so_and_there_is_room_again_when_somebody_leaves() {
    let (mut reactor, sim) = limited("modify", &[("instances", number(1))]);
    let (first, second) = (sim.connect(WIDE), sim.connect(WIDE));
    // It has sent something already, which must not destroy what it is told.
    sim.send(second, b"hello\n");
    reactor.settle_down();
    let told = "error: this service has as many clients as it takes; try again later\r\n";
    assert_eq!(sim.text(second), told);
    assert!(!sim.world().wires[second].destroyed);
    reactor.wait(&sim, 3000);
    assert!(is_closed(&sim, second) && !is_closed(&sim, first));
    sim.finish(first);
    reactor.settle_down();
    let third = sim.connect(WIDE);
    sim.send(third, b"hello\n");
    reactor.settle_down();
    assert!(!sim.text(third).starts_with("error") && !sim.text(third).is_empty(), "{}", sim.text(third));
    assert_eq!(reactor.slots.len(), 1);
}

#[test]
fn a_protocol_without_words_closes_at_once() {
    let (mut reactor, sim) = limited("echo", &[("instances", number(0))]);
    let wire = sim.connect(WIDE);
    reactor.settle_down();
    assert!(is_closed(&sim, wire));
    assert_eq!((sim.text(wire), reactor.slots.len()), (String::new(), 0));
}

#[test]
fn the_refused_take_a_bounded_number_of_slots() {
    let (mut reactor, sim) = limited("modify", &[("instances", number(0))]);
    for _ in 0..limits::REFUSED_AT_ONCE + 50 {
        let wire = sim.connect(WIDE);
        // Who has something unread is waited for, for a moment.
        sim.send(wire, b"x");
    }
    reactor.settle_down();
    assert_eq!(reactor.slots.len(), limits::REFUSED_AT_ONCE);
    reactor.wait(&sim, 3000);
    assert_eq!(reactor.slots.len(), 0);
    let wire = sim.connect(WIDE);
    reactor.settle_down();
    assert!(sim.text(wire).starts_with("error: "));
}

#[test]
fn a_banner_comes_first() {
    let (mut reactor, sim) = limited("hello", &[("banner", text("be kind"))]);
    let wire = sim.connect(WIDE);
    sim.send(wire, b"Hello World\r\n");
    reactor.settle_down();
    assert!(sim.text(wire).starts_with("be kind\r\nHello Yourself"), "{}", sim.text(wire));
}

#[test]
fn datagrams_of_strangers_are_not_answered() {
    let (mut reactor, sim) = limited("echo", &[("only_from", text("10.0.0.0/8"))]);
    reactor.add_datagrams((), 0, None);
    for (said, from) in [("friend", "10.0.0.1:5000"), ("stranger", "11.0.0.1:5000")] {
        sim.world().datagrams.push_back((said.as_bytes().to_vec(), from.parse().unwrap()));
    }
    reactor.settle_down();
    assert_eq!(sim.world().sent_back, [b"friend"]);
    assert_eq!(reactor.doors.lines().next().unwrap().matches("access 1").count(), 1);
}

#[test]
fn the_silent_are_closed_when_their_time_is_up_and_not_before() {
    let (mut reactor, sim) = limited("echo", &[("idle", text("10s")), ("first_byte", text("3s"))]);
    let (silent, speaks) = (sim.connect(WIDE), sim.connect(WIDE));
    sim.send(speaks, b"x");
    reactor.settle_down();
    reactor.wait(&sim, 2999);
    assert!(!is_closed(&sim, silent));
    reactor.wait(&sim, 1);
    assert!(is_closed(&sim, silent) && !is_closed(&sim, speaks));
    reactor.wait(&sim, 6000);
    sim.send(speaks, b"y");
    reactor.settle_down();
    reactor.wait(&sim, 9999);
    assert!(!is_closed(&sim, speaks));
    reactor.wait(&sim, 1);
    assert!(is_closed(&sim, speaks));
}

#[test]
fn who_takes_nothing_of_what_is_owed_is_closed() {
    let (mut reactor, sim) = limited("chargen", &[("progress", text("5s")), ("first_byte", text("1s"))]);
    let (stuck, slow) = (sim.connect(1000), sim.connect(1000));
    reactor.settle_down();
    for _ in 0..20 {
        reactor.wait(&sim, 1000);
        sim.make_room(slow, 300);
        reactor.settle_down();
    }
    assert!(is_closed(&sim, stuck), "it took nothing");
    assert!(!is_closed(&sim, slow), "it took 1500 bytes in 5 s");
    for _ in 0..20 {
        reactor.wait(&sim, 1000);
        sim.make_room(slow, 100);
        reactor.settle_down();
    }
    assert!(is_closed(&sim, slow), "it took 500 bytes in 5 s");
}

#[test]
fn without_limits_nothing_is_armed() {
    let (mut reactor, sim) = limited("echo", &[]);
    sim.connect(WIDE);
    reactor.settle_down();
    assert_eq!(reactor.may_sleep(), None);
}
