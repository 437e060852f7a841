//! Deterministic simulation: the reactor that ships, on a network where everything that can go wrong does,
//! with a model of each protocol to compare with.
//!
//! A seed stands for everything: who connects, what they send and in which pieces, how they read, what the
//! network and the clock do. `cargo test` runs some; `SEEDS=100000 cargo test --release --lib simulation`
//! as many as one likes; `SEED=17 cargo test --lib simulation` one of them again, exactly.

mod client;
mod ladder;
mod model;
mod network;
mod plan;
mod room;
mod run;
mod wire;
mod world;

use crate::mutation::{Mutant, plant};
use run::run;

/// Seeds that every run of the tests has: some seconds.
const SEEDS: u64 = 150;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("SEED and SEEDS are numbers"))
}

#[test]
fn no_seed_breaks_a_promise() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    let (mut steps, mut turns, mut connections, count) = (0, 0, 0, seeds.end - seeds.start);
    for seed in seeds {
        let outcome = run(seed).unwrap_or_else(|report| panic!("{report}"));
        steps += outcome.steps;
        turns += outcome.turns;
        connections += outcome.connections;
    }
    println!("{count} seeds, {connections} connections, {turns} turns, {steps} steps");
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in [1, 2, 3, 100] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}

/// Seeds among which every mistake must show, and which the right core passes, as the test above says.
const ENOUGH: u64 = 150;
const _: () = assert!(ENOUGH <= SEEDS);

#[test]
fn every_planted_mistake_is_found() {
    let mut unfound = Vec::new();
    for mutant in Mutant::ALL {
        plant(Some(mutant));
        let found = (0..ENOUGH).find_map(|seed| run(seed).err().map(|report| (seed, report)));
        plant(None);
        match found {
            Some((seed, report)) => {
                let what = report.lines().nth(1).unwrap_or_default();
                println!("{mutant:?} by seed {seed}: {what}");
            }
            None => unfound.push(mutant),
        }
    }
    assert!(unfound.is_empty(), "nothing was found of {unfound:?}");
}
