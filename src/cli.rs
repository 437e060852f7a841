//! The command line. What a flag does not say, its variable of the environment may (`SWITCHBOARD_*`),
//! and what that does not say, the configuration file; [`crate::config`] puts the three together.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::Deserialize;

use crate::check;
use crate::client::Client;
use crate::config::{MaxBuffers, Origin, duration};
pub use crate::engine::Engine as EngineName;

const EXAMPLES: &str = "\
Examples:
  switchboard                                   all, for this machine only
  switchboard --only http --root site           a web server for a directory
  switchboard --bind 0.0.0.0 --without discard  for a whole class
  switchboard --port echo=0 --ports-file ports  any free port, told to a script
  switchboard --set modify.mode=reverse         \"Hello\" -> \"olleH\"
  switchboard --set shout.protocol=modify --set shout.mode=upper \\
              --port shout=8889                 a second service of a protocol

Every flag can be set in the environment (--bind: SWITCHBOARD_BIND), and most
in a file (--config). A flag wins over the environment, which wins over the file.";

const COMPLETIONS: &str = "\
Examples:
  switchboard completions bash > ~/.local/share/bash-completion/completions/switchboard
  switchboard completions zsh > ~/.zfunc/_switchboard    (with fpath+=~/.zfunc before compinit)
  switchboard completions fish > ~/.config/fish/completions/switchboard.fish";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// What was asked for.
#[derive(Debug, Parser)]
#[command(
    name = "switchboard", version, about, styles = STYLES, after_help = EXAMPLES,
    args_conflicts_with_subcommands = true, max_term_width = 100
)]
pub struct Cli {
    /// What to do; to serve unless said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `serve`, which may be left out.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the protocols (this is what happens without a subcommand)
    #[command(after_help = EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// List the services: name, default port, what it does, where it is specified
    Services {
        /// Say how an engine serves each, and what it does not serve [e.g. --engine iterative]
        #[arg(long, value_name = "ENGINE")]
        engine: Option<EngineName>,
    },
    /// Print what makes a shell complete this program's words on Tab
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The shell [e.g. bash]
        shell: Shell,
    },
    /// Tell what a server does wrong: the conformance cases, each failure explained
    #[command(after_help = check::command::EXAMPLES)]
    Check(Box<check::command::Args>),
    /// Put a load on a server, and verify every byte that comes back
    #[command(after_help = crate::load::args::EXAMPLES)]
    Stress(Box<crate::load::Args>),
    /// Compare the engines, and other servers beside them: table, JSON, a page with plots
    #[command(after_help = crate::load::compare::args::EXAMPLES)]
    Compare(Box<crate::load::compare::Args>),
    /// The clients.
    #[command(flatten)]
    Client(Client),
}

