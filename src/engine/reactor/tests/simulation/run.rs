//! One seed: the real reactor, with everything it serves, on the simulated network, to the end.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::super::super::super::control::Command;
use super::super::super::super::datagram::Guard;
use super::super::super::{Reactor, Settings};
use super::ladder::Trace;
use super::model::{SITE, Terms};
use super::network::Network;
use super::plan::{Deed, PROTOCOLS, Plan};
use super::room::{Listener, Log};
use super::wire::{Reader, Wire};
use super::world::{Advance, Due, Faults, World};
use crate::limits;
use crate::protocol::{Options, Row};
use crate::service::Service;
use crate::shared::Shared;
use crate::show::Show;
use crate::time::Time;

/// Turns without a system call or an event, from which on the reactor spins.
const IDLE_TURNS: usize = 200;
/// Turns of one run, which none needs.
const TURNS: u64 = 300_000;
/// Milliseconds in which everything comes to rest once nothing goes wrong any more.
const REST: u64 = 20 * 60 * 1000;
/// What may wait in memory for one client: the high mark, and what one read can bring beyond it.
const MOST_OUT: usize = limits::OUT_HIGH_MARK + limits::READ_BUFFER + 16 * 1024;
/// Long after all files were made, so that nothing about them is young.
const FIRST_WALL: u64 = 4_102_444_800;

thread_local! {
    static WALL: Cell<i64> = const { Cell::new(0) };
}

fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(FIRST_WALL.saturating_add_signed(WALL.get()))
}

/// What a run was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) turns: u64,
    /// Happenings on the network.
    pub(super) steps: u64,
    pub(super) connections: usize,
    pub(super) digest: u64,
}

/// What went wrong, with whom.
pub(super) type Violation = (Option<usize>, String);

/// Runs a seed; what is wrong comes with the way to see it again.
pub(super) fn run(seed: u64) -> Result<Outcome, String> {
    let mut simulation = Simulation::new(seed);
    let result = catch_unwind(AssertUnwindSafe(|| simulation.run()));
    let violation = match result {
        Ok(Ok(())) => return Ok(simulation.outcome()),
        Ok(Err(violation)) => violation,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            (None, format!("panic: {}", text.unwrap_or_default()))
        }
    };
    let report = simulation.report(seed, &violation);
    // After a panic nobody knows what dropping the rest does.
    std::mem::forget(simulation);
    Err(report)
}

