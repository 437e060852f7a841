//! A restart without a refused connection. A new process of the program inherits the sockets and reads the
//! configuration; when it says that it serves, this one stops accepting and finishes what it has begun. What
//! waits in the sockets' queues is the new one's, for the sockets are the same. If it does not come so far,
//! nothing has happened here.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;

use crate::inherit::{self, HANDOVER, Predecessor};
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::service::{Address, Listener, Service, Spot};

/// A socket that is passed on, and the name of its service.
#[derive(Debug)]
struct Passed {
    name: String,
    address: Address,
    socket: OwnedFd,
    given: bool,
}

/// The sockets that a successor gets: a copy of each, until they are closed here, which is when this process
/// drains. Shared by who passes them on and who has them change.
#[derive(Debug, Clone, Default)]
pub struct Estate(Arc<Mutex<Vec<Passed>>>);

/// What an [`Estate`] is to be.
#[derive(Debug)]
pub struct Sockets(Vec<Passed>);

impl Estate {
    fn sockets(&self) -> MutexGuard<'_, Vec<Passed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it will be when some sockets stay, perhaps for another service, and these are new.
    ///
    /// # Errors
    /// The system's.
    pub fn renewed(&self, services: &[Service], kept: &[Spot], new: &[Listener]) -> io::Result<Sockets> {
        let mut sockets = Vec::new();
        for passed in self.sockets().iter() {
            let spot = kept.iter().find(|spot| spot.address == passed.address);
            let service = spot.and_then(|spot| services.get(spot.service));
            if let Some(service) = service {
                let (name, address) = (service.name.clone(), passed.address.clone());
                sockets.push(Passed {
                    name,
                    address,
                    socket: passed.socket.try_clone()?,
                    given: passed.given,
                });
            }
        }
        if !is_planted(Mutant::NewPlaceUnpassed) {
            add(&mut sockets, services, new)?;
        }
        Ok(Sockets(sockets))
    }

    /// Makes it so.
    pub fn set(&self, sockets: Sockets) {
        *self.sockets() = sockets.0;
    }
}

/// Adds copies of sockets. A network's is shared by all that speak there: the successor opens its own.
fn add(sockets: &mut Vec<Passed>, services: &[Service], listeners: &[Listener]) -> io::Result<()> {
    for listener in listeners.iter().filter(|listener| listener.outlet.is_none()) {
        let Some(service) = services.get(listener.service) else { continue };
        let (name, address) = (service.name.clone(), listener.address.clone());
        sockets.push(Passed { name, address, socket: listener.socket.try_clone()?, given: listener.given });
    }
    // What is systemd's comes first, for it is counted.
    sockets.sort_by_key(|passed| !passed.given);
    Ok(())
}

/// See the module.
#[derive(Debug)]
pub struct Succession {
    program: PathBuf,
    arguments: Vec<OsString>,
    estate: Estate,
    /// Where to say that the files of the sockets are another's.
    belongs_to_another: Arc<AtomicBool>,
    predecessor: Predecessor,
    /// Files of sockets that the predecessor had and this run has not.
    left_over: Vec<PathBuf>,
    pending: Option<Pending>,
}

/// A process that is starting.
#[derive(Debug)]
struct Pending {
    child: Child,
    answer: OwnedFd,
    said: Vec<u8>,
    until: Instant,
}

/// What has become of a start.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This process serves.
    Serves(u32),
    /// It did not come so far, for this reason.
    Failed(String),
}

impl Succession {
    /// Keeps what a successor will need: the way to the program and its arguments as they were given, and a
    /// copy of each socket.
    ///
    /// # Errors
    /// The system's.
    pub fn new(
        services: &[Service],
        listeners: &[Listener],
        belongs_to_another: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let estate = Estate::default();
        add(&mut estate.sockets(), services, listeners)?;
        let arguments = env::args_os().skip(1).collect();
        let (program, predecessor, left_over) = (program()?, Predecessor::default(), Vec::new());
        Ok(Self { program, arguments, estate, belongs_to_another, predecessor, left_over, pending: None })
    }

    /// The sockets, for who has them change.
    pub fn estate(&self) -> Estate {
        self.estate.clone()
    }

    /// Whom this run is to replace, and which files of sockets are nobody's then.
    pub fn predecessor(&mut self, predecessor: Predecessor, left_over: Vec<PathBuf>) {
        (self.predecessor, self.left_over) = (predecessor, left_over);
    }

    /// This run serves: it answers for the sockets now. False if there was no predecessor to tell.
    pub(super) fn serves(&mut self) -> bool {
        self.belongs_to_another.store(false, Ordering::SeqCst);
        self.predecessor.ready();
        for path in self.left_over.drain(..) {
            let _ = std::fs::remove_file(path);
        }
        self.predecessor.exists()
    }

