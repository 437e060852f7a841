//! The engines: each moves bytes and time, and none knows a protocol.

use std::sync::Arc;
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
}