#[derive(Debug)]
struct Simulation {
    reactor: Reactor<Network>,
    network: Network,
    plan: Plan,
    deeds: Vec<Deed>,
    /// The connections of the clients that have connected.
    connections: Vec<Option<usize>>,
    walls: Vec<SystemTime>,
    turns: u64,
    idle_turns: usize,
    is_draining: bool,
    _uploads: TempDir,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = Plan::new(&mut rng);
        WALL.set(0);
        let mut world = World::new(rng.u64(..), PROTOCOLS.len(), Trace::switched_on());
        world.faults = plan.faults;
        let mut deeds = Vec::new();
        for (at, deed) in &plan.deeds {
            world.after(*at, Due::Driver(deeds.len()));
            deeds.push(*deed);
        }
        let uploads = tempfile::tempdir().unwrap();
        let network = Network(Rc::new(RefCell::new(world)));
        let settings = Settings {
            services: PROTOCOLS.iter().map(|name| service(name, uploads.path())).collect(),
            shared: Arc::new(Shared::with_clock(wall, TimeZone::UTC, Show::nowhere())),
            capacity: 100_000,
            grace: Duration::from_secs(5),
            reload: crate::engine::reload::Reload::default(),
        };
        let mut reactor = Reactor::new(network.clone(), settings, Guard::default());
        for listener in 0..PROTOCOLS.len() {
            reactor.add_listener(listener, u16::try_from(listener).unwrap());
        }
        let connections = vec![None; plan.clients.len()];
        Self {
            reactor,
            network,
            plan,
            deeds,
            connections,
            walls: vec![wall()],
            turns: 0,
            idle_turns: 0,
            is_draining: false,
            _uploads: uploads,
        }
    }

    fn run(&mut self) -> Result<(), Violation> {
        let last = self.plan.deeds.iter().map(|(at, _)| *at).max().unwrap_or(0);
        self.go_on(last + 5000)?;
        self.heal();
        if !self.is_draining {
            self.come_to_rest()?;
            self.check_clients(true)?;
            self.drain();
        }
        let began = self.network.world().now;
        self.go_on(began + 60_000)?;
        if !self.reactor.is_drained() {
            return Err((None, "the drain does not end".to_owned()));
        }
        let took = self.reactor.context.now.as_millis() - began;
        if !self.plan.drains && took > 1500 {
            return Err((None, format!("a drain of quick clients took {took} ms")));
        }
        self.reactor.close_all();
        self.check_clients(false)?;
        self.check_totals()
    }

    /// Turns until this moment, or until nothing more will happen.
    fn go_on(&mut self, until: u64) -> Result<(), Violation> {
        loop {
            if self.reactor.is_drained() {
                return Ok(());
            }
            let sleep = self.reactor.may_sleep().map(|sleep| u64::try_from(sleep.as_millis()).unwrap_or(0));
            let now = self.reactor.context.now.as_millis();
            let limit = sleep.map_or(until, |sleep| now.saturating_add(sleep).min(until));
            let advance = self.network.0.borrow_mut().advance(Some(limit));
            match advance {
                Advance::Driver(number) => {
                    self.act(number);
                    continue;
                }
                Advance::TimedOut if limit >= until && sleep != Some(0) => return Ok(()),
                _ => {}
            }
            self.turn(sleep)?;
        }
    }

    fn turn(&mut self, sleep: Option<u64>) -> Result<(), Violation> {
        use crate::engine::net::Net;
        let calls = self.network.world().calls;
        self.network.poll(&mut self.reactor.ready, Some(Duration::ZERO)).map_err(error)?;
        let told = self.reactor.ready.len();
        self.reactor.turn().map_err(error)?;
        self.turns += 1;
        let is_idle = told == 0 && sleep == Some(0) && calls == self.network.world().calls;
        self.idle_turns = if is_idle { self.idle_turns + 1 } else { 0 };
        if self.idle_turns > IDLE_TURNS || self.turns > TURNS {
            let world = self.network.world();
            let open = world.wires.iter().enumerate().filter(|(_, wire)| !wire.closed);
            let wire = open.max_by_key(|(_, wire)| wire.written).map(|(number, _)| number);
            return Err((wire, "the reactor spins".to_owned()));
        }
        self.check_turn()
    }

    /// What must hold between any two turns.
    fn check_turn(&mut self) -> Result<(), Violation> {
        let (open, violation) = {
            let mut world = self.network.world();
            (world.open, world.violation.take())
        };
        if let Some(violation) = violation {
            return Err(violation);
        }
        if open != self.reactor.slots.len() {
            return Err((None, format!("{open} sockets for {} connections", self.reactor.slots.len())));
        }
        if !self.turns.is_multiple_of(16) {
            return Ok(());
        }
        let wakes =
            self.reactor.may_sleep().map_or(Time::NEVER, |sleep| self.reactor.context.now.after(sleep));
        for (key, slot) in &mut self.reactor.slots {
            let waiting = slot.conn.out().map_or(0, |out| out.len());
            let is_late = slot.conn.deadline() < wakes;
            let wire = self
                .network
                .world()
                .wires
                .iter()
                .position(|wire| !wire.closed && wire.id.is_some_and(|id| id.key as usize == key));
            if waiting > MOST_OUT {
                return Err((wire, format!("{waiting} bytes wait in memory for one client")));
            }
            if is_late {
                return Err((wire, format!("it sleeps beyond the deadline {:?}", slot.conn.deadline())));
            }
        }
        Ok(())
    }

    fn act(&mut self, number: usize) {
        let network = self.network.clone();
        let mut world = network.world();
        match self.deeds[number] {
            Deed::Connect(client) => {
                let listener = self.plan.wires[client].listener;
                let blank = Wire::new(listener, 1, 1, Reader::EAGER);
                let wire = std::mem::replace(&mut self.plan.wires[client], blank);
                self.connections[client] = Some(world.connect(wire));
                world.after(0, Due::Driver(self.deeds.len()));
                self.deeds.push(Deed::Client(client));
            }
            Deed::Client(client) => {
                let Some(wire) = self.connections[client] else { return };
                if let Some(wait) = self.plan.clients[client].act(wire, &mut world) {
                    world.after(wait, Due::Driver(number));
                }
            }
            Deed::Jump(ms) => world.now += ms,
            Deed::Wall(seconds) => {
                WALL.set(seconds);
                self.walls.push(wall());
            }
            Deed::Descriptors(most) => {
                world.descriptors = most.saturating_add(world.open);
            }
            Deed::Drain => {
                drop(world);
                self.drain();
            }
        }
    }

    fn drain(&mut self) {
        self.is_draining = true;
        let mut world = self.network.world();
        world.commands.push_back(Command::Drain);
        world.told_command = false;
    }

    /// Nothing goes wrong any more, and everybody reads at once.
    fn heal(&mut self) {
        let mut world = self.network.world();
        world.descriptors = usize::MAX;
        world.faults = Faults { full_state: world.faults.full_state, ..Faults::default() };
        for wire in 0..world.wires.len() {
            let it = &mut world.wires[wire];
            (it.reader, it.window) = (Reader::EAGER, it.window.max(1 << 16));
            world.take(wire);
        }
    }

    fn come_to_rest(&mut self) -> Result<(), Violation> {
        let began = self.network.world().now;
        self.go_on(began + REST)?;
        let world = self.network.world();
        if let Some(listener) = world.backlogs.iter().position(|backlog| !backlog.is_empty()) {
            let wire = world.backlogs[listener].front().copied();
            return Err((wire, "it is not accepted though there is room".to_owned()));
        }
        for (number, wire) in world.wires.iter().enumerate().filter(|(_, wire)| !wire.closed) {
            let forgotten = [
                (!wire.inbox.is_empty(), "what has come is not read"),
                (!wire.outbox.is_empty(), "what was sent is not received"),
                (wire.fin || wire.reset, "its end was forgotten"),
            ];
            if let Some((_, what)) = forgotten.iter().find(|(is_so, _)| *is_so) {
                return Err((Some(number), (*what).to_owned()));
            }
        }
        Ok(())
    }

    /// Compares what every client received with what it expects.
    fn check_clients(&self, is_at_rest: bool) -> Result<(), Violation> {
        let world = self.network.world();
        for (client, number) in self.plan.clients.iter().zip(&self.connections) {
            let Some(number) = *number else { continue };
            let wire = &world.wires[number];
            // Whoever was never accepted, or reset the connection itself, is owed nothing.
            let is_final = is_at_rest && !client.is_loose && !wire.gone;
            let terms = Terms {
                is_final,
                is_punctual: !self.plan.jumps && is_at_rest,
                is_stopped: self.plan.drains,
                walls: &self.walls,
            };
            let is_excused = self.plan.jumps || self.plan.drains || client.is_loose || wire.gone;
            if wire.destroyed && !is_excused && is_at_rest {
                return Err((Some(number), "a reset destroyed what it was to receive".to_owned()));
            }
            let lost_time = self.plan.jumps && client.expect.closes();
            let terms = Terms { is_final: is_final && !lost_time, ..terms };
            client.expect.check(wire, terms).map_err(|what| (Some(number), what))?;
            if terms.is_final && client.expect.closes() && !wire.closed {
                return Err((Some(number), "it was not closed".to_owned()));
            }
        }
        self.check_room(&world, is_at_rest)
    }

    fn check_room(&self, world: &World, is_at_rest: bool) -> Result<(), Violation> {
        let Some(witness) = self.connections.first().copied().flatten() else { return Ok(()) };
        let heard = &world.wires[witness].received;
        if !self.plan.has_witness() || heard.windows(13).any(|text| text == b"* you missed ") {
            return Ok(());
        }
        let is_final = is_at_rest && !world.wires[witness].gone;
        let log = Log::new(heard).map_err(|what| (Some(witness), what))?;
        if !is_final {
            return Ok(());
        }
        let chat = world.wires[witness].listener;
        let members = world.accepted.iter().filter(|wire| world.wires[**wire].listener == chat);
        for (guest, &number) in members.enumerate() {
            let wire = &world.wires[number];
            log.check_leaving(guest + 1, wire.closed).map_err(|what| (Some(number), what))?;
            if number != witness {
                let stays = !wire.closed && !wire.finished;
                let listener = Listener { guest: guest + 1, heard: &wire.received, is_final: stays };
                log.check(listener).map_err(|what| (Some(number), what))?;
            }
        }
        Ok(())
    }

    /// The observer has counted what the network has seen.
    fn check_totals(&self) -> Result<(), Violation> {
        let world = self.network.world();
        let (count, open) = (world.accepted.len(), world.open);
        let read: u64 = world.wires.iter().map(|wire| wire.read).sum();
        let written: u64 = world.wires.iter().map(|wire| wire.written).sum();
        let plural = if count == 1 { "" } else { "s" };
        let expected = format!("{count} connection{plural}, 0 cut off, {read} bytes in, {written} out");
        let noted = self.reactor.context.shared.observer.to_string();
        if open > 0 || noted != expected {
            return Err((None, format!("noted {noted}; seen {expected}; {open} still open")));
        }
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        let world = self.network.world();
        Outcome {
            turns: self.turns,
            steps: world.trace.count,
            connections: world.wires.len(),
            digest: world.trace.digest(),
        }
    }

    fn report(&self, seed: u64, (wire, what): &Violation) -> String {
        let Ok(world) = self.network.0.try_borrow() else { return format!("seed {seed}: {what}") };
        let whom = wire.map_or(String::new(), |wire| {
            let protocol = PROTOCOLS[world.wires[wire].listener];
            format!(" (connection {wire}, {protocol})\n{}", world.trace.ladder(wire))
        });
        format!(
            "\nseed {seed}, {} ms after the start, turn {}: {what}{whom}\n\
             See it again: SEED={seed} cargo test --lib simulation\n",
            world.now, self.turns
        )
    }
}

fn service(protocol: &str, uploads: &Path) -> Service {
    let row = Row::find(protocol).unwrap();
    let mut table = toml::Table::new();
    match protocol {
        "upload" => _ = table.insert("dir".to_owned(), uploads.display().to_string().into()),
        "http" | "download" => {
            _ = table.insert("root".to_owned(), SITE.dir.path().display().to_string().into());
        }
        "modify" => _ = table.insert("name".to_owned(), "Ali".into()),
        _ => {}
    }
    let options = Options::parse(row.kind, table).unwrap();
    options.prepare().unwrap();
    Service { name: protocol.to_owned(), row, options, policy: crate::access::Policy::default() }
}

#[allow(clippy::needless_pass_by_value)] // what `map_err` hands on
fn error(error: std::io::Error) -> Violation {
    (None, error.to_string())
}
