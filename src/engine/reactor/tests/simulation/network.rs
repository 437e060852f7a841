//! The simulated network as the reactor sees it: its system calls.

use std::cell::{RefCell, RefMut};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use crate::engine::control::Command;
use crate::engine::net::{Datagram, Net, Ready};
use crate::helper::Job;
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::time::Time;

use super::ladder::Act;
use super::wire::move_out;
use super::world::{Due, World};

/// Events taken from one poll.
const EVENTS: usize = 1024;
/// Former names that stale events are made of.
const FORMER: usize = 64;

/// The network, and the hand on it of whoever drives it.
#[derive(Debug, Clone)]
pub(super) struct Network(pub(super) Rc<RefCell<World>>);

impl Network {
    pub(super) fn world(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }
}

/// The server's end of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    network: Network,
    wire: usize,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut world = self.network.world();
        world.open -= 1;
        let it = &mut world.wires[self.wire];
        let unread = it.inbox.len();
        (it.closed, it.shut) = (true, true);
        if unread > 0 && !it.reset {
            it.destroy();
        }
        let id = it.id;
        world.note(self.wire, Act::Closes { unread }, b"");
        world.former.extend(id);
        if world.former.len() > FORMER {
            world.former.pop_front();
        }
        // What is on its way meets a closed socket.
        world.arrive(self.wire, false);
        world.read_on(self.wire);
    }
}

/// The beginning of a system call: it may be interrupted, and something may arrive meanwhile.
fn enter(world: &mut World, wire: usize) -> Result<(), Errno> {
    world.calls += 1;
    if world.chance(world.faults.early) {
        world.arrive(wire, true);
    }
    if world.chance(world.faults.interrupted) { Err(Errno::INTR) } else { Ok(()) }
}

impl Net for Network {
    type Stream = Stream;
    type Listener = usize;
    type Socket = ();
    type WayBack = ();
    type Outlet = ();

    fn now(&self) -> Time {
        Time::from_millis(self.world().now)
    }

