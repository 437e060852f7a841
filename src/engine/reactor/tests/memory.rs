//! What connections hold in memory, and who gives way, on the reactor.

use super::*;
use crate::engine::ledger::Ledger;
use crate::protocol::Why;

fn bounded(protocol: &str, most: usize) -> (Reactor<Sim>, Sim) {
    let (mut reactor, sim) = reactor(protocol);
    reactor.ledger = Ledger::new(Some(most));
    (reactor, sim)
}

impl Reactor<Sim> {
    /// What is held by the ledger, and what really is.
    pub(super) fn held(&mut self) -> (usize, usize) {
        let really = self.slots.iter_mut().map(|(_, slot)| slot.conn.holds()).sum();
        let line = self.ledger.lines().next().unwrap();
        (line.split(' ').nth(1).unwrap().parse().unwrap(), really)
    }
}

#[test]
fn an_echo_that_is_taken_has_no_account() {
    let (mut reactor, sim) = reactor("echo");
    let wire = sim.connect(WIDE);
    for _ in 0..10 {
        sim.send(wire, b"hello");
        reactor.settle_down();
        assert_eq!(reactor.held(), (0, 0));
    }
}

#[test]
fn the_accounts_are_right_whatever_happens() {
    let (mut reactor, sim) = reactor("echo");
    let wires: Vec<usize> = (0..10).map(|n| sim.connect(n * 1000)).collect();
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..2000 {
        let wire = wires[rng.usize(..wires.len())];
        match rng.u8(..10) {
            0..5 => sim.send(wire, &vec![b'x'; rng.usize(1..40_000)]),
            5..9 => sim.make_room(wire, rng.usize(1..60_000)),
            _ if rng.u8(..20) == 0 => sim.reset(wire),
            _ => {}
        }
        reactor.settle_down();
        let (noted, really) = reactor.held();
        assert_eq!(noted, really);
    }
    for wire in wires {
        sim.make_room(wire, WIDE);
        sim.finish(wire);
    }
    reactor.settle_down();
    assert_eq!((reactor.held(), reactor.slots.len()), ((0, 0), 0));
}

#[test]
fn who_takes_nothing_for_long_gives_way_and_who_reads_on_does_not() {
    let (mut reactor, sim) = bounded("chargen", 4 << 20);
    let reads = sim.connect(20_000);
    let mut stuck = Vec::new();
    for _ in 0..100 {
        stuck.push(sim.connect(1000));
        reactor.settle_down();
        for _ in 0..5 {
            reactor.wait(&sim, 100);
            sim.make_room(reads, 20_000);
            reactor.settle_down();
        }
        let (noted, really) = reactor.held();
        assert_eq!(noted, really);
        assert!(noted <= 4 << 20, "{noted}");
    }
    let closed = |wire: &usize| sim.world().wires[*wire].closed;
    assert!(!closed(&reads));
    let gone = stuck.iter().filter(|wire| closed(wire)).count();
    assert!(gone >= 40, "{gone}");
    // Those who waited longest went first.
    assert!(stuck[..gone].iter().all(closed), "{gone}");
    let lines: Vec<String> = reactor.ledger.lines().collect();
    assert!(lines[0].contains(&format!("{gone} gave way")), "{lines:?}");
    assert!(lines[1].contains("127.0.0.1:40000 of chargen, which held "), "{lines:?}");
    assert_eq!(reactor.context.shared.observer.to_string().matches("101 connections").count(), 1);
}

#[test]
fn input_that_nobody_takes_counts_as_well() {
    let (mut reactor, sim) = bounded("modify", 4 << 20);
    let lines: Vec<usize> = (0..200).map(|_| sim.connect(WIDE)).collect();
    for wire in &lines {
        // A line first: then an end is waited for.
        sim.send(*wire, b"x\n");
        sim.send(*wire, &vec![b'x'; 60_000]);
        reactor.settle_down();
        reactor.wait(&sim, 10);
    }
    let (noted, really) = reactor.held();
    assert_eq!(noted, really);
    assert!(noted <= 4 << 20, "{noted}");
    assert!(sim.world().wires[lines[0]].closed && !sim.world().wires[lines[199]].closed);
    assert_eq!(Why::GaveWay.words(), "gave way");
}
