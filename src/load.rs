//! The load generator: thousands of connections to one server, idle or busy, and every byte that comes
//! back looked at.
//!
//! `switchboard stress` ([`stress`]) is what people use. Beneath it, a [`session::Session`] leads
//! [workers](job) through their steps and gives what was [measured](session::Measured); it knows no
//! command line and no terminal. [`drive`] is a whole session in one call.
//!
//! It never reports what it did not see: a reply counts when all of its bytes are right; in an open loop
//! latency counts from when a request was due; the processor time of the generator is part of the report.

use std::time::Duration;

use crate::client::Error;

pub mod args;
pub mod capacity;
pub mod clock;
pub mod compare;
pub mod exchange;
pub mod fault;
mod fleet;
pub mod job;
pub mod learn;
pub mod live;
mod mailbox;
pub mod plan;
pub mod process;
pub mod ramp;
pub mod report;
mod schedule;
pub mod session;
pub mod source;
pub mod stress;
pub mod table;
pub mod tally;
pub mod text;
pub mod watch;
mod worker;

pub use args::Args;
pub use plan::Load;
pub use report::Report;

/// Puts a load on a server for a while, and tells what came of it.
///
/// # Errors
/// There is no such server, or the load cannot be put on it from here.
pub fn drive(
    load: &Load,
    duration: Option<Duration>,
    observer: &mut dyn session::Observer,
) -> Result<Report, Error> {
    stress::run(load, duration, observer)
}
