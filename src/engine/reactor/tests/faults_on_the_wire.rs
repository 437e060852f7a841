//! Services that do wrong on purpose, on the reactor.

use super::super::super::faulty::Faulty;
use super::*;
use crate::access::Policy;

type Wrong = Reactor<Faulty<Sim>>;

fn wrong(protocol: &str, faults: &str) -> (Wrong, Sim) {
    let row = Row::find(protocol).unwrap();
    let options = Options::parse(row.kind, toml::Table::new()).unwrap();
    let mut policy = Policy::default();
    for (key, value) in faults.parse::<toml::Table>().unwrap() {
        policy.set(&key, value).unwrap();
    }
    let services = vec![Service { name: protocol.to_owned(), row, options, policy }];
    let sim = Sim::default();
    let net = Faulty::new(sim.clone(), &services);
    let settings = Settings {
        services,
        shared: Arc::new(shared()),
        capacity: 1000,
        grace: Duration::from_secs(5),
        reload: Reload::default(),
        max_buffers: None,
    };
    let mut reactor = Reactor::new(net, settings, Guard::new(vec![]));
    reactor.add_listener(((), 0), 0);
    (reactor, sim)
}

impl Wrong {
    /// Lets so much time pass; returns how many turns that took.
    fn pass(&mut self, sim: &Sim, ms: u64) -> usize {
        let (until, mut turns) = (sim.world().now + ms, 0);
        loop {
            let left = Duration::from_millis(until - sim.world().now);
            let timeout = self.may_sleep().map_or(left, |sleep| sleep.min(left));
            self.context.net.poll(&mut self.ready, Some(timeout)).unwrap();
            self.turn().unwrap();
            turns += 1;
            assert!(turns < 100_000, "the reactor spins");
            if sim.world().now >= until && sim.world().events.is_empty() && timeout == left {
                return turns;
            }
        }
    }
}

#[test]
fn latency_is_how_long_every_write_waits_and_nobody_spins_meanwhile() {
    let (mut reactor, sim) = wrong("echo", "latency = \"100ms\"");
    let wire = sim.connect(WIDE);
    reactor.pass(&sim, 10);
    sim.send(wire, b"hello");
    let turns = reactor.pass(&sim, 99);
    assert_eq!(sim.text(wire), "");
    assert!(turns < 5, "{turns} turns");
    reactor.pass(&sim, 1);
    assert_eq!(sim.text(wire), "hello");
    sim.send(wire, b" again");
    reactor.pass(&sim, 99);
    assert_eq!(sim.text(wire), "hello");
    reactor.pass(&sim, 2);
    assert_eq!(sim.text(wire), "hello again");
}

#[test]
fn who_speaks_first_waits_as_well() {
    let (mut reactor, sim) = wrong("daytime", "latency = \"100ms\"");
    let wire = sim.connect(WIDE);
    reactor.pass(&sim, 99);
    assert_eq!(sim.text(wire), "");
    reactor.pass(&sim, 2);
    assert!(sim.text(wire).ends_with("\r\n"), "{}", sim.text(wire));
    assert_eq!(reactor.slots.len(), 1, "input may be on its way");
    reactor.pass(&sim, 3000);
    assert!(sim.world().wires[wire].closed);
}

#[test]
fn chunks_leave_one_a_turn() {
    let (mut reactor, sim) = wrong("echo", "chunk = 3");
    let wire = sim.connect(WIDE);
    sim.send(wire, b"0123456789");
    reactor.pass(&sim, 1);
    let wire = &sim.world().wires[wire];
    assert_eq!((wire.outbox.as_slice(), wire.writes), (&b"0123456789"[..], 4));
}

#[test]
fn a_stall_is_silence_and_the_connection_stays() {
    let (mut reactor, sim) = wrong("echo", "stall_after = 4");
    let wire = sim.connect(WIDE);
    sim.send(wire, b"0123456789");
    let turns = reactor.pass(&sim, 100_000);
    assert_eq!((sim.text(wire).as_str(), sim.world().wires[wire].closed), ("0123", false));
    assert!(turns < 10, "{turns} turns");
}

#[test]
fn who_stalls_is_given_up_after_its_end() {
    let (mut reactor, sim) = wrong("echo", "stall_after = 4");
    let wire = sim.connect(WIDE);
    sim.send(wire, b"0123456789");
    sim.finish(wire);
    reactor.pass(&sim, 59_000);
    assert!(!sim.world().wires[wire].closed);
    reactor.pass(&sim, 62_000);
    assert!(sim.world().wires[wire].closed);
}

