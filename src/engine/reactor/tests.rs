use proptest::prelude::*;
use rustix::io::Errno;

use super::super::net::Ready;
use super::*;
use crate::protocol::{Options, Row};
use crate::shared::tests::shared;

mod faults_on_the_wire;
mod found;
mod jobs;
mod limits_of_services;
mod listings;
mod memory;
mod network;
mod rooms;
mod sim;
mod simulation;

use sim::Sim;

const WIDE: usize = usize::MAX / 2;

fn reactor_with(protocol: &str, capacity: usize) -> (Reactor<Sim>, Sim) {
    reactor_of(protocol, toml::Table::new(), capacity)
}

fn reactor_of(protocol: &str, options: toml::Table, capacity: usize) -> (Reactor<Sim>, Sim) {
    let row = Row::find(protocol).unwrap();
    let options = Options::parse(row.kind, options).unwrap();
    let service =
        Service { name: protocol.to_owned(), row, options, policy: crate::access::Policy::default() };
    let sim = Sim::default();
    let settings = Settings {
        services: vec![service],
        shared: Arc::new(shared()),
        capacity,
        grace: Duration::from_secs(5),
        reload: Reload::default(),
        max_buffers: None,
    };
    let mut reactor = Reactor::new(sim.clone(), settings, Guard::new(vec![]));
    reactor.add_listener((), 0);
    (reactor, sim)
}

fn reactor(protocol: &str) -> (Reactor<Sim>, Sim) {
    reactor_with(protocol, 1000)
}

impl Reactor<Sim> {
    /// Turns until there is nothing to do but wait.
    fn settle_down(&mut self) {
        for _ in 0..100_000 {
            let idle = self.context.net.world().events.is_empty();
            if self.is_drained() || (idle && self.may_sleep() != Some(Duration::ZERO)) {
                return;
            }
            let timeout = self.may_sleep();
            self.context.net.poll(&mut self.ready, timeout).unwrap();
            self.turn().unwrap();
        }
        panic!("the reactor spins");
    }

    /// Lets time pass, waking whenever the reactor asks to be woken; returns how often it was.
    fn wait(&mut self, sim: &Sim, ms: u64) -> usize {
        let until = sim.world().now + ms;
        let mut wake_ups = 0;
        self.settle_down();
        while let (false, Some(sleep)) = (self.is_drained(), self.may_sleep()) {
            let ms = u64::try_from(sleep.as_millis()).unwrap();
            if sim.world().now + ms > until {
                break;
            }
            sim.world().now += ms;
            self.turn().unwrap();
            wake_ups += 1;
            self.settle_down();
        }
        sim.world().now = until;
        self.turn().unwrap();
        wake_ups
    }
}

#[test]
fn an_echo_costs_one_read_and_one_write() {
    let (mut reactor, sim) = reactor("echo");
    let wire = sim.connect(WIDE);
    reactor.settle_down();
    for _ in 0..10 {
        sim.send(wire, b"hello");
        reactor.settle_down();
    }
    assert_eq!(sim.text(wire), "hello".repeat(10));
    let wire = &sim.world().wires[wire];
    // And one read when it was accepted: the client might have spoken already.
    assert_eq!((wire.reads, wire.writes), (10 + 1, 10));
}

#[test]
fn what_has_come_before_accepting_is_answered_with_it() {
    let (mut reactor, sim) = reactor("echo");
    let wire = sim.connect(WIDE);
    sim.send(wire, b"hello");
    reactor.turn().unwrap();
    assert_eq!(sim.text(wire), "hello");
    let wire = &sim.world().wires[wire];
    assert_eq!((wire.reads, wire.writes), (1, 1));
}

#[test]
fn nobody_is_woken_while_nothing_is_due() {
    let (mut reactor, sim) = reactor("echo");
    for _ in 0..5 {
        let wire = sim.connect(WIDE);
        sim.send(wire, b"x");
    }
    reactor.settle_down();
    assert_eq!(reactor.may_sleep(), None);
}

