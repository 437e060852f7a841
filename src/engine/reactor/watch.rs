//! The reactor's own deadlines of a connection, beside that of its session: see [`Patience`]. They share
//! one entry of the timers with it, the nearer of the two, and are looked at only when that fires.

use super::super::net::Net;
use super::super::patience::Patience;
use super::Context;
use super::slot::Slot;
use crate::conn::{Conn, Life};
use crate::limits;
use crate::protocol::{ConnId, Why};
use crate::time::Time;

/// The moment of a stamp, which has the lower 32 bits of the milliseconds: good for 49 days of silence.
fn moment(stamp: u32, now: Time) -> Time {
    let age = low(now).wrapping_sub(stamp);
    Time::from_millis(now.as_millis().saturating_sub(age.into()))
}

/// A moment as a stamp.
#[inline]
// What is cut off is what a stamp leaves out.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn low(now: Time) -> u32 {
    now.as_millis() as u32
}

impl<S> Slot<S> {
    /// When the reactor wants to look at the connection. Begins to watch one that does not take what it is
    /// owed.
    pub(super) fn patience_due<N: Net<Stream = S>>(
        &mut self,
        patience: Patience,
        context: &Context<N>,
    ) -> Time {
        if patience.is_endless() || self.conn.life() != Life::Open {
            return Time::NEVER;
        }
        let silent = patience.silence_due(moment(self.stamp, context.now), self.read > 0);
        if !patience.minds_progress() || self.conn.is_flushed() {
            return silent;
        }
        let taken = self.taken(context);
        let stuck = self.conn.stuck_since(context.now, || taken);
        silent.min(patience.progress_due(stuck))
    }

    /// Ends a connection whose peer has used up the patience that its service has.
    pub(super) fn lose_patience<N: Net<Stream = S>>(
        &mut self,
        patience: Patience,
        id: ConnId,
        context: &mut Context<N>,
    ) {
        if patience.is_endless() || self.conn.life() != Life::Open {
            return;
        }
        let now = context.now;
        if !self.conn.is_flushed() {
            let taken = self.taken(context);
            let since = self.conn.stuck_since(now, || taken);
            if patience.progress_due(since) <= now && !self.conn.has_taken(taken, limits::PROGRESS, now) {
                self.conn.fail(Why::TimedOut);
            }
            self.stamp = low(now);
        } else if self.conn.is_working() {
            self.stamp = low(now);
        } else if patience.silence_due(moment(self.stamp, now), self.read > 0) <= now {
            self.with_env(id, context, |conn: &mut Conn, env| conn.give_up(Why::TimedOut, env));
        }
    }

    /// How much of what was written the peer has: what its kernel has acknowledged, if that is known.
    fn taken<N: Net<Stream = S>>(&self, context: &Context<N>) -> u64 {
        context.net.received(&self.stream).unwrap_or(self.written)
    }
}
