//! Chat rooms on the reactor.

use super::*;
use crate::peer::Peer;

#[test]
fn all_that_is_said_in_a_turn_leaves_in_one_write_per_member() {
    let (mut reactor, sim) = reactor("chat");
    let wires: Vec<usize> = (0..5).map(|_| sim.connect(WIDE)).collect();
    reactor.wait(&sim, 500);
    let before: Vec<usize> = sim.world().wires.iter().map(|wire| wire.writes).collect();
    sim.send(wires[0], b"one\ntwo\n");
    sim.send(wires[1], b"three\n");
    reactor.settle_down();
    for wire in &wires[2..] {
        assert!(sim.text(*wire).ends_with("guest1: one\nguest1: two\nguest2: three\n"));
        assert_eq!(sim.world().wires[*wire].writes - before[*wire], 1);
    }
    assert!(sim.text(wires[0]).ends_with("joined\nguest2: three\n"));
}

#[test]
fn a_member_that_does_not_read_hears_the_rest_when_it_does() {
    let (mut reactor, sim) = reactor("chat");
    let (slow, talker) = (sim.connect(10), sim.connect(WIDE));
    reactor.settle_down();
    for n in 0..100_000 {
        sim.send(talker, format!("line number {n}\n").as_bytes());
        if n % 1000 == 0 {
            reactor.settle_down();
        }
    }
    reactor.settle_down();
    sim.make_room(slow, WIDE / 2);
    reactor.settle_down();
    let heard = sim.text(slow);
    assert!(heard.contains("* you missed "), "it fell off the log's tail and was told");
    assert!(heard.ends_with("guest2: line number 99999\n"), "{}", &heard[heard.len() - 100..]);
}

#[test]
fn members_that_do_not_read_and_others_that_come_and_go_starve_nobody() {
    let (mut reactor, sim) = reactor("chat");
    let stalled: Vec<usize> = (0..limits::FEED_PER_TURN + 100).map(|_| sim.connect(0)).collect();
    reactor.settle_down();
    let (listener, talker) = (sim.connect(WIDE), sim.connect(WIDE));
    reactor.wait(&sim, 2000);
    let before = sim.text(listener).len();
    for n in 0..40 {
        sim.send(talker, format!("line {n}\n").as_bytes());
        sim.finish(sim.connect(WIDE));
        reactor.context.net.poll(&mut reactor.ready, Some(Duration::ZERO)).unwrap();
        reactor.turn().unwrap();
    }
    let lines = sim.text(listener).get(before..).unwrap().lines().count();
    assert!(lines >= 30, "{lines} of 40 heard beside {} who do not read", stalled.len());
}

#[test]
fn a_burst_of_lines_reaches_all_who_read() {
    let (mut reactor, sim) = reactor("chat");
    let (talker, listener) = (sim.connect(WIDE), sim.connect(WIDE));
    reactor.settle_down();
    let lines: Vec<String> = (0..100_000).map(|n| format!("{n}\n")).collect();
    sim.send(talker, lines.concat().as_bytes());
    reactor.settle_down();
    let heard = sim.text(listener);
    assert!(!heard.contains("you missed"), "{} lines came", heard.lines().count());
    assert_eq!(heard.lines().filter(|line| line.contains(": ")).count(), 100_000);
}

#[test]
fn commands_that_look_at_every_member_are_served_one_a_turn() {
    let (mut reactor, sim) = reactor("chat");
    let (talker, listener) = (sim.connect(WIDE), sim.connect(WIDE));
    reactor.settle_down();
    sim.send(listener, b"/nick ben\n");
    reactor.settle_down();
    sim.send(talker, &[&b"/nick ben\n".repeat(1000)[..], b"done\n"].concat());
    reactor.context.net.poll(&mut reactor.ready, Some(Duration::ZERO)).unwrap();
    reactor.turn().unwrap();
    let replies = sim.text(talker).lines().filter(|line| line.contains("is taken")).count();
    assert!(replies <= 2, "{replies} in one turn");
    reactor.settle_down();
    assert_eq!(sim.text(talker).lines().filter(|line| line.contains("is taken")).count(), 1000);
    assert!(sim.text(listener).ends_with("guest1: done\n"));
}

#[test]
fn who_leaves_in_the_middle_of_a_line_still_gets_the_rest_of_it() {
    for leave in ["quit\n", ""] {
        let (mut reactor, sim) = reactor("chat");
        let (slow, talker) = (sim.connect(5 + "* guest2 joined\n".len()), sim.connect(WIDE));
        reactor.settle_down();
        sim.send(talker, b"a whole line\n");
        reactor.settle_down();
        assert!(sim.text(slow).ends_with("\nguest"), "{}", sim.text(slow));
        sim.send(slow, leave.as_bytes());
        if leave.is_empty() {
            sim.finish(slow);
        }
        reactor.settle_down();
        sim.make_room(slow, WIDE / 2);
        reactor.settle_down();
        assert!(sim.text(slow).ends_with("guest2: a whole line\n"), "{}", sim.text(slow));
    }
}

