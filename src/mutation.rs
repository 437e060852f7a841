//! Mistakes that can be planted in the core, so that the simulation can show that it finds them.
//!
//! Outside of unit tests none is ever planted: [`is_planted`] is a constant, and the compiler takes the
//! marks out. A mark stands where the mistake would be made: `if !is_planted(Mutant::..)` before a step that
//! the mutant leaves out.

/// The mistakes, by what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// An event that says that there is room to write is not noted.
    LostWakeUp,
    /// An event for the former user of a slot is taken for the present one's.
    StaleToken,
    /// What waited from an earlier turn is not flushed.
    SkippedFlush,
    /// The peer's end that was seen coming is forgotten after a short read.
    ForgottenReadClose,
    /// A deadline that moves to an earlier moment stays where it was.
    EarlierDeadlineIgnored,
    /// One connection falls out of the run queue.
    RunQueueDropped,
    /// A connection is closed on unread input.
    LingerSkipped,
    /// A connection is read although its output is full.
    BackPressureIgnored,
    /// What was passed through and not sent is not kept.
    PassedBytesLost,
    /// Input that was left for want of room is not offered again.
    HeldInputForgotten,
    /// The pause after descriptors ran out has no end of its own.
    AcceptNotResumed,
    /// The listener is taken for empty after one connection.
    AcceptShareForgotten,
    /// A drain does not tell one connection.
    DrainForgetsOne,
    /// What is owed is dropped when the peer ends its side.
    HalfCloseDropsReply,
    /// A member of a room goes on one entry too far behind its own.
    CursorOffByOne,
    /// The rest of a half-sent line is lost when it leaves the log.
    HalfLineLost,
    /// Nobody looks for own entries among those to hear.
    OwnEchoed,
    /// Who stays in a room is not fed what the leaving of others brought.
    LeavingUnheard,
}

#[cfg(test)]
impl Mutant {
    pub(crate) const ALL: [Self; 18] = [
        Self::LostWakeUp,
        Self::StaleToken,
        Self::SkippedFlush,
        Self::ForgottenReadClose,
        Self::EarlierDeadlineIgnored,
        Self::RunQueueDropped,
        Self::LingerSkipped,
        Self::BackPressureIgnored,
        Self::PassedBytesLost,
        Self::HeldInputForgotten,
        Self::AcceptNotResumed,
        Self::AcceptShareForgotten,
        Self::DrainForgetsOne,
        Self::HalfCloseDropsReply,
        Self::CursorOffByOne,
        Self::HalfLineLost,
        Self::OwnEchoed,
        Self::LeavingUnheard,
    ];
}

/// Whether this mistake is made.
#[cfg(not(test))]
#[inline]
pub(crate) const fn is_planted(_: Mutant) -> bool {
    false
}

#[cfg(test)]
pub(crate) use planting::{is_planted, plant};

#[cfg(test)]
mod planting {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        /// Each test has a thread of its own, so that the others stay right.
        static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    pub(crate) fn is_planted(mutant: Mutant) -> bool {
        PLANTED.get() == Some(mutant)
    }

    /// From now on this thread makes this mistake, and no other.
    pub(crate) fn plant(mutant: Option<Mutant>) {
        PLANTED.set(mutant);
    }
}
