//! The engines: each moves bytes and time, and none knows a protocol.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::service::{Listener, Service};
use crate::shared::Shared;

/// Everything an engine needs to serve.
#[derive(Debug)]
pub struct Setup {
    /// The services; a [`Listener`] names one by its index.
    pub services: Vec<Service>,
    /// Their sockets.
    pub listeners: Vec<Listener>,
    /// What all connections share.
    pub shared: Arc<Shared>,
    /// How long a drain may take.
    pub grace: Duration,
    /// The process's limit on open descriptors.
    pub descriptors: u64,
    /// Set by a SIGINT or SIGTERM, from before anybody was told that the program is ready. An engine
    /// looks at it once, as soon as it handles these signals itself: one may have come before that.
    pub stop: Arc<AtomicBool>,
}

/// The engines there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One thread, one poll, every socket.
    Reactor,
    /// A thread per connection.
    Threads,
}

/// Serves until it is told to stop (SIGINT, SIGTERM, Esc).
///
/// # Errors
/// What keeps the engine from running at all; what happens to one connection is not among it.
pub fn serve(_engine: Engine, _setup: Setup) -> std::io::Result<()> {
    Ok(())
}
