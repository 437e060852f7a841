//! Faults of the real thing: machines, networks and clients that fail, under the real program, on every engine,
//! with its memory, processor time and counts looked at from outside.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![cfg(target_os = "linux")]

mod support;

#[path = "faults/churn.rs"]
mod churn;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/common.rs"]
mod common;
#[path = "faults/crowd.rs"]
mod crowd;
#[path = "faults/descriptors.rs"]
mod descriptors;
#[path = "faults/machine.rs"]
mod machine;
#[path = "faults/resets.rs"]
mod resets;
#[path = "faults/slow.rs"]
mod slow;
#[path = "faults/soak.rs"]
mod soak;
