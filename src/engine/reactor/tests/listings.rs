//! Listings of large directories, many at once, on the reactor.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::engine::ledger::Ledger;
use crate::limits;

const ENTRIES: usize = 1200;

/// A server of a directory with so many files, and many clients who ask for it.
fn listed(clients: usize, window: usize) -> (TempDir, Reactor<Sim>, Sim, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..ENTRIES {
        fs::write(dir.path().join(format!("file {n:06}")), "").unwrap();
    }
    let root = dir.path().to_str().unwrap().to_owned();
    let (mut reactor, sim) =
        reactor_of("http", [("root".to_owned(), root.into())].into_iter().collect(), 1000);
    let wires: Vec<usize> = (0..clients).map(|_| sim.connect(window)).collect();
    reactor.settle_down();
    for wire in &wires {
        sim.send(*wire, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    }
    (dir, reactor, sim, wires)
}

/// Rows on a wire by now.
fn rows(sim: &Sim, wire: usize) -> usize {
    sim.text(wire).matches("<tr><td><a href=\"file").count()
}

#[test]
fn many_take_no_longer_a_turn_than_a_few_and_get_on_side_by_side() {
    let (_dir, mut reactor, sim, wires) = listed(12, WIDE);
    let (mut before, mut turns) = (vec![0; wires.len()], 0);
    while before.iter().any(|rows| *rows < ENTRIES) {
        let timeout = reactor.may_sleep();
        reactor.context.net.poll(&mut reactor.ready, timeout).unwrap();
        reactor.turn().unwrap();
        let now: Vec<usize> = wires.iter().map(|wire| rows(&sim, *wire)).collect();
        let made: usize = now.iter().sum::<usize>() - before.iter().sum::<usize>();
        assert!(made <= limits::LONG_WORK_PER_TURN, "{made} rows in a turn");
        let (least, most) = (now.iter().min().unwrap(), now.iter().max().unwrap());
        // They do not begin in the same round.
        assert!(most - least <= 4 * limits::LONG_WORK_PART, "{now:?}");
        (before, turns) = (now, turns + 1);
        assert!(turns < 10_000, "{before:?}");
    }
    let least = 2 * ENTRIES * wires.len() / limits::LONG_WORK_PER_TURN;
    assert!((least..2 * least).contains(&turns), "{turns} turns, where {least} would do");
}

#[test]
fn a_request_beside_them_waits_for_no_more_than_a_turn() {
    let (dir, mut reactor, sim, _) = listed(12, WIDE);
    fs::write(dir.path().join("small"), "here").unwrap();
    let other = sim.connect(WIDE);
    for _ in 0..20 {
        reactor.turn().unwrap();
        let timeout = reactor.may_sleep();
        reactor.context.net.poll(&mut reactor.ready, timeout).unwrap();
    }
    sim.send(other, b"GET /small HTTP/1.1\r\nHost: h\r\n\r\n");
    let timeout = reactor.may_sleep();
    assert_eq!(timeout, Some(Duration::ZERO), "the listings are not through");
    reactor.context.net.poll(&mut reactor.ready, timeout).unwrap();
    reactor.turn().unwrap();
    assert!(sim.text(other).ends_with("\r\n\r\nhere"), "{}", sim.text(other));
}

#[test]
fn what_a_listing_holds_for_one_who_reads_nothing_is_counted_and_bounded() {
    const MOST: usize = 1 << 20;
    let (_dir, mut reactor, sim, wires) = listed(20, 1000);
    reactor.ledger = Ledger::new(Some(MOST));
    for _ in 0..5000 {
        let timeout = reactor.may_sleep();
        if timeout != Some(Duration::ZERO) && sim.world().events.is_empty() {
            break;
        }
        reactor.context.net.poll(&mut reactor.ready, timeout).unwrap();
        reactor.turn().unwrap();
        let (noted, really) = reactor.held();
        assert_eq!(noted, really);
        assert!(noted <= MOST, "{noted}");
    }
    let gone = wires.iter().filter(|wire| sim.world().wires[**wire].closed).count();
    // 64 KiB of output for each, and what it has not made into text.
    assert!((5..20).contains(&gone), "{gone}");
    for wire in &wires {
        sim.reset(*wire);
    }
    reactor.settle_down();
    assert_eq!((reactor.held(), reactor.slots.len()), ((0, 0), 0));
}