/// The flags of `serve`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Listen on this address instead of the loopback addresses; may be repeated.
    /// `*` is both 0.0.0.0 and ::, open to the network
    /// [e.g. --bind 0.0.0.0]
    #[arg(long, env = "SWITCHBOARD_BIND", value_name = "ADDR", value_delimiter = ',', hide_env = true)]
    #[arg(help_heading = "Where")]
    pub bind: Vec<String>,

    /// Change a service's port; 0 takes any free one [e.g. --port http=8000]
    #[arg(long, env = "SWITCHBOARD_PORT", value_name = "NAME=PORT", value_delimiter = ',', hide_env = true)]
    #[arg(help_heading = "Where")]
    pub port: Vec<PortOf>,

    /// Use the ports of the RFCs: 7, 9, 13, 19, 37, and 80 for http (needs a privilege)
    #[arg(long, env = "SWITCHBOARD_WELL_KNOWN", hide_env = true, help_heading = "Where")]
    #[arg(value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub well_known: bool,

    /// Write `name transport address:port` lines once everything listens: a signal for scripts
    /// [e.g. --ports-file /tmp/ports]
    #[arg(
        long,
        env = "SWITCHBOARD_PORTS_FILE",
        value_name = "FILE",
        hide_env = true,
        help_heading = "Where"
    )]
    pub ports_file: Option<PathBuf>,

    /// Run these services and no others [e.g. --only http,echo]
    #[arg(long, env = "SWITCHBOARD_ONLY", value_name = "NAME,..", value_delimiter = ',', hide_env = true)]
    #[arg(help_heading = "What")]
    pub only: Vec<String>,

    /// Run all services but these [e.g. --without chargen,discard]
    #[arg(long, env = "SWITCHBOARD_WITHOUT", value_name = "NAME,..", value_delimiter = ',', hide_env = true)]
    #[arg(help_heading = "What")]
    pub without: Vec<String>,

    /// Run these services as well, which do not run unless asked [e.g. --with udp-chat]
    #[arg(long, env = "SWITCHBOARD_WITH", value_name = "NAME,..", value_delimiter = ',', hide_env = true)]
    #[arg(help_heading = "What")]
    pub with: Vec<String>,

    /// Change an option of a service; `protocol` makes a new one [e.g. --set modify.mode=upper]
    // Values may hold commas, so several of them in the environment stand on lines of their own.
    #[arg(long, env = "SWITCHBOARD_SET", value_name = "SERVICE.KEY=VALUE", value_delimiter = '\n')]
    #[arg(hide_env = true, help_heading = "What")]
    pub set: Vec<OptionOf>,

    /// The directory that http and download serve; the current one unless set
    /// [e.g. --root ~/site]
    #[arg(long, env = "SWITCHBOARD_ROOT", value_name = "DIR", hide_env = true, help_heading = "Files")]
    pub root: Option<PathBuf>,

    /// The file that stands for its directory; none if empty [default: index.html]
    /// [e.g. --index home.html]
    #[arg(long, env = "SWITCHBOARD_INDEX", value_name = "NAME", hide_env = true, help_heading = "Files")]
    pub index: Option<String>,

    /// Do not list directories that have no index file
    #[arg(long, env = "SWITCHBOARD_NO_LISTING", hide_env = true, help_heading = "Files")]
    #[arg(value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub no_listing: bool,

    /// Serve files whose names begin with a dot
    #[arg(long, env = "SWITCHBOARD_HIDDEN", hide_env = true, help_heading = "Files")]
    #[arg(value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub hidden: bool,

    /// Answer with this file where there is none: below the root, its path relative to that
    /// [e.g. --not-found 404.html]
    #[arg(long, env = "SWITCHBOARD_NOT_FOUND", value_name = "FILE", hide_env = true)]
    #[arg(help_heading = "Files")]
    pub not_found: Option<PathBuf>,

    /// Let pages of other origins read the files
    #[arg(long, env = "SWITCHBOARD_CORS", hide_env = true, help_heading = "Files")]
    #[arg(value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub cors: bool,

    /// The Cache-Control field of files [e.g. --cache-control max-age=60]
    #[arg(long, env = "SWITCHBOARD_CACHE_CONTROL", value_name = "VALUE", hide_env = true)]
    #[arg(help_heading = "Files")]
    pub cache_control: Option<String>,

    /// Follow symbolic links that lead out of the root
    #[arg(long, env = "SWITCHBOARD_FOLLOW_SYMLINKS", hide_env = true, help_heading = "Files")]
    #[arg(value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub follow_symlinks: bool,

    /// Write a line for every request of http to a file, - for stdout
    /// [e.g. --access-log access.log]
    #[arg(long, env = "SWITCHBOARD_ACCESS_LOG", value_name = "FILE|-", hide_env = true)]
    #[arg(help_heading = "Files")]
    pub access_log: Option<PathBuf>,

    /// The directory that upload stores files in, made when the first one comes. It is
    /// never served [default: uploads] [e.g. --uploads /srv/homework]
    #[arg(long, env = "SWITCHBOARD_UPLOADS", value_name = "DIR", hide_env = true, help_heading = "Files")]
    pub uploads: Option<PathBuf>,

    /// Stop when upload has stored one file [e.g. --only upload --once]
    #[arg(long, env = "SWITCHBOARD_ONCE", hide_env = true, help_heading = "Files")]
    #[arg(value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub once: bool,

    /// Write everything that is said in the chat to a file, - for stdout
    /// [e.g. --transcript chat.txt]
    #[arg(long, env = "SWITCHBOARD_TRANSCRIPT", value_name = "FILE|-", hide_env = true)]
    #[arg(help_heading = "Files")]
    pub transcript: Option<PathBuf>,

    /// Another name of this machine, to which console answers browsers; may be repeated
    /// [e.g. --host lab.example.org]
    #[arg(long, env = "SWITCHBOARD_HOST", value_name = "NAME", value_delimiter = ',', hide_env = true)]
    #[arg(help_heading = "Where")]
    pub host: Vec<String>,

    /// Read settings from a TOML file [e.g. --config switchboard.toml]
    #[arg(long, env = "SWITCHBOARD_CONFIG", value_name = "FILE", hide_env = true, help_heading = "How")]
    pub config: Option<PathBuf>,

    /// What moves the bytes: reactor, threads, processes or iterative (one client at a time)
    /// [default: reactor] [e.g. --engine threads]
    #[arg(long, env = "SWITCHBOARD_ENGINE", value_name = "ENGINE", hide_env = true)]
    #[arg(hide_possible_values = true, help_heading = "How")]
    pub engine: Option<EngineName>,

    /// Connections that the kernel completes before they are accepted; it may allow fewer
    /// [default: 4096] [e.g. --backlog 5]
    #[arg(long, env = "SWITCHBOARD_BACKLOG", value_name = "N", hide_env = true, help_heading = "How")]
    pub backlog: Option<u16>,

    /// What the buffers of all connections may take together, or unlimited; who holds the most for
    /// the longest is closed then [default: 256 MiB if others can connect] [e.g. --max-buffers 64MiB]
    #[arg(long, env = "SWITCHBOARD_MAX_BUFFERS", value_name = "SIZE", hide_env = true)]
    #[arg(help_heading = "How")]
    pub max_buffers: Option<MaxBuffers>,

    /// How long a stop waits for what is being sent [default: 5s] [e.g. --grace 500ms]
    #[arg(long, env = "SWITCHBOARD_GRACE", value_name = "DURATION", hide_env = true, help_heading = "How")]
    #[arg(value_parser = duration::parse)]
    pub grace: Option<Duration>,

    /// Log more than a line per connection: -v for debugging, -vv for everything
    #[arg(short, long, env = "SWITCHBOARD_VERBOSE", action = ArgAction::Count, hide_env = true)]
    #[arg(help_heading = "How")]
    pub verbose: u8,

    /// Log warnings and errors only
    #[arg(short, long, env = "SWITCHBOARD_QUIET", hide_env = true, help_heading = "How")]
    #[arg(conflicts_with = "verbose")]
    #[arg(value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub quiet: bool,

    /// Become this user once the ports are bound; for root, to bind low ones [e.g. --user nobody]
    #[arg(long, env = "SWITCHBOARD_USER", value_name = "NAME", hide_env = true, help_heading = "How")]
    pub user: Option<String>,

    /// How log lines on stderr look [default: text] [e.g. --log-format json]
    #[arg(long, env = "SWITCHBOARD_LOG_FORMAT", value_name = "text|json", hide_env = true)]
    #[arg(hide_possible_values = true, help_heading = "How")]
    pub log_format: Option<LogFormat>,

    /// End when this process does, which has started this one: whatever way it ends.
    #[arg(long, value_name = "PID", hide = true)]
    pub end_with: Option<u32>,

    /// The identifiers of the arguments that the environment gave.
    #[arg(skip)]
    pub from_environment: Vec<String>,
}

