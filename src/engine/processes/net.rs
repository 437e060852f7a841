//! The parent's network: mio's, but who is accepted gets a process.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Pid;

use super::super::control::Command;
use super::super::doors::Doors;
use super::super::mio_net::MioNet;
use super::super::net::{Accepted, Datagram, Gone, Net, Ready, Source};
use super::super::sockets::{self, WayBack};
use super::super::threads::Client;
use super::children::{Children, Forked, Role};
use super::{Desk, Site, Task, Work};
use crate::helper::Job;
use crate::lan::Outlet;
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::service::Service;
use crate::time::Time;

/// A listening socket, and the index of its service.
#[derive(Debug)]
pub(super) struct ForkListener {
    pub(super) socket: OwnedFd,
    pub(super) service: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct ForkNet {
    mio: MioNet,
    children: Children,
    site: Rc<Site>,
    desk: Desk,
    /// The processes behind the sockets of the parent's connections, by what the sockets are now.
    relays: HashMap<RawFd, Pid>,
    /// Who was accepted when there was no room for another process; at most one of a service.
    unserved: HashMap<usize, (OwnedFd, Peer)>,
    /// Connections of the parent whose jobs are done.
    done: VecDeque<ConnId>,
}

impl ForkNet {
    pub(super) fn new(
        mut mio: MioNet,
        mut children: Children,
        site: Rc<Site>,
        desk: Desk,
    ) -> io::Result<Self> {
        mio.watch_other(&mut children.signals, Source::Elsewhere)?;
        Ok(Self {
            mio,
            children,
            site,
            desk,
            relays: HashMap::new(),
            unserved: HashMap::new(),
            done: VecDeque::new(),
        })
    }

    /// Makes a process for a client. If the clients of its service hear each other, the parent goes on with
    /// a socket that leads there.
    fn start(&mut self, client: &Client) -> Result<Accepted<OwnedFd>, Errno> {
        // What was noted is written by the parent alone.
        self.site.shared.end_turn();
        let has_rooms = self.site.services.borrow().get(client.service).is_some_and(|it| it.row.rooms);
        if !has_rooms {
            return match self.fork(Role::Serves)? {
                Forked::Child(birth) => Ok(self.leave(Work { birth, task: Task::Serve(client.clone()) })),
                Forked::Parent(child) => {
                    self.children.note(child, client.service, client.peer.ip());
                    self.site.shared.observer.opened();
                    Ok(Accepted::Elsewhere)
                }
            };
        }
        let (ours, theirs) = pair()?;
        match self.fork(Role::Relays)? {
            Forked::Child(birth) => {
                drop(ours);
                let client = Arc::clone(&client.stream);
                Ok(self.leave(Work { birth, task: Task::Relay { client, parent: theirs } }))
            }
            Forked::Parent(relay) => {
                self.relays.insert(ours.as_raw_fd(), relay);
                Ok(Accepted::Here(ours, client.peer.clone()))
            }
        }
    }

    fn fork(&mut self, role: Role) -> Result<Forked, Errno> {
        // `AGAIN` means that there is no room for a process; of an `accept` it means that nobody waits.
        let no_room = |error| if error == Errno::AGAIN { Errno::NOMEM } else { error };
        self.children.fork(role).map_err(no_room)
    }

    /// The child leaves the reactor and all that belongs to it.
    fn leave(&mut self, work: Work) -> Accepted<OwnedFd> {
        self.mio.abandon_control();
        self.desk.replace(Some(work));
        Accepted::Alone
    }
}

/// A way between the parent, which never waits for it, and a child.
fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

impl Net for ForkNet {
    type Stream = OwnedFd;
    type Listener = ForkListener;
    type Socket = OwnedFd;
    type WayBack = WayBack;
    type Outlet = Outlet;

