//! What the program does, from the command line to the exit code.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::bind::{self, Place, SocketFiles};
use crate::cli::{self, Cli, Command, ServeArgs};
use crate::config::{self, Plan};
use crate::engine::control::Control;
use crate::engine::reload::Reload;
use crate::engine::{self, Setup};
use crate::protocol::chat;
use crate::service::Service;
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
    /// A comparison without a figure; the table says why.
    #[error("nothing could be measured; see above")]
    Compare,
}

impl Failure {
    /// 2 for wrong usage or configuration, 1 for what failed in doing it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 2,
            Self::Client(error) => error.exit_code(),
            Self::Bind(_) | Self::PortsFile(..) | Self::Engine(_) | Self::Stress | Self::Compare => 1,
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
        Some(Command::Compare(args)) if load::compare::compare(args)? => Ok(()),
        Some(Command::Compare(_)) => Err(Failure::Compare),
        Some(Command::Client(client)) => Ok(client::run(client)?),
    }
}

fn serve(args: &ServeArgs) -> Result<(), Failure> {
    if let Some(parent) = args.end_with {
        end_with(parent).map_err(Failure::Engine)?;
    }
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
    if args.config.is_some() {
        control.take_reloads().map_err(Failure::Engine)?;
    }
    let mut bound = bind::bind(&plan.services, &plan.places)?;
    bound.refused.append(&mut plan.unserved);
    if let Some(backlog) = plan.backlog {
        bind::set_backlog(&bound.listeners, backlog).map_err(Failure::Engine)?;
    }
    // Removed on the way out, whichever way that is.
    let _files = SocketFiles::of(&bound.listeners);
    if let Some(path) = &plan.ports_file {
        ports_file::write(path, &plan.services, &bound.listeners)
            .map_err(|error| ports_failure(path, error))?;
    }
    let keys = control.has_keyboard();
    let start = Start { services: &plan.services, bound: &bound, descriptors, keys };
    print(&start.text(&Screen::of(&std::io::stdout())));

    show::unblock_terminals();
    let shared = Shared::new(Show::stdout());
    if let Some(address) = start.web_address() {
        shared.set_web_address(address);
    }
    shared.set_directory(directory::entries(&plan.services, &bound.listeners));
    for journal in chat::transcripts(plan.services.iter().map(|service| &service.options)) {
        shared.rooms().write_transcript(journal);
    }
    let reload = reload(args.clone(), &plan);
    let (services, listeners, grace) = (plan.services, bound.listeners, plan.grace);
    let setup = Setup { services, listeners, shared: Arc::new(shared), grace, descriptors, control, reload };
    engine::serve(plan.engine, setup).map_err(Failure::Engine)
}

/// Has the kernel stop this process when its parent ends, even if that is killed.
fn end_with(parent: u32) -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    let is_there = rustix::process::getppid().is_some_and(|pid| pid.as_raw_pid().cast_unsigned() == parent);
    if is_there { Ok(()) } else { Err(std::io::Error::other("the process to end with has ended")) }
}

/// Reads the configuration again. What it says of limits, access and options can change while the daemon
/// runs; where it listens cannot.
fn reload(args: ServeArgs, plan: &Plan) -> Reload {
    let names = |services: &[Service]| -> Vec<_> {
        services.iter().map(|service| (service.name.clone(), service.row.kind)).collect()
    };
    let at = |places: &[Place]| -> Vec<_> {
        places.iter().map(|place| (place.service, place.at.clone())).collect()
    };
    let (old_names, old_places) = (names(&plan.services), at(&plan.places));
    Reload::new(move || {
        let plan = Plan::new(&args).map_err(|error| error.to_string())?;
        if names(&plan.services) != old_names {
            return Err("services came or went; that takes a restart".to_owned());
        }
        if at(&plan.places) != old_places {
            return Err("a service listens somewhere else; that takes a restart".to_owned());
        }
        Ok(plan.services)
    })
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
