//! What a `console` service may be told.

use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::config::duration;
use crate::limits;

/// The options of a service; every one has a default.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Names under which browsers reach this machine, besides its own: one or a list; see `--host`.
    #[serde(deserialize_with = "one_or_many")]
    pub host: Vec<String>,
    /// The room that the chat page enters first.
    pub room: String,
    /// What the names given begin with.
    pub guest: String,
    /// Longest message of the chat in bytes, at most 16,384.
    pub max_line: usize,
    /// Longest message of `/ws/echo` in bytes, all its frames together; 1 MiB by default.
    pub max_message: usize,
    /// After so long a silence a peer of a WebSocket is asked whether it is there; 30 s by default.
    #[serde(with = "duration")]
    pub ping_every: Duration,
    /// How long it may take to answer, and to take any byte of what waits for it; 20 s by default.
    #[serde(with = "duration")]
    pub ping_patience: Duration,
    /// How long a connection may say nothing, or not finish a request; 30 s by default.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// This machine's name, once it was asked for.
    #[serde(skip)]
    machine: OnceLock<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: Vec::new(),
            room: "lobby".to_owned(),
            guest: "guest".to_owned(),
            max_line: 4096,
            max_message: 1024 * 1024,
            ping_every: Duration::from_secs(30),
            ping_patience: Duration::from_secs(20),
            request_timeout: Duration::from_secs(30),
            machine: OnceLock::new(),
        }
    }
}

impl Options {
    /// The name of this machine.
    pub(super) fn machine(&self) -> &str {
        self.machine.get_or_init(|| {
            let names = rustix::system::uname();
            names.nodename().to_string_lossy().to_ascii_lowercase()
        })
    }

    /// Looks whether the options make sense.
    ///
    /// # Errors
    /// What does not, in a few words.
    pub(super) fn prepare(&self) -> Result<(), String> {
        if let Some(bad) = self.host.iter().find(|name| !is_name(name)) {
            return Err(format!("host: {bad:?} is no name of a machine; it is written without a port"));
        }
        if self.max_message > limits::WEBSOCKET_MESSAGE {
            return Err(format!("max_message is {} at the most", limits::WEBSOCKET_MESSAGE));
        }
        if self.ping_every.is_zero() || self.ping_patience.is_zero() {
            return Err("ping_every and ping_patience are longer than nothing".to_owned());
        }
        Ok(())
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a name, or a list of names")]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Names::deserialize(source)? {
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    })
}

/// Letters, digits, dots and the marks that names of machines have.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}
