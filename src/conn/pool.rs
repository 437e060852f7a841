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
    /// The one that most turns take and give back: no more than one is in use while replies are written at
    /// once.
    spare: Option<Box<Buffers>>,
    free: Vec<Box<Buffers>>,
    pub(super) jobs: Vec<(ConnId, Job)>,
}

impl Pool {
    #[inline]
    pub(super) fn take(&mut self) -> Box<Buffers> {
        self.spare.take().unwrap_or_else(|| self.free.pop().unwrap_or_default())
    }

    /// Takes buffers back in which nothing waits; those that have grown large are not kept.
    #[inline]
    pub(super) fn give(&mut self, mut buffers: Box<Buffers>) {
        buffers.stuck.since = Time::NEVER;
        let is_small = buffers.out.capacity().max(buffers.input.capacity()) <= limits::POOL_CAPACITY;
        if !is_small {
            return;
        }
        if self.spare.is_none() {
            self.spare = Some(buffers);
        } else if self.free.len() < limits::POOL_BOXES {
            self.free.push(buffers);
        }
    }

    #[cfg(test)]
    pub(super) fn spares(&self) -> usize {
        usize::from(self.spare.is_some()) + self.free.len()
    }

    /// Whether jobs came up.
    #[inline]
    pub fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// The jobs that came up since this was last called: the engine has them done, and then tells each
    /// connection by [`Conn::job_done`](super::Conn::job_done).
    pub fn take_jobs(&mut self) -> Vec<(ConnId, Job)> {
        std::mem::take(&mut self.jobs)
    }
}
