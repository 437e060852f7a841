//! The children of the parent: making them, what each was made for, and what is left when they have ended.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use signal_hook::consts::SIGCHLD;
use signal_hook_mio::v1_0::Signals;

use super::super::blocking::Moved;
use super::super::net::Gone;
use crate::limits;
use crate::shared::Shared;
use crate::sys::{self, Fork, Newborn};

/// What a child was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It serves a connection.
    Serves,
    /// It passes the bytes of a connection that the parent serves.
    Relays,
    /// It answers on a datagram socket.
    Datagrams,
}

/// The length of a report: a kind and three numbers. A pipe takes as little as that whole or not at all, so that the
/// reports of several children are never mixed up.
const REPORT: usize = 32;

/// Which of the two a process is.
#[derive(Debug)]
pub(super) enum Forked {
    /// With the child.
    Parent(Pid),
    Child(Birth),
}

/// What a child is born with.
#[derive(Debug)]
pub(super) struct Birth {
    pub(super) newborn: Newborn,
    /// Where it says what it has moved.
    pub(super) reports: OwnedFd,
    pub(super) parent: Pid,
}

/// See the module. When dropped by the parent, it ends whoever is left, and waits for that.
pub(super) struct Children {
    running: HashMap<Pid, Role>,
    /// The connections of those that serve one, by number of the process.
    served: HashMap<u64, Gone>,
    /// Connections that have ended, until the doors know.
    gone: Vec<Gone>,
    /// Those that have to do with a connection.
    connections: usize,
    /// Tells that one has ended.
    pub(super) signals: Signals,
    read_reports: OwnedFd,
    /// Processes whose client has reset its connection, until they have ended.
    resets: HashSet<u64>,
    /// None in a child.
    write_reports: Option<OwnedFd>,
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Children").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Children {
    pub(super) fn new() -> io::Result<Self> {
        let signals = Signals::new([SIGCHLD])?;
        let (read_reports, write_reports) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        // A child waits until its report is taken, the parent never for one.
        rustix::fs::fcntl_setfl(&read_reports, OFlags::NONBLOCK)?;
        let (running, connections, resets) = (HashMap::new(), 0, HashSet::new());
        let write_reports = Some(write_reports);
        let (served, gone) = (HashMap::new(), Vec::new());
        Ok(Self { running, served, gone, connections, signals, read_reports, resets, write_reports })
    }

    /// How many of them have to do with a connection.
    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// A child serves this connection.
    pub(super) fn note(&mut self, child: Pid, service: usize, source: Option<IpAddr>) {
        self.served.insert(number(child), Gone { service, source, read: 0, written: 0 });
    }

    /// Who is served by a child, by index of the service and source.
    pub(super) fn inside(&self) -> Vec<(usize, Option<IpAddr>)> {
        self.served.values().map(|it| (it.service, it.source)).collect()
    }

    /// A connection that has ended and has not been named yet.
    pub(super) fn gone(&mut self) -> Option<Gone> {
        self.gone.pop()
    }

    /// Makes a child.
    ///
    /// # Errors
    /// The system has no room for another process.
    pub(super) fn fork(&mut self, role: Role) -> Result<Forked, Errno> {
        let parent = rustix::process::getpid();
        match sys::fork().map_err(|error| Errno::from_raw_os_error(error as i32))? {
            Fork::Parent(child) => {
                self.running.insert(child, role);
                self.connections += usize::from(role != Role::Datagrams);
                Ok(Forked::Parent(child))
            }
            Fork::Child(newborn) => {
                // They are its siblings.
                self.running.clear();
                let reports = self.write_reports.take().ok_or(Errno::BADF)?;
                Ok(Forked::Child(Birth { newborn, reports, parent }))
            }
        }
    }

