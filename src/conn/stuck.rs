//! A peer that does not take what it is owed, as an engine looks at it.

use super::Conn;
use crate::time::Time;

/// Since when an engine has been watching how a peer takes what it is owed, and how much it had by then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stuck {
    pub(super) since: Time,
    taken: u64,
}

impl Default for Stuck {
    fn default() -> Self {
        Self { since: Time::NEVER, taken: 0 }
    }
}

impl Conn {
    /// Since when the peer has been owed something, as far as an engine has looked: from now on, if it did
    /// not before. `taken` is what the peer has by now.
    pub fn stuck_since(&mut self, now: Time, taken: impl FnOnce() -> u64) -> Time {
        let Some(buffers) = &mut self.buffers else { return Time::NEVER };
        if buffers.stuck.since == Time::NEVER {
            buffers.stuck = Stuck { since: now, taken: taken() };
        }
        buffers.stuck.since
    }

    /// Whether the peer has taken at least so much since [`Conn::stuck_since`]; if so, it is watched anew.
    pub fn has_taken(&mut self, taken: u64, least: u64, now: Time) -> bool {
        let Some(buffers) = &mut self.buffers else { return true };
        let has = taken.saturating_sub(buffers.stuck.taken) >= least;
        if has {
            buffers.stuck = Stuck { since: now, taken };
        }
        has
    }
}