    fn accept(&mut self, listener: &ForkListener) -> Result<(OwnedFd, Peer), Errno> {
        if let Some(client) = self.unserved.remove(&listener.service) {
            return Ok(client);
        }
        // Whoever is refused is told by the parent, which must not wait.
        sockets::accept(listener.socket.as_fd(), SocketFlags::NONBLOCK)
    }

    fn assign(&mut self, stream: OwnedFd, peer: Peer, service: usize) -> Result<Accepted<OwnedFd>, Errno> {
        let client = Client { stream: Arc::new(stream), peer, service };
        let assigned = self.start(&client);
        if assigned.is_err()
            && let Some(stream) = Arc::into_inner(client.stream)
        {
            self.unserved.insert(service, (stream, client.peer));
        }
        assigned
    }

    fn gone_elsewhere(&mut self) -> Option<Gone> {
        self.children.gone()
    }

    fn inside_elsewhere(&self) -> Vec<(usize, Option<IpAddr>)> {
        self.children.inside()
    }

    fn set_services(&mut self, services: &[Service]) {
        self.site.doors.replace(Doors::new(services));
        self.site.services.replace(Arc::new(services.to_vec()));
    }

    fn elsewhere(&self) -> usize {
        self.children.connections()
    }

    fn look_elsewhere(&mut self) {
        self.children.reap(&self.site.shared);
    }

    fn drain_elsewhere(&mut self) {
        self.children.stop();
    }

    fn now(&self) -> Time {
        self.mio.now()
    }

    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = if self.done.is_empty() { timeout } else { Some(Duration::ZERO) };
        self.mio.poll(ready, timeout)?;
        if !self.done.is_empty() {
            ready.push(Ready { source: Source::Jobs, readable: true, writable: false, read_closed: false });
        }
        Ok(())
    }

    /// Done at once: a thread for it would stand in the way of the next fork.
    fn start_job(&mut self, id: ConnId, job: Job) {
        job.run();
        self.done.push_back(id);
    }

    fn job_done(&mut self) -> Option<ConnId> {
        self.done.pop_front()
    }

    fn watch(&mut self, stream: &OwnedFd, id: ConnId) -> io::Result<()> {
        self.mio.watch(stream, id)
    }

    fn read(&mut self, stream: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
        let n = self.mio.read(stream, buffer)?;
        let relay = self.relays.get(&stream.as_raw_fd()).filter(|_| n == 0);
        let is_reset = relay.is_some_and(|relay| self.children.was_reset(*relay, &self.site.shared));
        if is_reset { Err(Errno::CONNRESET) } else { Ok(n) }
    }

    fn write(&mut self, stream: &OwnedFd, first: &[u8], second: &[u8], more: bool) -> Result<usize, Errno> {
        self.mio.write(stream, first, second, more)
    }

    fn send_file(&mut self, stream: &OwnedFd, file: &File, offset: u64, len: usize) -> Result<usize, Errno> {
        self.mio.send_file(stream, file, offset, len)
    }

    fn received(&self, stream: &OwnedFd) -> Option<u64> {
        self.mio.received(stream)
    }

    fn has_unread(&self, stream: &OwnedFd) -> bool {
        self.mio.has_unread(stream)
    }

    fn shutdown_write(&mut self, stream: &OwnedFd) -> Result<(), Errno> {
        self.mio.shutdown_write(stream)
    }

    fn receive(&mut self, socket: &OwnedFd, buffer: &mut [u8]) -> Result<Datagram<WayBack>, Errno> {
        self.mio.receive(socket, buffer)
    }

    fn send_back(&mut self, socket: &OwnedFd, datagram: &[u8], to: &WayBack) -> Result<(), Errno> {
        self.mio.send_back(socket, datagram, to)
    }

    fn send_out(&mut self, outlet: &Outlet, datagram: &[u8]) -> Result<(), Errno> {
        self.mio.send_out(outlet, datagram)
    }

    fn ports(&self, outlet: &Outlet) -> (u16, u16) {
        self.mio.ports(outlet)
    }

    fn command(&mut self) -> Option<Command> {
        self.mio.command()
    }
}
