//! What connections borrow while something is in flight.

use super::Buffers;
use crate::helper::Job;
use crate::limits;
use crate::protocol::ConnId;
use crate::time::Time;

/// What the connections of an engine share: buffers not in use, so that a reply costs no allocation, and
/// the jobs that they want done, see [`Flow::Wait`](crate::protocol::Flow::Wait).
#[derive(Debug, Default)]
pub struct Pool {
    pub(super) free: Vec<Box<Buffers>>,
    pub(super) jobs: Vec<(ConnId, Job)>,
}

impl Pool {
    #[inline]
    pub(super) fn take(&mut self) -> Box<Buffers> {
        self.free.pop().unwrap_or_default()
    }

    /// Takes buffers back in which nothing waits; those that have grown large are not kept.
    #[inline]
    pub(super) fn give(&mut self, mut buffers: Box<Buffers>) {
        buffers.stuck.since = Time::NEVER;
        let is_small = buffers.out.capacity().max(buffers.input.capacity()) <= limits::POOL_CAPACITY;
        if is_small && self.free.len() < limits::POOL_BOXES {
            self.free.push(buffers);
        }
    }

    /// The jobs that came up since this was last called: the engine has them done, and then tells each
    /// connection by [`Conn::job_done`](super::Conn::job_done).
    pub fn take_jobs(&mut self) -> Vec<(ConnId, Job)> {
        std::mem::take(&mut self.jobs)
    }
}
