//! The clients: one file each, and what they share.
//!
//! A client is a blocking program with deadlines: it serves one person, so it needs no reactor. Each one
//! speaks to any server of its kind, not only to this program's daemon.

use std::io::{self, Write};

use clap::Subcommand;

pub mod chat;
pub mod common;
pub mod echo;
pub mod fetch;
pub mod get;
mod link;
pub mod listen;
pub mod lookup;
pub mod output;
mod progress;
pub mod put;
pub mod send;
pub mod stats;
pub mod talk;
pub mod target;
pub mod time;
pub mod udp_chat;
pub mod wait;

pub use common::Common;
pub use target::{Family, Target};

/// The clients, a subcommand each.
#[derive(Debug, Subcommand)]
pub enum Client {
    /// Send messages, show what comes back and how long it took
    Echo(Box<echo::Args>),
    /// Ask for the time, and say by how much the clocks differ
    Time(Box<time::Args>),
    /// Get a page or a file from a web server
    Get(Box<get::Args>),
    /// Send a text to whoever listens
    Send(Box<send::Args>),
    /// Receive what others send, and show it
    Listen(Box<listen::Args>),
    /// Ask what this machine, a name or an address is called
    Lookup(lookup::Args),
    /// Send files to a server's upload service
    #[command(after_help = put::EXAMPLES)]
    Put(put::Args),
    /// Fetch files from a server's download service
    #[command(after_help = fetch::EXAMPLES)]
    Fetch(fetch::Args),
    /// Chat with a server, or with one other who connects
    Chat(chat::Args),
    /// Chat with everybody on the network: a datagram for each line, no server
    UdpChat(udp_chat::Args),
}

/// Runs a client until it is done.
///
/// # Errors
/// What kept it from doing what was asked.
pub fn run(client: &Client) -> Result<(), Error> {
    let result = match client {
        Client::Echo(args) => echo::run(args),
        Client::Time(args) => time::run(args),
        Client::Send(args) => send::run(args),
        Client::Listen(args) => listen::run(args),
        Client::Get(args) => get::run(args),
        Client::Lookup(args) => lookup::run(args),
        Client::Put(args) => put::run(args),
        Client::Fetch(args) => fetch::run(args),
        Client::Chat(args) => chat::run(args),
        Client::UdpChat(args) => udp_chat::run(args),
    };
    match result {
        // Who read the output had enough of it: that is no failure, and nobody is left to tell.
        Err(Error::ReaderGone) => Ok(()),
        other => other,
    }
}

/// Why a client ends without having done what it was asked. Each one says in a line what to check.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// The server, or the way to it, failed: refused, timed out, reset, or there is no such name.
    #[error("{0}")]
    Network(String),
    /// What came is not what was asked for.
    #[error("{0}")]
    Wrong(String),
    /// A file or the terminal failed.
    #[error("{what}: {error}")]
    File {
        /// What was to be done with which file.
        what: String,
        /// Why it could not.
        error: io::Error,
    },
    /// Whoever read standard output is gone (`| head -1`): nothing is said, the exit code is 0.
    #[error("nobody reads the output any more")]
    ReaderGone,
}

impl Error {
    /// 2 for wrong usage, 1 for what failed in doing it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Network(_) | Self::Wrong(_) | Self::File { .. } => 1,
            Self::ReaderGone => 0,
        }
    }
}

/// Says something on standard output.
///
/// # Errors
/// Nobody takes it.
fn say(line: &str) -> Result<(), Error> {
    let write = || {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}").and_then(|()| stdout.flush())
    };
    write().map_err(|error| Error::File { what: "cannot write to standard output".to_owned(), error })
}

/// Keeps an error until the rest is done; one that was kept before is shown now.
fn note(kept: &mut Option<Error>, error: Error) {
    if let Some(earlier) = kept.replace(error) {
        // Nobody is left to tell if this fails.
        let _ = writeln!(io::stderr(), "error: {earlier}");
    }
}
