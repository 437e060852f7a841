//! What the program does, from the command line to the exit code.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::bind::{self, Bound, SocketFiles};
use crate::cli::{self, Cli, Command, ServeArgs};
use crate::config::{self, Plan};
use crate::engine::control::Control;
use crate::engine::successor::Succession;
use crate::engine::{self, Setup};
use crate::inherit::{self, Inherited};
use crate::mutation::{Mutant, is_planted};
use crate::protocol::chat;
use crate::renewal::{Daemon, Renewal};
use crate::shared::Shared;
use crate::show::{self, Show};
use crate::start::{self, Screen, Start};
use crate::{check, client, directory, load, logging, ports_file, privileges};

/// Why the program ends without having done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was asked makes no sense.
    #[error(transparent)]
    Configuration(#[from] config::Error),
    /// The sockets that the program was started with are not right.
    #[error(transparent)]
    Inherited(#[from] inherit::Error),
    /// A place to listen could not be had.
    #[error(transparent)]
    Bind(#[from] bind::Error),
    /// The program could not become another user.
    #[error(transparent)]
    User(#[from] privileges::Error),
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
    /// What went wrong is told by the process that goes on instead; this is the exit code.
    #[error("the restart failed")]
    Told(u8),
    /// A comparison without a figure; the table says why.
    #[error("nothing could be measured; see above")]
    Compare,
}

impl Failure {
    /// 2 for wrong usage or configuration, 1 for what failed in doing it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Inherited(_) => 2,
            Self::Told(code) => *code,
            Self::Client(error) => error.exit_code(),
            Self::Bind(_)
            | Self::User(_)
            | Self::PortsFile(..)
            | Self::Engine(_)
            | Self::Stress
            | Self::Compare => 1,
        }
    }
}

/// Says on stderr what went wrong.
pub fn complain(failure: &Failure) {
    if matches!(failure, Failure::Told(_)) {
        return;
    }
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
    let inherited = Inherited::take()?;
    let predecessor = inherited.predecessor();
    serve_what_is_inherited(args, inherited).map_err(|failure| {
        let told = predecessor.failed(&failure.to_string());
        if told { Failure::Told(failure.exit_code()) } else { failure }
    })
}

fn serve_what_is_inherited(args: &ServeArgs, mut inherited: Inherited) -> Result<(), Failure> {
    let predecessor = inherited.predecessor();
    let mut plan = Plan::new(args)?;
    // Only a test starts two programs in one process, and may keep the first one's log.
    let _ = logging::start(plan.log_level, plan.log_format);
    let descriptors = raise_descriptors();
    // That of a run which is being replaced is right until the moment when it is replaced.
    if let Some(path) = plan.ports_file.as_ref().filter(|_| !predecessor.exists()) {
        ports_file::clear(path).map_err(|error| ports_failure(path, error))?;
    }
    // From here on a signal to stop is obeyed, by the engine if need be as soon as it runs: whoever reads
    // the ports file may send one at once.
    let mut control = Control::new().map_err(Failure::Engine)?;
    if args.config.is_some() || is_planted(Mutant::HangUpTaken) {
        control.take_reloads().map_err(Failure::Engine)?;
    }
    let mut bound = listen(&plan, &mut inherited)?;
    bound.refused.append(&mut plan.unserved);
    // Removed on the way out, whichever way that is, if they are this run's by then.
    let files = Arc::new(SocketFiles::of(&bound.listeners));
    files.belongs_to_another().store(predecessor.exists(), Ordering::SeqCst);
    let mut succession = Succession::new(&plan.services, &bound.listeners, files.belongs_to_another())
        .map_err(Failure::Engine)?;
    succession.predecessor(predecessor, inherited.left_over());
    let estate = succession.estate();
    control.take_restarts(succession);
    // What nobody listens to any more is closed.
    drop(inherited);
    tell_scripts_and_drop_privileges(&plan, &bound)?;
    let shared = Arc::new(announce(&plan, &bound, descriptors, control.has_keyboard()));
    let daemon = Daemon { spots: bound.spots(), shared: Arc::clone(&shared), files, estate };
    let reload = Renewal::new(args.clone(), &plan, daemon).reload();
    let Plan { services, grace, max_buffers, engine, .. } = plan;
    let listeners = bound.listeners;
    let setup = Setup { services, listeners, shared, grace, descriptors, control, reload, max_buffers };
    engine::serve(engine, setup).map_err(Failure::Engine)
}

/// Writes the ports file, where only the one who started the program may be able to, and becomes the user.
fn tell_scripts_and_drop_privileges(plan: &Plan, bound: &Bound) -> Result<(), Failure> {
    if let Some(path) = &plan.ports_file {
        ports_file::write(path, &plan.services, &bound.spots())
            .map_err(|error| ports_failure(path, error))?;
    }
    let Some(user) = &plan.user else { return Ok(()) };
    privileges::become_user(user).map_err(|error| {
        // Nothing is ready.
        let _ = plan.ports_file.as_deref().map(ports_file::clear);
        error.into()
    })
}

/// The sockets: those that are inherited, and those that are bound.
fn listen(plan: &Plan, inherited: &mut Inherited) -> Result<Bound, Failure> {
    inherited.assign(&plan.services)?;
    let bound = bind::bind(&plan.services, &plan.places, inherited)?;
    if let Some(backlog) = plan.backlog {
        bind::set_backlog(&bound.listeners, backlog).map_err(Failure::Engine)?;
    }
    Ok(bound)
}

/// Says to people what is served, and to the services what else there is.
fn announce(plan: &Plan, bound: &Bound, descriptors: u64, keys: bool) -> Shared {
    let start = Start { services: &plan.services, bound, descriptors, keys };
    print(&start.text(&Screen::of(&std::io::stdout())));
    show::unblock_terminals();
    let shared = Shared::new(Show::stdout());
    if let Some(address) = start.web_address() {
        shared.set_web_address(address);
    }
    shared.set_directory(directory::entries(&plan.services, &bound.spots()));
    for journal in chat::transcripts(plan.services.iter().map(|service| &service.options)) {
        shared.rooms().write_transcript(journal);
    }
    shared
}

/// Has the kernel stop this process when its parent ends, even if that is killed.
fn end_with(parent: u32) -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    let is_there = rustix::process::getppid().is_some_and(|pid| pid.as_raw_pid().cast_unsigned() == parent);
    if is_there { Ok(()) } else { Err(std::io::Error::other("the process to end with has ended")) }
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
