//! The flags of `switchboard compare`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::EngineName;
use crate::client::Target;
use crate::config::duration;

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard compare                            every engine, every load, a few minutes
  switchboard compare --quick                    the same, coarser, in under a minute
  switchboard compare --html report.html         a page with plots
  switchboard compare --engine reactor,threads --only echo --connections 1,100
  switchboard compare --peer mine=127.0.0.1:9000           your echo server beside them
  switchboard compare --peer mine=127.0.0.1:9000@4711      with its memory and CPU
  switchboard compare --peer mine/chat=127.0.0.1:9001      your chat server

Ctrl-C ends it with the results so far.
Exit code: 0; 1 if nothing could be measured; 2 for wrong usage.";

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// Echo over some, many and very many connections
    Echo,
    /// Echo with idle connections beside it
    Idle,
    /// Memory per idle connection
    Memory,
    /// Connect, request, close
    Churn,
    /// One speaks, all others hear it
    Chat,
    /// A small file over HTTP
    Http,
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Bytes come back.
    Echo,
    /// Lines go to all others.
    Chat,
    /// Files.
    Http,
}

impl Service {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Chat => "chat",
            Self::Http => "http",
        }
    }
}

/// Somebody else's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What it is called here.
    pub name: String,
    /// What it speaks.
    pub service: Service,
    /// Where it is.
    pub target: Target,
    /// Its process, if it is on this machine and its memory and CPU are wanted.
    pub pid: Option<u32>,
    /// How it was written.
    pub text: String,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "it is written NAME=HOST:PORT, as in mine=127.0.0.1:9000";
        let (name, address) = text.split_once('=').ok_or(form)?;
        let (name, service) = match name.split_once('/') {
            None | Some((_, "echo")) => (name.trim_end_matches("/echo"), Service::Echo),
            Some((name, "chat")) => (name, Service::Chat),
            Some((name, "http")) => (name, Service::Http),
            Some((_, other)) => return Err(format!("{other:?} cannot be compared: echo, chat and http can")),
        };
        if name.is_empty() || name.chars().any(|c| c.is_control() || c == ',') || name.len() > 24 {
            return Err(format!("a name has 1 to 24 characters; {form}"));
        }
        let (address, pid) = match address.split_once('@') {
            None => (address, None),
            Some((address, pid)) => {
                (address, Some(pid.parse().map_err(|_| format!("{pid:?} is no process number"))?))
            }
        };
        let target = Target::parse(address, None).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), service, target, pid, text: text.to_owned() })
    }
}

/// What to compare, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The engines; ratios are to the first [default: all of them] [e.g. --engine reactor,threads]
    #[arg(long, value_enum, value_name = "NAME,..", value_delimiter = ',', help_heading = "Who")]
    pub engine: Vec<EngineName>,
    /// Another server beside them; may be repeated. NAME/chat and NAME/http speak these instead of echo;
    /// @PID after the port shows a local one's memory and CPU [e.g. --peer mine=127.0.0.1:9000]
    #[arg(long, value_name = "NAME=HOST:PORT[@PID]", help_heading = "Who")]
    pub peer: Vec<Peer>,

    /// These loads only [e.g. --only echo,memory]
    #[arg(long, value_enum, value_name = "LOAD,..", value_delimiter = ',', help_heading = "What")]
    pub only: Vec<Group>,
    /// echo: how many connections [default: 1,64,1000,4000]
    #[arg(long, value_name = "N,..", value_delimiter = ',', help_heading = "What")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: Vec<u32>,
    /// idle, memory: how many idle connections [default: 0,1000,10000]
    #[arg(long, value_name = "N,..", value_delimiter = ',', help_heading = "What")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub idle: Vec<u32>,
    /// Bytes of an echo
    #[arg(long, value_name = "BYTES", default_value_t = 64, help_heading = "What")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub size: u32,

    /// Fewer loads, fewer and shorter slices: under a minute
    #[arg(long, help_heading = "How")]
    pub quick: bool,
    /// How long a slice of load is [default: 200ms, 100ms with --quick]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, help_heading = "How")]
    pub slice: Option<Duration>,
    /// How many slices each gets per load; from 6 on, intervals hold the median in 95 % of the cases or more
    /// [default: 9, 6 with --quick]
    #[arg(long, value_name = "N", help_heading = "How")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,
    /// Cores that the engines share; the load has the others
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "How")]
    pub server_cores: usize,

    /// The results as JSON, on standard output or in a file
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    #[arg(help_heading = "What is shown")]
    pub json: Option<PathBuf>,
    /// The results as a page with plots, in one file
    #[arg(long, value_name = "FILE", help_heading = "What is shown")]
    pub html: Option<PathBuf>,
    /// The plots of that page as files of a directory
    #[arg(long, value_name = "DIR", help_heading = "What is shown")]
    pub svg: Option<PathBuf>,
    /// No progress bar
    #[arg(long, short, help_heading = "What is shown")]
    pub quiet: bool,
}

impl Args {
    /// Whether a group is asked for.
    pub fn has(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_as_they_are_written() {
        let peer: Peer = "mine=127.0.0.1:9000".parse().unwrap();
        assert_eq!((peer.name.as_str(), peer.service, peer.pid), ("mine", Service::Echo, None));
        assert_eq!(peer.target.port, 9000);
        let peer: Peer = "mine/chat=localhost:9001@12".parse().unwrap();
        assert_eq!((peer.name.as_str(), peer.service, peer.pid), ("mine", Service::Chat, Some(12)));
        for wrong in ["", "mine", "mine=", "=h:1", "mine=h", "mine=h:1@x", "mine/ftp=h:1", "a,b=h:1"] {
            assert!(wrong.parse::<Peer>().is_err(), "{wrong}");
        }
    }
}
