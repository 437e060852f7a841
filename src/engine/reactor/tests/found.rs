//! What the simulation has found, each in the fewest steps.

use super::*;

#[test]
fn who_ends_its_side_is_heard_though_its_output_is_always_full() {
    let (mut reactor, sim) = reactor("chargen");
    let wire = sim.connect(50);
    reactor.settle_down();
    sim.finish(wire);
    for _ in 0..2000 {
        sim.make_room(wire, 50);
        reactor.settle_down();
    }
    let wire = &sim.world().wires[wire];
    assert!(wire.closed, "{} bytes were sent to one that wants no more", wire.outbox.len());
}

#[test]
fn an_interrupted_write_to_a_member_of_a_room_is_tried_again() {
    let (mut reactor, sim) = reactor("chat");
    let (member, talker) = (sim.connect(WIDE), sim.connect(WIDE));
    reactor.settle_down();
    sim.world().wires[member].interrupted = 1;
    sim.send(talker, b"hello\n");
    reactor.settle_down();
    assert_eq!(sim.text(member), "* guest2 joined\nguest2: hello\n");
}