    /// Takes leave of those that have ended, and adds what they reported.
    pub(super) fn reap(&mut self, shared: &Shared) {
        self.signals.pending().for_each(drop);
        let mut ended = Vec::new();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let Some(role) = self.running.remove(&pid) else { continue };
            self.resets.remove(&number(pid));
            ended.push(number(pid));
            self.connections -= usize::from(role != Role::Datagrams);
            if !is_expected(status) {
                log::warn!("process {} ended badly: {status:?}", pid.as_raw_nonzero());
            }
        }
        self.read_reports(shared);
        self.gone.extend(ended.iter().filter_map(|child| self.served.remove(child)));
    }

    fn read_reports(&mut self, shared: &Shared) {
        let mut buffer = [0; 64 * REPORT];
        while let Ok(n) = rustix::io::read(&self.read_reports, &mut buffer)
            && n > 0
        {
            let (reports, _) = buffer.get(..n).unwrap_or_default().as_chunks::<REPORT>();
            for report in reports {
                match Report::parse(report) {
                    Report::Served { child, moved, stop } => {
                        if let Some(gone) = self.served.get_mut(&child) {
                            (gone.read, gone.written) = (moved.read, moved.written);
                        }
                        shared.observer.count(moved.read, moved.written);
                        if stop {
                            shared.stop();
                        }
                    }
                    Report::Reset(relay) => drop(self.resets.insert(relay)),
                }
            }
        }
    }

    /// Whether the client of a process that passes bytes has reset its connection.
    pub(super) fn was_reset(&mut self, relay: Pid, shared: &Shared) -> bool {
        self.read_reports(shared);
        self.resets.contains(&number(relay))
    }

    /// Tells those that serve that they will be asked to finish.
    pub(super) fn announce_stop(&self) {
        for (child, _) in self.running.iter().filter(|(_, role)| **role == Role::Serves) {
            let _ = rustix::process::kill_process(*child, Signal::USR2);
        }
    }

    /// Asks those that serve to finish what they owe. Those that pass bytes end with what they pass.
    pub(super) fn stop(&self) {
        for (child, role) in &self.running {
            if *role != Role::Relays {
                let _ = rustix::process::kill_process(*child, Signal::TERM);
            }
        }
    }
}

impl Children {
    /// Lets those that answer datagrams finish the one that they are at: it takes a moment.
    fn end_datagrams(&mut self) {
        let answering = |(child, role): (&Pid, &Role)| (*role == Role::Datagrams).then_some(*child);
        let answering: Vec<_> = self.running.iter().filter_map(answering).collect();
        for child in &answering {
            let _ = rustix::process::kill_process(*child, Signal::TERM);
        }
        let until = Instant::now() + limits::LAST_DATAGRAM;
        for child in answering {
            while Instant::now() < until {
                if let Ok(None) = rustix::process::waitpid(Some(child), WaitOptions::NOHANG) {
                    std::thread::sleep(Duration::from_millis(1));
                } else {
                    self.running.remove(&child);
                    break;
                }
            }
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.end_datagrams();
        for child in self.running.keys() {
            let _ = rustix::process::kill_process(*child, Signal::KILL);
        }
        for child in self.running.keys() {
            let _ = rustix::process::waitpid(Some(*child), WaitOptions::empty());
        }
    }
}

/// What a child says last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// The connection that it served is over.
    Served {
        /// The number of the process.
        child: u64,
        moved: Moved,
        /// Its session wants the daemon to stop.
        stop: bool,
    },
    /// The client whose bytes it passed has reset the connection: the parent would take it for its end. With
    /// the number of the process.
    Reset(u64),
}

impl Report {
    /// Leaves it for the parent.
    pub(super) fn send(self, to: &OwnedFd) {
        let numbers = match self {
            Self::Served { child, moved, stop } => [stop.into(), child, moved.read, moved.written],
            Self::Reset(relay) => [2, relay, 0, 0],
        };
        let mut bytes = [0; REPORT];
        for (place, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        // A parent that has gone does not want to know.
        let _ = rustix::io::retry_on_intr(|| rustix::io::write(to, &bytes));
    }

    fn parse(bytes: &[u8; REPORT]) -> Self {
        let mut numbers = bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
        let mut next = || numbers.next().unwrap_or(0);
        match (next(), next(), next(), next()) {
            (2, relay, ..) => Self::Reset(relay),
            (kind, child, read, written) => {
                Self::Served { child, moved: Moved { read, written }, stop: kind != 0 }
            }
        }
    }
}

fn number(pid: Pid) -> u64 {
    pid.as_raw_nonzero().get().unsigned_abs().into()
}

/// Whether a child ended as it should: by itself, or because it was told to.
fn is_expected(status: WaitStatus) -> bool {
    let by_us = [Signal::TERM, Signal::KILL].map(|signal| Some(signal.as_raw()));
    status.exit_status() == Some(0) || by_us.contains(&status.terminating_signal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_moved() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let moved = Moved { read: 7, written: u64::MAX - 1 };
        for sent in [Report::Served { child: 12, moved, stop: true }, Report::Reset(4711)] {
            sent.send(&write);
            let mut buffer = [0; REPORT];
            assert_eq!(rustix::io::read(&read, &mut buffer), Ok(REPORT));
            assert_eq!(Report::parse(&buffer), sent);
        }
    }
}
