//! What a `console` service may be told.

use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::config::duration;
use crate::limits;
use crate::protocol::chat::flood::Rate;
use crate::room::{Form, Profile, is_name as is_room_name};

/// A line of this length and the room's log still hold several of them.
const LONGEST_LINE: usize = 16 * 1024;

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
    /// How many of the last lines said a newcomer is shown.
    pub history: usize,
    /// How long a member may read nothing of what waits for it until its connection is given up; zero for
    /// ever.
    #[serde(with = "duration")]
    pub quiet_reader: Duration,
    /// Messages a second that one may send for long, from other machines; zero for any number.
    pub flood: u32,
    /// Messages that one may send at once beyond that.
    pub burst: u32,
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
    /// What the room needs to know of this, once it is asked for.
    #[serde(skip)]
    profile: OnceLock<Profile>,
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
            history: 50,
            quiet_reader: Duration::from_secs(300),
            flood: 10,
            burst: 50,
            max_line: 4096,
            max_message: 1024 * 1024,
            ping_every: Duration::from_secs(30),
            ping_patience: Duration::from_secs(20),
            request_timeout: Duration::from_secs(30),
            profile: OnceLock::new(),
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

    /// Longest message of the chat in bytes.
    pub(super) fn max_line(&self) -> usize {
        self.max_line.min(LONGEST_LINE)
    }

    /// Longest frame of the chat in bytes. JSON may write any byte of a line in six.
    pub(super) fn max_frame(&self) -> usize {
        6 * self.max_line() + 512
    }

    /// How fast one may speak.
    pub(super) fn rate(&self) -> Rate {
        Rate { flood: self.flood, burst: self.burst }
    }

    /// What the room needs to know of those who come in here.
    pub(super) fn profile(&self) -> &Profile {
        self.profile.get_or_init(|| Profile {
            form: Form::Frame,
            guest: self.guest.clone(),
            history: self.history,
            quiet_reader: self.quiet_reader,
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
        for (key, value) in [("room", &self.room), ("guest", &self.guest)] {
            if !is_room_name(value) {
                return Err(format!("{key} has 1 to 32 bytes of letters, digits, - _ and .: {value:?}"));
            }
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