    /// Starts a successor; what it says will be an event for `token`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn start(&mut self, registry: &Registry, token: Token) -> Result<(), String> {
        if self.pending.is_some() {
            return Err("one is being started already".to_owned());
        }
        let pending = self.spawn().map_err(|error| format!("{}: {error}", self.program.display()))?;
        let watched =
            registry.register(&mut SourceFd(&pending.answer.as_raw_fd()), token, Interest::READABLE);
        log::info!("restarting: process {} is starting", pending.child.id());
        self.pending = Some(pending);
        watched.map_err(|error| self.give_up(&error.to_string()))
    }

    fn spawn(&self) -> io::Result<Pending> {
        let (answer, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&answer, OFlags::NONBLOCK)?;
        let mut passed = Vec::new();
        let sockets = self.estate.sockets();
        for Passed { socket, .. } in sockets.iter() {
            passed.push(socket.try_clone()?);
        }
        passed.push(theirs);
        let numbers = inherit::FIRST..RawFd::MAX;
        let mappings = passed.into_iter().zip(numbers);
        let mappings = mappings.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
        let names: Vec<_> = sockets.iter().map(|passed| passed.name.as_str()).collect();
        let given = sockets.iter().filter(|passed| passed.given).count();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        command.env(HANDOVER, given.to_string());
        // Both name this process.
        command.env_remove("LISTEN_PID").env_remove("WATCHDOG_PID");
        let child = command.fd_mappings(mappings).map_err(io::Error::other)?.spawn()?;
        let until = Instant::now() + limits::SUCCESSOR_START;
        Ok(Pending { child, answer, said: Vec::new(), until })
    }

    /// How long until a start has taken too long.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.pending.as_ref().map(|pending| pending.until.saturating_duration_since(Instant::now()))
    }

    /// What has become of the start, if it is known.
    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        let pending = self.pending.as_mut()?;
        if pending.has_more_to_say() {
            let late = Instant::now() >= pending.until;
            let message = format!("it did not start within {:?}", limits::SUCCESSOR_START);
            return late.then(|| Outcome::Failed(self.give_up(&message)));
        }
        let said = String::from_utf8_lossy(&pending.said).trim_end().to_owned();
        if said == inherit::READY || is_planted(Mutant::SuccessorTrusted) {
            let pid = pending.child.id();
            self.belongs_to_another.store(!is_planted(Mutant::FilesNotLeft), Ordering::SeqCst);
            // Its parent ends first.
            self.pending = None;
            return Some(Outcome::Serves(pid));
        }
        Some(Outcome::Failed(self.give_up(&said)))
    }

    /// Ends a start that is not to be, and gives the reason in full.
    fn give_up(&mut self, reason: &str) -> String {
        let Some(mut pending) = self.pending.take() else { return reason.to_owned() };
        let _ = pending.child.kill();
        // One that has ended by itself has not been killed by this. An engine of processes may have waited
        // for it already.
        let ended = pending.child.wait();
        match (reason.is_empty(), ended) {
            (false, _) => reason.to_owned(),
            (true, Ok(status)) => format!("it ended before it served ({status})"),
            (true, Err(_)) => "it ended before it served".to_owned(),
        }
    }

    /// This process drains, and listens no more.
    pub(super) fn end(&mut self) {
        if self.pending.is_some() {
            self.give_up("this process is stopping");
        }
        self.estate.sockets().clear();
    }
}

impl Pending {
    /// Reads what the process says; false when that was all. Its end of the pipe may stay open beyond that,
    /// in children that it has.
    fn has_more_to_say(&mut self) -> bool {
        let mut buffer = [0; 4096];
        while !self.said.ends_with(b"\n") {
            match rustix::io::read(&self.answer, &mut buffer) {
                Ok(n) if n > 0 && self.said.len() < limits::LOG_LINE => {
                    self.said.extend_from_slice(buffer.get(..n).unwrap_or_default());
                }
                Err(rustix::io::Errno::AGAIN) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => return false,
            }
        }
        false
    }
}

/// The program by the path under which it was called, so that a newer one there is what starts next; not by
/// what the kernel has of it, which is the file of this run, even if it was renamed or removed.
fn program() -> io::Result<PathBuf> {
    let called = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if called.components().count() > 1 {
        return std::path::absolute(called);
    }
    let current = env::current_exe()?;
    let path = env::var_os("PATH").unwrap_or_default();
    let same = |candidate: &PathBuf| candidate.canonicalize().is_ok_and(|found| found == current);
    let found = env::split_paths(&path).map(|directory| directory.join(&called)).find(same);
    Ok(found.unwrap_or(current))
}
