//! What a `chat` service may be told.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Deserialize;

use super::flood::Rate;
use crate::config::duration;
use crate::journal::Journal;
use crate::protocol::Options as AnyOptions;
use crate::room::{Form, Profile, Style};

/// A line of this length and the room's log still hold several of them.
const LONGEST_LINE: usize = 16 * 1024;

/// The options of a service; every one has a default.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The room that one enters; services that name the same share it.
    pub room: String,
    /// What the names given begin with.
    pub guest: String,
    /// How the room looks to those who come in by this service.
    pub style: Look,
    /// Whether lines begin with the time of day.
    pub timestamps: bool,
    /// How many of the last lines said a newcomer is shown. None by default: the labs' clients take what
    /// they receive for what is being said, and quit when the quit word comes.
    pub history: usize,
    /// How long one may read nothing of what waits for it until its connection is given up; zero for ever.
    #[serde(with = "duration")]
    pub quiet_reader: Duration,
    /// Messages a second that one may send for long, from other machines; zero for any number.
    pub flood: u32,
    /// Messages that one may send at once beyond that.
    pub burst: u32,
    /// A file to which everything is appended that is said in any room; none by default.
    pub transcript: Option<PathBuf>,
    /// Longest message in bytes, at most 16,384.
    pub max_line: usize,
    /// How long an unterminated message stays quiet until it is passed on.
    #[serde(with = "duration")]
    pub pause: Duration,
    /// What the room needs to know of this, once it is asked for.
    #[serde(skip)]
    profile: OnceLock<Profile>,
    /// The open transcript.
    #[serde(skip)]
    journal: OnceLock<Arc<Journal>>,
}

/// The styles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    /// Names, notices, commands.
    Lab,
    /// The text alone.
    Raw,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            room: "lobby".to_owned(),
            guest: "guest".to_owned(),
            style: Look::Lab,
            timestamps: false,
            history: 0,
            quiet_reader: Duration::from_secs(300),
            flood: 10,
            burst: 50,
            transcript: None,
            max_line: 4096,
            pause: Duration::from_millis(300),
            profile: OnceLock::new(),
            journal: OnceLock::new(),
        }
    }
}

impl Options {
    /// Longest message in bytes.
    pub(super) fn max_line(&self) -> usize {
        self.max_line.min(LONGEST_LINE)
    }

    /// How fast one may speak.
    pub(super) fn rate(&self) -> Rate {
        Rate { flood: self.flood, burst: self.burst }
    }

    /// Whether nothing but text goes either way.
    pub(super) fn is_raw(&self) -> bool {
        self.style == Look::Raw
    }

    /// What the room needs to know of those who come in here.
    pub(super) fn profile(&self) -> &Profile {
        self.profile.get_or_init(|| Profile {
            form: Form::Line(Style { raw: self.is_raw(), timestamps: self.timestamps }),
            guest: self.guest.clone(),
            history: self.history,
            quiet_reader: self.quiet_reader,
        })
    }

    /// Makes sure that names can be given, and opens the transcript.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    pub(super) fn prepare(&self) -> Result<(), String> {
        for (key, value) in [("room", &self.room), ("guest", &self.guest)] {
            if !crate::room::is_name(value) {
                return Err(format!("{key} has 1 to 32 bytes of letters, digits, - _ and .: {value:?}"));
            }
        }
        if let Some(path) = &self.transcript {
            let journal =
                Journal::open(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            let _ = self.journal.set(Arc::new(journal));
        }
        Ok(())
    }
}

/// The transcripts that services want, a file once however many name it: all rooms are in each.
pub fn transcripts<'a>(services: impl Iterator<Item = &'a AnyOptions>) -> Vec<Arc<Journal>> {
    let mut found: Vec<(&PathBuf, Arc<Journal>)> = Vec::new();
    for options in services {
        let AnyOptions::Chat(options) = options else { continue };
        if let (Some(path), Some(journal)) = (&options.transcript, options.journal.get())
            && !found.iter().any(|(known, _)| *known == path)
        {
            found.push((path, Arc::clone(journal)));
        }
    }
    found.into_iter().map(|(_, journal)| journal).collect()
}