    /// Tells what there is. Time passes elsewhere, in [`World::advance`].
    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let mut world = self.world();
        world.tell(ready, EVENTS);
        if ready.is_empty() && timeout.is_none() {
            return Err(io::Error::other("nothing will ever happen"));
        }
        Ok(())
    }

    fn accept(&mut self, listener: &usize) -> Result<(Stream, Peer), Errno> {
        let mut guard = self.world();
        let world = &mut *guard;
        world.calls += 1;
        if world.backlogs[*listener].is_empty() {
            return Err(Errno::AGAIN);
        }
        if world.open >= world.descriptors {
            return Err(Errno::MFILE);
        }
        if world.chance(world.faults.interrupted) {
            return Err(Errno::INTR);
        }
        let wire = world.backlogs[*listener].pop_front().ok_or(Errno::AGAIN)?;
        if !world.wires[wire].is_reliable && world.chance(world.faults.aborted) {
            let it = &mut world.wires[wire];
            (it.closed, it.reset, it.gone) = (true, true, true);
            return Err(Errno::CONNABORTED);
        }
        world.open += 1;
        world.accepted.push(wire);
        world.note(wire, Act::Accepted, b"");
        drop(guard);
        let port = u16::try_from(wire % 60_000).unwrap_or(0) + 1024;
        Ok((Stream { network: self.clone(), wire }, Peer::V4([127, 0, 0, 1].into(), port)))
    }

    fn watch(&mut self, stream: &Stream, id: ConnId) -> io::Result<()> {
        let mut world = self.world();
        let now = world.now;
        let it = &mut world.wires[stream.wire];
        (it.id, it.read_at) = (Some(id), now);
        world.edge(stream.wire, true, true);
        Ok(())
    }

    fn read(&mut self, stream: &Stream, buffer: &mut [u8]) -> Result<usize, Errno> {
        let (mut guard, wire) = (self.world(), stream.wire);
        let world = &mut *guard;
        enter(world, wire)?;
        let now = world.now;
        let it = &mut world.wires[wire];
        if it.inbox.is_empty() {
            return match (it.reset, it.fin) {
                (true, _) => Err(Errno::CONNRESET),
                (_, true) => {
                    world.note(wire, Act::ReadsEnd, b"");
                    Ok(0)
                }
                _ => {
                    if !std::mem::replace(&mut it.told_readable, false) {
                        world.violate(wire, "it reads though nothing has told it to".to_owned());
                    }
                    world.note(wire, Act::ReadsNothing, b"");
                    Err(Errno::AGAIN)
                }
            };
        }
        let n = buffer.len().min(it.inbox.len());
        move_out(&mut it.inbox, &mut buffer[..n]);
        it.told_readable &= n == buffer.len() || it.fin || it.reset || it.told_in == world.polls;
        it.read_at = now;
        it.read += n as u64;
        world.note(wire, Act::Reads, &buffer[..n]);
        // There is room for more of what is on its way.
        world.arrive(wire, false);
        Ok(n)
    }

    fn write(&mut self, stream: &Stream, first: &[u8], second: &[u8], _: bool) -> Result<usize, Errno> {
        let (mut guard, wire) = (self.world(), stream.wire);
        let world = &mut *guard;
        enter(world, wire)?;
        let now = world.now;
        let wanted = first.len() + second.len();
        let is_short = !world.wires[wire].is_reliable && world.chance(world.faults.short);
        let it = &mut world.wires[wire];
        if it.shut {
            world.violate(wire, "it writes after it ended its side".to_owned());
            return Err(Errno::PIPE);
        }
        if it.reset {
            return Err(Errno::CONNRESET);
        }
        if it.denied_write {
            world.violate(wire, "it writes again though nothing has told it to".to_owned());
            return Err(Errno::AGAIN);
        }
        let mut n = wanted.min(it.free());
        if is_short && n > 0 {
            n = world.rng.usize(..=n);
        }
        let it = &mut world.wires[wire];
        let head = first.len().min(n);
        it.outbox.extend(&first[..head]);
        it.outbox.extend(&second[..n - head]);
        it.blocked |= n < wanted;
        it.denied_write |= n < wanted;
        it.written += n as u64;
        if n > 0 && it.answers.len() < 64 {
            it.answers.push((now - it.read_at, n));
        }
        if second.is_empty() {
            world.note(wire, Act::Writes { wanted }, &first[..n]);
        } else {
            world.note(wire, Act::Writes { wanted }, &[first, second].concat()[..n]);
        }
        if is_short && n < wanted {
            let wait = world.rng.u64(0..50);
            world.after(wait, Due::Room(wire));
        }
        world.read_on(wire);
        if n == 0 { Err(Errno::AGAIN) } else { Ok(n) }
    }

    fn send_file(&mut self, stream: &Stream, file: &File, offset: u64, len: usize) -> Result<usize, Errno> {
        let mut bytes = vec![0; len.min(256 * 1024)];
        let n = file.read_at(&mut bytes, offset).unwrap_or(0);
        if n == 0 {
            return Ok(0);
        }
        // A short send says nothing: whoever sends asks again, and is denied then.
        self.world().wires[stream.wire].denied_write = false;
        let sent = self.write(stream, &bytes[..n], &[], false);
        if sent.is_ok() {
            self.world().wires[stream.wire].denied_write = false;
        }
        sent
    }

    fn received(&self, stream: &Stream) -> Option<u64> {
        let world = self.world();
        world.faults.knows_received.then(|| world.wires[stream.wire].taken)
    }

    fn has_unread(&self, stream: &Stream) -> bool {
        !self.world().wires[stream.wire].inbox.is_empty()
    }

    fn shutdown_write(&mut self, stream: &Stream) -> Result<(), Errno> {
        let (mut world, wire) = (self.world(), stream.wire);
        if world.wires[wire].reset {
            return Err(Errno::NOTCONN);
        }
        world.wires[wire].shut = true;
        world.note(wire, Act::Shuts, b"");
        world.read_on(wire);
        Ok(())
    }

    fn receive(&mut self, (): &(), _: &mut [u8]) -> Result<Datagram<()>, Errno> {
        Err(Errno::AGAIN)
    }

    fn send_back(&mut self, (): &(), _: &[u8], (): &()) -> Result<(), Errno> {
        Ok(())
    }

    fn start_job(&mut self, id: ConnId, job: Job) {
        let mut world = self.world();
        let wait = world.rng.u64(0..100);
        world.jobs.push_back((id, job));
        world.after(wait, Due::Job);
    }

    fn job_done(&mut self) -> Option<ConnId> {
        self.world().jobs_done.pop_front()
    }

    fn send_out(&mut self, (): &(), _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }

    fn ports(&self, (): &()) -> (u16, u16) {
        (0, 0)
    }

    fn command(&mut self) -> Option<Command> {
        self.world().commands.pop_front()
    }
}
