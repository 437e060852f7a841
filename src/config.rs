//! From flags, environment and file to services and the places where they listen.
//!
//! Every setting is kept with its origin until the end, so that whatever is wrong with it is said in
//! one line that names the key, and the file and line (or the flag) that set it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use crate::bind::{Place, Refused};
use crate::cli::{LogFormat, ServeArgs};
use crate::engine::Engine;
use crate::escape::is_hidden;
use crate::service::Service;

mod compose;
mod draft;
pub mod duration;
mod explain;
mod file;
mod files;
mod memory;
mod places;
#[cfg(test)]
mod tests;

use compose::Chosen;
use file::ConfigFile;
pub use memory::MaxBuffers;

/// How long a stop waits for what is being sent, unless told otherwise.
pub const GRACE: Duration = Duration::from_secs(5);

/// Everything that `serve` needs to know.
#[derive(Debug)]
pub struct Plan {
    /// The services that are to run.
    pub services: Vec<Service>,
    /// Where they are to listen.
    pub places: Vec<Place>,
    /// Those that the engine does not serve.
    pub unserved: Vec<Refused>,
    /// What moves the bytes.
    pub engine: Engine,
    /// Connections that wait to be accepted, per listener; `None` for [`crate::limits::BACKLOG`].
    pub backlog: Option<u16>,
    /// What the buffers of all connections may take together, in bytes; `None` for any amount.
    pub max_buffers: Option<usize>,
    /// How long a stop waits for what is being sent.
    pub grace: Duration,
    /// The file that tells scripts what listens where.
    pub ports_file: Option<PathBuf>,
    /// Who the program becomes once everything listens.
    pub user: Option<String>,
    /// What is logged.
    pub log_level: LevelFilter,
    /// What a line of the log looks like.
    pub log_format: LogFormat,
}

impl Plan {
    /// Puts flags, environment, file and defaults together, and sees to it that what the services'
    /// options name is there.
    ///
    /// # Errors
    /// The first thing that is wrong, in one line.
    pub fn new(args: &ServeArgs) -> Result<Self, Error> {
        let file = args.config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        let engine = args.engine.or(file.engine).unwrap_or_default();
        let Chosen { services, places, unserved } = compose::services(args, &file, engine)?;
        check_faults(&services, engine)?;
        let max_buffers = memory::max_buffers(args, &file, engine, &places)?;
        Ok(Self {
            services,
            places,
            unserved,
            engine,
            backlog: args.backlog.or(file.backlog),
            max_buffers,
            grace: args.grace.or(file.grace).unwrap_or(GRACE),
            ports_file: args.ports_file.clone().or(file.ports_file),
            user: args.user.clone().or(file.user),
            log_level: log_level(args).or(file.log_level).unwrap_or(LevelFilter::Info),
            log_format: args.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

/// Only the reactor does wrong on purpose.
fn check_faults(services: &[Service], engine: Engine) -> Result<(), Error> {
    let faulty = services.iter().find(|service| service.policy.faults.are_any());
    match faulty.filter(|_| engine != Engine::Reactor) {
        None => Ok(()),
        Some(service) => {
            let name = &service.name;
            let message = "faults on the wire (latency, chunk, ..) go with --engine reactor only";
            Err(Error(format!("service {name}: {message}")))
        }
    }
}

fn log_level(args: &ServeArgs) -> Option<LevelFilter> {
    match (args.quiet, args.verbose) {
        (true, _) => Some(LevelFilter::Warn),
        (false, 0) => None,
        (false, 1) => Some(LevelFilter::Debug),
        (false, _) => Some(LevelFilter::Trace),
    }
}

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is a default of the program.
    Default,
    /// A file, and a line of it, counted from 1.
    File(String, usize),
    /// A flag or a variable of the environment, as it is written.
    Argument(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name, line) => write!(f, "{name}:{line}"),
            Self::Argument(name) => f.write_str(name),
        }
    }
}

/// What is wrong with the configuration, in one line, whatever the names are that it quotes.
#[derive(Debug, thiserror::Error)]
#[error("{}", one_line(.0))]
pub struct Error(String);

impl Error {
    fn at(origin: &Origin, message: impl fmt::Display) -> Self {
        Self(format!("{origin}: {message}"))
    }
}

/// A key of TOML may have any character in it, line feeds and those that move a cursor as well.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        if is_hidden(c) { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// The login name, for greetings; a neutral one if the environment has none.
pub fn login_name() -> String {
    name_among(["USER", "LOGNAME"].map(|variable| std::env::var(variable).ok()))
}

fn name_among(candidates: [Option<String>; 2]) -> String {
    let fits = |name: &String| !name.is_empty() && !name.chars().any(char::is_control);
    candidates.into_iter().flatten().find(fits).unwrap_or_else(|| "friend".to_owned())
}