impl ServeArgs {
    /// How an error message names the source of this argument: `--set`, or `SWITCHBOARD_SET`.
    pub fn origin(&self, id: &str) -> Origin {
        Origin::Argument(if self.from_environment.iter().any(|given| given == id) {
            format!("SWITCHBOARD_{}", id.to_uppercase())
        } else {
            format!("--{}", id.replace('_', "-"))
        })
    }
}

/// A service's port: `echo=7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOf {
    /// The service.
    pub service: String,
    /// Its port; 0 for any.
    pub port: u16,
}

impl FromStr for PortOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, port) = text.split_once('=').ok_or("it is written NAME=PORT, as in http=8000")?;
        let port = port.parse().map_err(|_| format!("{port:?} is no port: 0 to 65535"))?;
        Ok(Self { service: service.to_owned(), port })
    }
}

/// An option of a service: `modify.mode=upper`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionOf {
    /// The service.
    pub service: String,
    /// The option.
    pub key: String,
    /// Its value: TOML, or a string without quotes.
    pub value: String,
}

impl FromStr for OptionOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(path, value)| Some((path.split_once('.')?, value)));
        let ((service, key), value) =
            parts.ok_or("it is written SERVICE.KEY=VALUE, as in modify.mode=upper")?;
        Ok(Self { service: service.to_owned(), key: key.to_owned(), value: value.to_owned() })
    }
}

/// What a line of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// Reads the command line and the environment.
///
/// # Errors
/// Wrong usage; also the texts of `--help` and `--version`, as `clap` has it.
pub fn parse<I>(arguments: I) -> Result<Cli, clap::Error>
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let given = match (&mut cli.command, matches.subcommand()) {
        (Some(Command::Serve(args)), Some((_, matches))) => (&mut **args, matches),
        _ => (&mut cli.serve, &matches),
    };
    given.0.from_environment = from_environment(given.1);
    Ok(cli)
}

/// The script that makes a shell complete the program's words.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "switchboard", &mut script);
    script
}

fn from_environment(matches: &ArgMatches) -> Vec<String> {
    let given = |id: &str| {
        let known = matches.try_contains_id(id).unwrap_or_default();
        known && matches.value_source(id) == Some(ValueSource::EnvVariable)
    };
    matches.ids().map(clap::Id::as_str).filter(|id| given(id)).map(str::to_owned).collect()
}
