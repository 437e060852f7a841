//! What one worker is to do, and what it says of it: the same between threads and between processes.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::clock::Nanos;
use super::exchange::Recipe;
use super::tally::Tally;

/// What all workers do, each for its own share of the connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The server.
    pub target: SocketAddr,
    /// Over UDP instead of TCP.
    pub udp: bool,
    /// What is said.
    pub recipe: Recipe,
    /// Whether replies are compared, or only counted.
    pub verify: bool,
    /// Requests in flight per connection.
    pub pipeline: u32,
    /// A connection per request.
    pub churn: bool,
    /// Connections are ended with a reset.
    pub reset: bool,
    /// Requests a second of all workers together; none: each connection as fast as it goes.
    pub rate: Option<f64>,
    /// How long a connection, or any byte of a reply, may take.
    pub timeout: Nanos,
    /// How many addresses connections come from; 0: the one that the kernel chooses.
    pub sources: u32,
    /// Workers in all processes.
    pub workers: u32,
    /// Which of them this is.
    pub index: u32,
    /// Requests of all workers; none: until told to stop.
    pub requests: Option<u64>,
}

/// What a worker is told. A command ends the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Have so many connections in all.
    Open {
        /// Held.
        idle: u32,
        /// Driven.
        active: u32,
    },
    /// Send requests.
    Drive,
    /// Send no more; wait for what is on its way.
    Pause,
    /// Send something through every idle connection.
    Prove,
    /// Close everything.
    Close,
}

/// How many of something there are now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    /// Idle connections that are open.
    pub idle: u64,
    /// Active connections that are open.
    pub active: u64,
    /// Connections that are being made.
    pub connecting: u64,
    /// Requests that wait for their reply.
    pub in_flight: u64,
    /// Requests that are due and wait for a connection.
    pub behind: u64,
    /// Idle connections through which something came.
    pub proven: u64,
}

/// What a worker says of itself. Everything in it is a total since its start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// What it has counted.
    pub tally: Tally,
    /// What there is now.
    pub gauges: Gauges,
    /// Commands that are done.
    pub done: u32,
    /// Whether all its requests are answered, or failed.
    pub spent: bool,
    /// When it was so ([`super::clock`]).
    pub at: Nanos,
    /// Replies that had come when it was last told to pause.
    pub in_time: u64,
    /// Processor time of the busiest thread.
    pub busiest: Nanos,
    /// Processor time of all.
    pub busy: Nanos,
}

impl Snapshot {
    /// Puts another worker's beside it.
    pub fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        let (all, one) = (&mut self.gauges, &other.gauges);
        all.idle += one.idle;
        all.active += one.active;
        all.connecting += one.connecting;
        all.in_flight += one.in_flight;
        all.behind += one.behind;
        all.proven += one.proven;
        self.done = self.done.min(other.done);
        self.spent &= other.spent;
        self.at = self.at.max(other.at);
        self.in_time += other.in_time;
        self.busiest = self.busiest.max(other.busiest);
        self.busy += other.busy;
    }

    /// What the sum of no workers is.
    pub fn none() -> Self {
        Self { done: u32::MAX, spent: true, ..Self::default() }
    }
}

/// This worker's share of `total`: the shares differ by one at the most and add up.
pub fn share(total: u64, index: u32, workers: u32) -> u64 {
    let workers = u64::from(workers.max(1));
    total / workers + u64::from(u64::from(index) < total % workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (total, workers) in [(0, 3), (1, 3), (10, 3), (9, 3), (20_000, 7)] {
            let shares: Vec<u64> = (0..workers).map(|index| share(total, index, workers)).collect();
            assert_eq!(shares.iter().sum::<u64>(), total);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
