//! What a seed stands for: who comes, how the network behaves, what befalls the machine.

use super::client::{self, Client};
use super::model::Expect;
use super::wire::{Reader, Wire};
use super::world::Faults;

/// Every protocol that is simulated; each has a listener.
pub(super) const PROTOCOLS: [&str; 13] = [
    "echo", "discard", "chargen", "daytime", "time", "reqtime", "modify", "hello", "collect", "chat", "http",
    "upload", "download",
];

/// The witness of the room is there before anybody else, by so many milliseconds.
const HEAD_START: u64 = 1000;

/// Something that befalls the machine or its network at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// A client does what it does next.
    Client(usize),
    Connect(usize),
    /// The machine slept: time has passed and nobody was there.
    Jump(u64),
    /// Somebody set the clock on the wall, by so many seconds.
    Wall(i64),
    /// There are only so many descriptors left for connections.
    Descriptors(usize),
    Drain,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) faults: Faults,
    pub(super) clients: Vec<Client>,
    pub(super) wires: Vec<Wire>,
    /// With the moments they come.
    pub(super) deeds: Vec<(u64, Deed)>,
    /// The clock jumps: what has a deadline may miss it.
    pub(super) jumps: bool,
    pub(super) drains: bool,
}

impl Plan {
    pub(super) fn new(rng: &mut fastrand::Rng) -> Self {
        let jumps = rng.u8(..6) == 0;
        let drains = rng.u8(..6) == 0;
        let crowd = match rng.u8(..40) {
            0 => 600,
            1..5 => 120,
            _ => 24,
        };
        let span = [50, 1000, 10_000][rng.usize(..3)];
        let protocols = choose(rng);
        let mut plan = Self {
            faults: faults(rng),
            clients: Vec::new(),
            wires: Vec::new(),
            deeds: Vec::new(),
            jumps,
            drains,
        };
        if protocols.contains(&"chat") {
            plan.add(client::witness(), wire("chat", usize::MAX / 4, Reader::EAGER), 0);
        }
        for number in 0..rng.usize(1..=crowd) {
            let protocol = protocols[rng.usize(..protocols.len())];
            // Whoever sends without an end should not have to be run after.
            let most = if protocol == "chargen" { 20_000 } else { usize::MAX };
            let window = window(rng).min(most);
            let client = client::new(protocol, number + 1, window.saturating_mul(200), jumps, rng);
            let at = HEAD_START + rng.u64(0..=span);
            let wire = if client.is_prompt {
                wire(protocol, window.max(1 << 20), Reader { chunk: usize::MAX, pause: rng.u64(0..10) })
            } else {
                Wire { room: self::window(rng), ..wire(protocol, window, reader(rng)) }
            };
            plan.add(client, wire, at);
        }
        plan.add_events(rng, span);
        plan
    }

    fn add(&mut self, client: Client, mut wire: Wire, at: u64) {
        wire.is_reliable = client.is_prompt;
        self.deeds.push((at, Deed::Connect(self.clients.len())));
        self.clients.push(client);
        self.wires.push(wire);
    }

    /// The clock and the machine. A reader may take next to nothing for a minute: jumps are shorter than that.
    fn add_events(&mut self, rng: &mut fastrand::Rng, span: u64) {
        if self.jumps {
            for _ in 0..rng.u8(1..4) {
                self.deeds.push((HEAD_START + rng.u64(0..=span), Deed::Jump(rng.u64(1..15_000))));
            }
        }
        if rng.bool() {
            let seconds = rng.i64(-100_000..100_000);
            self.deeds.push((HEAD_START + rng.u64(0..=span), Deed::Wall(seconds)));
        }
        if rng.u8(..3) == 0 {
            let few = rng.usize(0..=self.clients.len() / 2);
            let at = HEAD_START + rng.u64(0..=span / 2);
            self.deeds.push((at, Deed::Descriptors(few)));
            self.deeds.push((at + rng.u64(0..=span), Deed::Descriptors(usize::MAX)));
        }
        if self.drains {
            self.deeds.push((HEAD_START + rng.u64(0..=span * 2), Deed::Drain));
        }
    }

    /// Whether one of these connects.
    pub(super) fn has_witness(&self) -> bool {
        matches!(self.clients.first(), Some(Client { expect: Expect::Witness, .. }))
    }
}

/// Mostly a few: so that what is rare with all of them happens with some seed.
fn choose(rng: &mut fastrand::Rng) -> Vec<&'static str> {
    match rng.u8(..4) {
        0 => PROTOCOLS.to_vec(),
        1 => vec!["chat"],
        _ => (0..3).map(|_| PROTOCOLS[rng.usize(..PROTOCOLS.len())]).collect(),
    }
}

fn faults(rng: &mut fastrand::Rng) -> Faults {
    let mut often = |most: u16| if rng.u8(..3) == 0 { 0 } else { rng.u16(..most) };
    Faults {
        withheld: often(600),
        spurious: often(200),
        stale: often(300),
        interrupted: often(100),
        short: often(300),
        early: often(200),
        aborted: often(50),
        full_state: rng.bool(),
        knows_received: rng.bool(),
    }
}

fn wire(protocol: &str, window: usize, reader: Reader) -> Wire {
    let listener = PROTOCOLS.iter().position(|name| *name == protocol).unwrap();
    Wire::new(listener, 1 << 20, window, reader)
}

/// What a socket holds.
fn window(rng: &mut fastrand::Rng) -> usize {
    match rng.u8(..4) {
        0 => rng.usize(1..100),
        1 => rng.usize(100..10_000),
        _ => rng.usize(10_000..300_000),
    }
}

fn reader(rng: &mut fastrand::Rng) -> Reader {
    match rng.u8(..4) {
        0 => Reader { chunk: rng.usize(500..100_000), pause: rng.u64(0..5000) },
        1 => Reader { chunk: rng.usize(1..2000), pause: rng.u64(0..50) },
        _ => Reader { chunk: usize::MAX, pause: rng.u64(0..200) },
    }
}