#[test]
fn what_a_slow_reader_does_not_take_stops_the_reading() {
    let (mut reactor, sim) = reactor("echo");
    let (slow, busy) = (sim.connect(1000), sim.connect(WIDE));
    reactor.settle_down();
    let big: Vec<u8> = (0..5_000_000u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    sim.send(slow, &big);
    sim.finish(slow);
    reactor.settle_down();
    assert!(sim.world().wires[slow].reads < 10, "it is not read while it does not read");
    sim.send(busy, b"served meanwhile");
    reactor.settle_down();
    assert_eq!(sim.text(busy), "served meanwhile");
    for _ in 0..10_000 {
        sim.make_room(slow, 1234);
        reactor.settle_down();
    }
    let wire = &sim.world().wires[slow];
    assert!(wire.outbox == big, "{} of {} bytes came back", wire.outbox.len(), big.len());
    assert!(wire.closed, "and after the half-close and the last byte, it is over");
}

#[test]
fn the_end_that_comes_with_the_last_bytes_is_not_forgotten() {
    let (mut reactor, sim) = reactor("echo");
    let wire = sim.connect(WIDE);
    reactor.settle_down();
    // One edge for both: the read is short, and there will be no other event.
    sim.send(wire, b"last words");
    sim.world().events.clear();
    sim.finish(wire);
    reactor.settle_down();
    assert_eq!(sim.text(wire), "last words");
    assert!(sim.world().wires[wire].closed);
}

#[test]
fn one_who_never_stops_sending_does_not_starve_the_others() {
    let (mut reactor, sim) = reactor("discard");
    let greedy = sim.connect(WIDE);
    reactor.settle_down();
    sim.send(greedy, &vec![b'x'; 40 * limits::READ_PER_TURN]);
    let modest = sim.connect(WIDE);
    let mut turns = 0;
    while sim.world().wires[modest].id.is_none() {
        let timeout = reactor.may_sleep();
        reactor.context.net.poll(&mut reactor.ready, timeout).unwrap();
        reactor.turn().unwrap();
        turns += 1;
    }
    assert!(turns <= 2, "{turns} turns until the second was accepted");
    let reads = sim.world().wires[greedy].reads;
    assert!(reads <= 2 * (limits::READ_PER_TURN / limits::READ_BUFFER), "{reads} reads meanwhile");
    reactor.settle_down();
}

#[test]
fn an_event_for_the_former_user_of_a_slot_misses() {
    let (mut reactor, sim) = reactor("echo");
    let first = sim.connect(WIDE);
    reactor.settle_down();
    let stale = sim.world().wires[first].id.unwrap();
    sim.finish(first);
    reactor.settle_down();
    let second = sim.connect(WIDE);
    reactor.settle_down();
    let fresh = sim.world().wires[second].id.unwrap();
    assert_eq!(stale.key, fresh.key, "the slot is used again");
    let reads = sim.world().wires[second].reads;
    sim.world().events.push(Ready {
        source: Source::Conn(stale),
        readable: true,
        writable: true,
        read_closed: true,
    });
    reactor.settle_down();
    assert_eq!(sim.world().wires[second].reads, reads);
    assert!(!sim.world().wires[second].closed);
}

#[test]
fn when_descriptors_run_out_accepting_pauses_without_spinning() {
    let (mut reactor, sim) = reactor("echo");
    let first = sim.connect(WIDE);
    reactor.settle_down();
    sim.world().accept_error = Some(Errno::MFILE);
    let waiting = sim.connect(WIDE);
    reactor.settle_down();
    let accepts = sim.world().accepts;
    assert_eq!(reactor.may_sleep(), Some(limits::ACCEPT_PAUSE));
    let wake_ups = reactor.wait(&sim, 10_000);
    assert!(wake_ups <= 10, "{wake_ups} wake-ups in 10 s");
    assert!(sim.world().accepts - accepts <= 10);
    sim.world().accept_error = None;
    sim.finish(first);
    reactor.settle_down();
    assert!(sim.world().wires[waiting].id.is_some(), "served as soon as one left");
}

#[test]
fn beyond_its_capacity_it_lets_nobody_in_until_one_leaves() {
    let (mut reactor, sim) = reactor_with("echo", 2);
    let wires: Vec<usize> = (0..3).map(|_| sim.connect(WIDE)).collect();
    reactor.settle_down();
    assert_eq!(reactor.slots.len(), 2);
    sim.finish(wires[0]);
    reactor.settle_down();
    assert!(sim.world().wires[wires[2]].id.is_some());
}

#[test]
fn a_reply_to_bad_input_outlives_what_was_not_read() {
    let (mut reactor, sim) = reactor("modify");
    let wire = sim.connect(WIDE);
    reactor.settle_down();
    sim.send(wire, &vec![b'x'; usize::from(limits::LINGER_KIB) * 1024 / 2]);
    reactor.settle_down();
    assert!(sim.text(wire).starts_with("error: a line may have"), "{}", sim.text(wire));
    {
        let world = sim.world();
        assert!(world.wires[wire].shut && !world.wires[wire].closed, "it lingers");
    }
    reactor.wait(&sim, 1900);
    assert!(!sim.world().wires[wire].closed);
    reactor.wait(&sim, 200);
    assert!(sim.world().wires[wire].closed, "but not for ever");
}

#[test]
fn lingering_has_a_bound_in_bytes_too() {
    let (mut reactor, sim) = reactor("modify");
    let wire = sim.connect(WIDE);
    sim.send(wire, &vec![b'x'; usize::from(limits::LINGER_KIB) * 1024 * 2]);
    reactor.settle_down();
    assert!(sim.world().wires[wire].closed);
}

#[test]
fn a_quiet_client_of_hello_is_told_good_bye_in_time() {
    let (mut reactor, sim) = reactor("hello");
    let wire = sim.connect(WIDE);
    reactor.settle_down();
    sim.send(wire, b"Hello World");
    reactor.settle_down();
    assert_eq!(sim.text(wire), "Hello Yourself");
    let wake_ups = reactor.wait(&sim, 4_999);
    assert_eq!((sim.text(wire).as_str(), wake_ups), ("Hello Yourself", 0));
    reactor.wait(&sim, 2);
    assert_eq!(sim.text(wire), "Hello YourselfGoodbye");
    assert!(sim.world().wires[wire].closed);
}

#[test]
fn an_unterminated_message_is_answered_after_the_pause() {
    let (mut reactor, sim) = reactor("reqtime");
    let wire = sim.connect(WIDE);
    reactor.settle_down();
    sim.send(wire, b"what");
    reactor.settle_down();
    assert_eq!(sim.text(wire), "");
    reactor.wait(&sim, 26);
    assert_eq!(sim.text(wire), "error: unknown request \"what\"; send reqtime\n");
}

#[test]
fn a_drain_finishes_what_is_owed_and_does_not_wait_for_the_silent() {
    let (mut reactor, sim) = reactor("echo");
    let (silent, slow) = (sim.connect(WIDE), sim.connect(3));
    reactor.settle_down();
    sim.send(slow, b"owed to it");
    reactor.settle_down();
    sim.drain();
    reactor.wait(&sim, 100);
    assert!(sim.world().wires[silent].closed);
    assert!(!sim.world().wires[slow].closed && !reactor.is_drained());
    sim.make_room(slow, 100);
    reactor.settle_down();
    assert_eq!(sim.text(slow), "owed to it");
    assert!(reactor.is_drained());
}

#[test]
fn a_drain_does_not_reset_who_is_still_sending() {
    let (mut reactor, sim) = reactor("echo");
    let wire = sim.connect(WIDE);
    reactor.settle_down();
    reactor.drain().unwrap();
    sim.send(wire, b"on its way");
    reactor.wait(&sim, 200);
    sim.send(wire, &vec![b'x'; 2 * 1024 * usize::from(limits::LINGER_KIB)]);
    reactor.wait(&sim, 1500);
    assert_eq!(sim.text(wire), "on its way");
    assert!(sim.world().wires[wire].shut && !sim.world().wires[wire].closed);
    sim.finish(wire);
    reactor.settle_down();
    assert!(sim.world().wires[wire].closed && reactor.is_drained());
}

#[test]
fn a_drain_ends_with_the_grace_whatever_a_client_does() {
    let (mut reactor, sim) = reactor("chargen");
    sim.connect(10);
    reactor.settle_down();
    reactor.drain().unwrap();
    reactor.wait(&sim, 4_900);
    assert!(!reactor.is_drained());
    reactor.wait(&sim, 200);
    assert!(reactor.is_drained());
}

#[test]
fn who_speaks_in_time_but_reads_slowly_is_not_told_good_bye() {
    let (mut reactor, sim) = reactor("hello");
    let wire = sim.connect(100);
    reactor.settle_down();
    reactor.wait(&sim, 4_900);
    sim.send(wire, &b"Hello\n".repeat(10_000));
    reactor.settle_down();
    reactor.wait(&sim, 200);
    sim.make_room(wire, WIDE / 2);
    reactor.settle_down();
    assert!(!sim.text(wire).contains("Goodbye"), "it was silent for 0.2 s only");
    assert_eq!(sim.text(wire), "Hello Yourself\n".repeat(10_000));
}

#[test]
fn lines_that_wait_for_room_are_not_dropped_by_the_pause_before_them() {
    let (mut reactor, sim) = reactor("modify");
    let wire = sim.connect(100);
    reactor.settle_down();
    // The pause of this tail begins, then lines come whose answers the peer is slow to read.
    sim.send(wire, b"a");
    reactor.settle_down();
    sim.send(wire, &b"b\n".repeat(50_000));
    reactor.settle_down();
    reactor.wait(&sim, 100);
    sim.make_room(wire, WIDE / 2);
    reactor.settle_down();
    assert_eq!(sim.text(wire).lines().count(), 50_000);
    assert!(!sim.world().wires[wire].shut);
}

#[test]
fn a_good_bye_outlives_input_that_no_event_has_told_of() {
    let (mut reactor, sim) = reactor("hello");
    let wire = sim.connect(WIDE);
    sim.send(wire, b"Hello World");
    reactor.settle_down();
    // It comes in the very moment in which the server has waited long enough.
    sim.send(wire, b"Hello again");
    sim.world().events.clear();
    reactor.wait(&sim, 5_001);
    assert!(sim.text(wire).ends_with("Goodbye"), "{}", sim.text(wire));
    reactor.wait(&sim, 2_001);
    let world = sim.world();
    assert!(world.wires[wire].closed && !world.wires[wire].destroyed);
}

#[test]
fn a_refusal_does_not_land_inside_a_line_of_the_room() {
    let (mut reactor, sim) = reactor("chat");
    let (slow, talker) = (sim.connect(10), sim.connect(WIDE));
    reactor.settle_down();
    sim.send(talker, b"hello\n");
    reactor.settle_down();
    sim.send(slow, &[b'x'; 5000]);
    reactor.settle_down();
    sim.make_room(slow, 1000);
    reactor.settle_down();
    assert!(sim.text(slow).starts_with("* guest2 joined\nerror: "), "{}", sim.text(slow));
}

#[test]
fn lines_that_wait_for_their_turn_are_not_forgotten_when_a_deadline_passes() {
    let (mut reactor, sim) = reactor("modify");
    let wire = sim.connect(WIDE);
    reactor.settle_down();
    sim.send(wire, b"a");
    reactor.settle_down();
    sim.send(wire, &b"b\n".repeat(30_000));
    for _ in 0..10 {
        sim.world().now += 10;
        reactor.context.net.poll(&mut reactor.ready, Some(Duration::ZERO)).unwrap();
        reactor.turn().unwrap();
    }
    reactor.settle_down();
    assert_eq!(sim.text(wire).lines().count(), 30_000);
}

/// What a peer does next.
#[derive(Debug, Clone)]
enum Step {
    Send(usize, Vec<u8>),
    MakeRoom(usize, usize),
    Finish(usize),
    Reset(usize),
    Turn,
}

fn step() -> impl Strategy<Value = Step> {
    let wire = 0..4usize;
    prop_oneof![
        4 => (wire.clone(), prop::collection::vec(any::<u8>(), 1..3000)).prop_map(|(w, b)| Step::Send(w, b)),
        4 => (wire.clone(), 1..4000usize).prop_map(|(w, n)| Step::MakeRoom(w, n)),
        1 => wire.clone().prop_map(Step::Finish),
        1 => wire.prop_map(Step::Reset),
        3 => Just(Step::Turn),
    ]
}

proptest! {
    /// Whatever peers do, what comes back is what was sent, in order; and who half-closed and reads gets
    /// all of it.
    #[test]
    fn an_echo_never_loses_adds_or_mixes_a_byte(steps in prop::collection::vec(step(), 1..120)) {
        let (mut reactor, sim) = reactor("echo");
        let wires: Vec<usize> = (0..4).map(|_| sim.connect(500)).collect();
        let mut sent = vec![Vec::new(); 4];
        let mut over = [false; 4];
        for step in steps {
            match step {
                Step::Send(wire, bytes) if !over[wire] => {
                    sent[wire].extend(&bytes);
                    sim.send(wires[wire], &bytes);
                }
                Step::MakeRoom(wire, n) => sim.make_room(wires[wire], n),
                Step::Finish(wire) if !over[wire] => {
                    over[wire] = true;
                    sim.finish(wires[wire]);
                }
                Step::Reset(wire) if !over[wire] => {
                    over[wire] = true;
                    sim.reset(wires[wire]);
                    // Who resets is owed nothing.
                    sent[wire].clear();
                }
                _ => reactor.settle_down(),
            }
            for (wire, sent) in sim.world().wires.iter().zip(&sent) {
                prop_assert!(sent.is_empty() || sent.starts_with(&wire.outbox));
            }
        }
        for wire in 0..4 {
            if !over[wire] {
                sim.finish(wires[wire]);
            }
            sim.make_room(wires[wire], WIDE / 2);
        }
        reactor.settle_down();
        for (wire, sent) in sim.world().wires.iter().zip(sent) {
            prop_assert!(wire.closed);
            prop_assert!(sent.is_empty() || wire.outbox == sent);
        }
        prop_assert_eq!(reactor.slots.len(), 0);
    }
}
