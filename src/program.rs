//! What the program does, from the command line to the exit code.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::bind::{self, SocketFiles};
use crate::cli::{self, Cli, Command, ServeArgs};
use crate::config::{self, Plan};
use crate::engine::control::Control;
use crate::engine::{self, Setup};
use crate::mutation::{Mutant, is_planted};
use crate::protocol::chat;
use crate::renewal::Renewal;
use crate::shared::Shared;
use crate::show::{self, Show};
use crate::start::{self, Screen, Start};
use crate::{check, client, directory, load, logging, ports_file};

/// Why the program ends without having done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was asked makes no sense.
    #[error(transparent)]
    Configuration(#[from] config::Error),
    /// A place to listen could not be had.
    #[error(transparent)]
    Bind(#[from] bind::Error),
    /// The ports file could not be written.
    #[error("ports file {0}: {1}")]
    PortsFile(String, std::io::Error),
    /// The engine could not run.
    #[error("{0}")]
    Engine(std::io::Error),
    /// A client did not get what it was asked for.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// A load went wrong; the report says how.
    #[error("the server failed; see above")]
    Stress,
}

impl Failure {
    /// 2 for wrong usage or configuration, 1 for what failed in doing it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 2,
            Self::Client(error) => error.exit_code(),
            Self::Bind(_) | Self::PortsFile(..) | Self::Engine(_) | Self::Stress => 1,
        }
    }
}

/// Says on stderr what went wrong.
pub fn complain(failure: &Failure) {
    let style = if Screen::of(&std::io::stderr()).colours { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    // Nobody is left to tell if this fails.
    let _ = writeln!(std::io::stderr(), "{}error:{} {failure}", style.0, style.1);
}

/// Does what the command line says.
///
/// # Errors
/// What kept it from being done.
pub fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        None => serve(&cli.serve),
        Some(Command::Serve(args)) => serve(args),
        Some(Command::Services { engine }) => {
            print(&start::services(*engine, &Screen::of(&std::io::stdout())));
            Ok(())
        }
        Some(Command::Completions { shell }) => {
            print(&String::from_utf8_lossy(&cli::completions(*shell)));
            Ok(())
        }
        Some(Command::Check(args)) => Ok(check::command::run(args)?),
        Some(Command::Stress(args)) if load::stress::stress(args)? => Ok(()),
        Some(Command::Stress(_)) => Err(Failure::Stress),
        Some(Command::Client(client)) => Ok(client::run(client)?),
    }
}

fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let mut plan = Plan::new(args)?;
    // Only a test starts two programs in one process, and may keep the first one's log.
    let _ = logging::start(plan.log_level, plan.log_format);
    let descriptors = raise_descriptors();
    if let Some(path) = &plan.ports_file {
        ports_file::clear(path).map_err(|error| ports_failure(path, error))?;
    }
    // From here on a signal to stop is obeyed, by the engine if need be as soon as it runs: whoever reads
    // the ports file may send one at once.
    let mut control = Control::new().map_err(Failure::Engine)?;
    if args.config.is_some() || is_planted(Mutant::HangUpTaken) {
        control.take_reloads().map_err(Failure::Engine)?;
    }
    let mut bound = bind::bind(&plan.services, &plan.places)?;
    bound.refused.append(&mut plan.unserved);
    if let Some(backlog) = plan.backlog {
        bind::set_backlog(&bound.listeners, backlog).map_err(Failure::Engine)?;
    }
    // Removed on the way out, whichever way that is.
    let files = Arc::new(SocketFiles::of(&bound.listeners));
    let spots = bound.spots();
    if let Some(path) = &plan.ports_file {
        ports_file::write(path, &plan.services, &spots).map_err(|error| ports_failure(path, error))?;
    }
    let keys = control.has_keyboard();
    let start = Start { services: &plan.services, bound: &bound, descriptors, keys };
    print(&start.text(&Screen::of(&std::io::stdout())));

    show::unblock_terminals();
    let shared = Shared::new(Show::stdout());
    if let Some(address) = start.web_address() {
        shared.set_web_address(address);
    }
    shared.set_directory(directory::entries(&plan.services, &spots));
    for journal in chat::transcripts(plan.services.iter().map(|service| &service.options)) {
        shared.rooms().write_transcript(journal);
    }
    let (listeners, shared) = (bound.listeners, Arc::new(shared));
    let renewal = Renewal::new(args.clone(), &plan, spots, Arc::clone(&shared), Arc::clone(&files));
    let Plan { services, grace, max_buffers, engine, .. } = plan;
    let reload = renewal.reload();
    let setup = Setup { services, listeners, shared, grace, descriptors, control, reload, max_buffers };
    engine::serve(engine, setup).map_err(Failure::Engine)
}

fn ports_failure(path: &Path, error: std::io::Error) -> Failure {
    Failure::PortsFile(path.display().to_string(), error)
}

/// Raises the soft limit on descriptors to the hard one; gives what is in force then.
fn raise_descriptors() -> u64 {
    let raised = rlimit::increase_nofile_limit(u64::MAX);
    let read = |_| rlimit::getrlimit(rlimit::Resource::NOFILE).map(|(soft, _)| soft);
    // POSIX guarantees this few to everyone.
    raised.or_else(read).unwrap_or(20)
}

/// Prints at once. A reader that is gone does not keep the daemon from serving.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