#[test]
fn one_who_sends_a_request_of_http_is_never_heard_of() {
    let (mut reactor, sim) = reactor("chat");
    let listener = sim.connect(WIDE);
    reactor.wait(&sim, 500);
    let (browser, silent) = (sim.connect(WIDE), sim.connect(WIDE));
    sim.send(browser, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.finish(silent);
    reactor.wait(&sim, 5000);
    assert!(sim.text(browser).starts_with("HTTP/1.1 400 "));
    assert_eq!(sim.text(listener), "");
    let silent = sim.connect(WIDE);
    reactor.wait(&sim, 200);
    assert_eq!(sim.text(listener), "");
    sim.send(listener, b"heard at once\n");
    reactor.settle_down();
    assert_eq!(sim.text(silent), "guest1: heard at once\n", "before the others know that it is there");
    reactor.wait(&sim, 200);
    assert_eq!(sim.text(listener), "* guest4 joined\n");
}

#[test]
fn the_rooms_wake_the_loop_when_they_have_to_and_only_then() {
    let (mut reactor, sim) = reactor("chat");
    let wires: Vec<usize> = (0..100).map(|_| sim.connect(WIDE)).collect();
    reactor.settle_down();
    let wake_ups = reactor.wait(&sim, 10_000);
    let heard = sim.text(wires[0]);
    assert!(heard.ends_with(" and 92 others joined\n") && heard.lines().count() == 1, "{heard}");
    assert!((2..=4).contains(&wake_ups), "{wake_ups}: announced, looked at, told");
    assert_eq!(reactor.may_sleep(), None);
}

#[test]
fn one_who_reads_nothing_is_given_up_after_a_while() {
    let (mut reactor, sim) = reactor("chat");
    let (stalled, talker) = (sim.connect(10), sim.connect(WIDE));
    reactor.wait(&sim, 500);
    sim.send(talker, b"a line that does not fit\n/who\n");
    reactor.wait(&sim, 299_000);
    assert!(!sim.world().wires[stalled].closed);
    reactor.wait(&sim, 2000);
    assert!(sim.world().wires[stalled].closed);
    assert!(sim.text(talker).ends_with("* guest1 left\n"));
    assert_eq!(reactor.context.shared.rooms().expelled(), 1);
    assert_eq!(reactor.may_sleep(), None);
}

#[test]
fn one_from_afar_who_is_too_fast_is_slowed_down_and_told() {
    let (mut reactor, sim) = reactor("chat");
    let (listener, talker) =
        (sim.connect(WIDE), sim.connect_from(Peer::V4([192, 0, 2, 1].into(), 5000), WIDE));
    reactor.wait(&sim, 500);
    let lines: Vec<String> = (0..100).map(|n| format!("{n}\n")).collect();
    sim.send(talker, lines.concat().as_bytes());
    reactor.settle_down();
    let heard = |sim: &Sim| sim.text(listener).lines().filter(|line| line.contains(": ")).count();
    assert_eq!(heard(&sim), 50);
    assert_eq!(sim.text(talker).matches("* too fast: ").count(), 1, "{}", sim.text(talker));
    let wake_ups = reactor.wait(&sim, 1000);
    assert_eq!(heard(&sim), 60);
    assert!(wake_ups <= 12, "{wake_ups}");
    reactor.wait(&sim, 10_000);
    assert_eq!(heard(&sim), 100, "late, and all of them");
    assert_eq!(sim.text(talker).matches("* too fast: ").count(), 1);
}

/// The turn that a line of one takes to ten thousand is bounded, and an echo is answered in it.
#[test]
fn ten_thousand_members_of_whom_a_hundred_never_read() {
    const LINES: usize = 20;
    let (mut reactor, sim) = reactor_with("chat", 20_000);
    let talker = sim.connect(WIDE);
    let wires: Vec<usize> = (0..10_000).map(|n| sim.connect(if n % 100 == 0 { 0 } else { WIDE })).collect();
    reactor.wait(&sim, 3000);
    let writes = |sim: &Sim| sim.world().wires.iter().map(|wire| wire.writes).sum::<usize>();
    for n in 0..LINES {
        sim.send(talker, format!("line {n}\n/rooms\n").as_bytes());
        let before = writes(&sim);
        reactor.context.net.poll(&mut reactor.ready, Some(Duration::ZERO)).unwrap();
        reactor.turn().unwrap();
        let written = writes(&sim) - before;
        assert!(written <= limits::FEED_PER_TURN + 2, "{written} writes in one turn");
        assert!(sim.text(talker).matches("* rooms: ").count() > 0, "somebody else's answer comes meanwhile");
    }
    reactor.settle_down();
    let expected: Vec<String> = (0..LINES).map(|n| format!("guest1: line {n}")).collect();
    for (n, wire) in wires.iter().enumerate() {
        let heard = sim.text(*wire);
        let said: Vec<&str> = heard.lines().filter(|line| line.contains(": ")).collect();
        assert!(if n % 100 == 0 { heard.is_empty() } else { said == expected }, "{n}: {heard}");
    }
}

#[test]
fn who_only_listens_is_at_rest_and_is_understood_as_before() {
    let (mut reactor, sim) = reactor("chat");
    let (talker, listener) = (sim.connect(WIDE), sim.connect(WIDE));
    let resting =
        |reactor: &Reactor<Sim>| reactor.slots.iter().filter(|(_, slot)| slot.conn.is_at_rest()).count();
    reactor.settle_down();
    assert_eq!(resting(&reactor), 0, "it may still be a browser");
    reactor.wait(&sim, 1000);
    assert_eq!(resting(&reactor), 2);
    sim.send(talker, b"one\r");
    reactor.settle_down();
    assert_eq!(resting(&reactor), 1, "the end of the line is waited for");
    reactor.wait(&sim, 1000);
    sim.send(talker, b"\nha");
    reactor.settle_down();
    sim.send(talker, b"lf\n");
    reactor.settle_down();
    assert_eq!(resting(&reactor), 2);
    assert!(sim.text(listener).ends_with("guest1: one\nguest1: half\n"), "{}", sim.text(listener));
    sim.finish(talker);
    reactor.wait(&sim, 1000);
    assert!(sim.text(listener).ends_with("* guest1 left\n"));
}