#[test]
fn a_cut_end_is_clean_and_exact() {
    let (mut reactor, sim) = wrong("echo", "truncate = 4");
    let wire = sim.connect(WIDE);
    sim.send(wire, b"0123");
    reactor.pass(&sim, 1);
    assert!(!sim.world().wires[wire].shut, "only what would come next is cut off");
    sim.send(wire, b"456789");
    reactor.pass(&sim, 1);
    assert_eq!(sim.text(wire), "0123");
    assert!(sim.world().wires[wire].shut && !sim.world().wires[wire].closed);
    // What still comes is read, so that no reset destroys what was sent.
    sim.send(wire, b"more");
    reactor.pass(&sim, 3000);
    let wire = &sim.world().wires[wire];
    assert!(wire.closed && !wire.destroyed && !wire.aborted);
}

#[test]
fn a_reset_comes_after_so_many_bytes() {
    let (mut reactor, sim) = wrong("chargen", "reset_after = 1000");
    let wire = sim.connect(WIDE);
    reactor.pass(&sim, 1);
    let wire = &sim.world().wires[wire];
    assert_eq!(wire.outbox.len(), 1000);
    assert!(wire.closed && wire.aborted);
}

#[test]
fn the_refused_are_reset_and_take_no_slot() {
    let (mut reactor, sim) = wrong("echo", "refuse = 0.5\nseed = 1");
    let wires: Vec<usize> = (0..100).map(|_| sim.connect(WIDE)).collect();
    reactor.pass(&sim, 1);
    let refused = wires.iter().filter(|wire| sim.world().wires[**wire].aborted).count();
    assert!((30..=70).contains(&refused), "{refused}");
    assert_eq!(reactor.slots.len(), 100 - refused);
}

#[test]
fn a_member_of_a_room_is_cut_as_well_and_leaves_it() {
    let (mut reactor, sim) = wrong("chat", "truncate = 300");
    let (speaker, hearer) = (sim.connect(WIDE), sim.connect(WIDE));
    for wire in [speaker, hearer] {
        sim.send(wire, format!("member{wire}\r\n").as_bytes());
    }
    reactor.pass(&sim, 100);
    // The speaker hears nothing of what it says; the hearer is cut.
    for _ in 0..10 {
        sim.send(speaker, &[b"x".repeat(50), b"\r\n".to_vec()].concat());
        reactor.pass(&sim, 1000);
    }
    let text = sim.text(hearer);
    assert_eq!(text.len(), 300, "{text}");
    assert!(sim.world().wires[hearer].closed);
    assert!(sim.text(speaker).contains("* guest2 left"), "{}", sim.text(speaker));
}

#[test]
fn faults_come_and_go_with_the_configuration() {
    let (mut reactor, sim) = wrong("echo", "latency = \"100ms\"");
    let early = sim.connect(WIDE);
    reactor.pass(&sim, 1);
    let mut services = reactor.context.services.clone();
    services[0].policy.faults = crate::faults::Faults::default();
    reactor.context.net.set_services(&services);
    let late = sim.connect(WIDE);
    reactor.pass(&sim, 1);
    sim.send(early, b"x");
    sim.send(late, b"y");
    reactor.pass(&sim, 1);
    assert_eq!((sim.text(early), sim.text(late)), (String::new(), "y".to_owned()));
    reactor.pass(&sim, 100);
    assert_eq!(sim.text(early), "x");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Late and in pieces, but all of it, to readers of any speed, and the same each time.
    #[test]
    fn nothing_is_lost_and_a_seed_does_the_same(
        seed in 0u64..1000, most in 1u64..5000, window in 1usize..20_000, wait in 0u64..20,
    ) {
        let text: Vec<u8> = (0..30_000u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
        let faults = format!("latency = \"{wait}ms {wait}ms\"\nchunk = \"1..{}\"\nseed = {seed}", most + 50);
        let play = || {
            let (mut reactor, sim) = wrong("echo", &faults);
            let wire = sim.connect(window);
            sim.send(wire, &text);
            sim.finish(wire);
            let mut lengths = Vec::new();
            for _ in 0..100_000 {
                reactor.pass(&sim, 5);
                if sim.world().wires[wire].closed {
                    break;
                }
                sim.make_room(wire, window);
                lengths.push(sim.world().wires[wire].outbox.len());
            }
            let wire = &sim.world().wires[wire];
            (wire.outbox == text && wire.closed, lengths)
        };
        let first = play();
        prop_assert!(first.0);
        prop_assert_eq!(first, play());
    }
}
