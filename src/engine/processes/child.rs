//! What a child does, once all that is its parent's is dropped and closed.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::super::blocking::{Connection, Host, datagrams};
use super::super::datagram::Guard;
use super::super::patience::Patience;
use super::super::threads::Client;
use super::Site;
use super::children::{Birth, Report};
use super::relay::{self, End};
use rustix::fs::OFlags;

use crate::protocol::ConnId;
use crate::service::Service;
use crate::shared::Shared;
use crate::sys::{self, Term};
use crate::time::Time;

/// What there is to do for a child.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) birth: Birth,
    pub(super) task: Task,
}

/// See [`Role`](super::children::Role).
#[derive(Debug)]
pub(super) enum Task {
    Serve(Client),
    Relay { client: Arc<OwnedFd>, parent: OwnedFd },
    Datagrams { socket: OwnedFd, service: usize, guard: Guard },
}

/// Does it, and ends the process. A panic must not go up the stack that was copied from the parent.
pub(super) fn run(work: Work, site: &Site) -> ! {
    let done = catch_unwind(AssertUnwindSafe(|| work.run(site)));
    sys::exit(if done.is_ok() { 0 } else { 101 });
}

impl Work {
    fn run(self, site: &Site) {
        let Birth { newborn, reports, parent } = self.birth;
        let term = match &self.task {
            Task::Serve(client) => Term::EndsInput(client.stream.as_fd()),
            Task::Relay { .. } => Term::Ignored,
            Task::Datagrams { .. } => Term::Ends,
        };
        if let Err(error) = newborn.obey(term) {
            log::warn!("the signals of a process: {error}");
        }
        if !end_with(parent) {
            return;
        }
        match self.task {
            Task::Serve(Client { stream, peer, service }) => {
                // The parent would not have waited for it.
                let _ = rustix::fs::fcntl_getfl(&*stream)
                    .and_then(|flags| rustix::fs::fcntl_setfl(&*stream, flags - OFlags::NONBLOCK));
                let id = ConnId { key: std::process::id(), generation: 0 };
                if let Some(connection) = Connection::new(site, id, stream, peer, service) {
                    let moved = connection.run(Ok(()));
                    let (child, stop) = (std::process::id().into(), site.shared.is_stop_due());
                    Report::Served { child, moved, stop }.send(&reports);
                }
            }
            Task::Relay { client, parent } => {
                if relay::run(client.as_fd(), parent.as_fd()) == End::Reset {
                    Report::Reset(std::process::id().into()).send(&reports);
                }
            }
            Task::Datagrams { socket, service, guard } => {
                drop(reports);
                datagrams::answer(&site, &socket, service, guard);
            }
        }
    }
}

impl Host for &Site {
    fn services(&self) -> Arc<Vec<Service>> {
        Arc::clone(&self.services.borrow())
    }

    fn patience(&self, service: usize) -> Patience {
        self.doors.borrow().patience(service)
    }

    fn banner(&self, service: usize) -> Option<String> {
        self.doors.borrow().banner(service).map(str::to_owned)
    }

    fn hears(&self, service: usize, source: Option<IpAddr>) -> bool {
        self.doors.borrow_mut().hears(service, source, self.now())
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn now(&self) -> Time {
        Time::since_start(self.started.elapsed())
    }

    fn is_draining(&self) -> bool {
        sys::is_told_to_stop()
    }
}

/// Has the end of the parent, whatever its reason, tell this process to stop; false if it has come already.
#[cfg(target_os = "linux")]
fn end_with(parent: rustix::process::Pid) -> bool {
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
    rustix::process::getppid() == Some(parent)
}

/// A parent that is killed leaves its children to their connections.
#[cfg(not(target_os = "linux"))]
fn end_with(_parent: rustix::process::Pid) -> bool {
    true
}
