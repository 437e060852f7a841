//! Mistakes that can be planted, so that the tests can show that they find them: those of the core by the
//! simulation, those of limits, faults, memory and reloads by the tests of the whole program (`tests/mutants`).
//!
//! In a program that is built for use none is ever planted: [`is_planted`] is a constant, and the compiler takes
//! the marks out. With the feature `planted`, one is named by the variable `PLANTED` of the environment. A mark stands where the mistake would be made: `if !is_planted(Mutant::..)` before a step that
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

    /// `instances` does not count.
    InstancesIgnored,
    /// Nor `per_source`.
    PerSourceIgnored,
    /// Nor `cps`.
    RateIgnored,
    /// The access lists let everybody in.
    AccessIgnored,
    /// Datagrams are answered without a look at the access lists.
    DatagramsUnasked,
    /// Who has left counts as if he were there.
    LeavingUncounted,
    /// A refusal is not logged.
    RefusalUnsaid,
    /// Nobody gets the banner.
    BannerForgotten,
    /// The silent are waited for without an end.
    SilenceIgnored,
    /// And so are those who take nothing.
    ProgressIgnored,
    /// What was read again does not count.
    PolicyKept,
    /// What is wrong with a file is not said.
    ProblemUnsaid,
    /// HUP is taken even if there is no file to read.
    HangUpTaken,
    /// The state is written without the services.
    ServicesUnsaid,
    /// The state is written without those who read slowly.
    SlowUnsaid,
    /// Writes do not wait.
    LatencyIgnored,
    /// What is cut is cut one byte late.
    CutOneLate,
    /// An end on purpose is no reset.
    ResetForgotten,
    /// A reset destroys what is on its way.
    ResetTooEarly,
    /// All seeds are one.
    SeedIgnored,
    /// Faults stay what they were at the start.
    FaultsKept,
    /// Buffers may take any amount.
    BoundIgnored,
    /// Who can be spared least gives way first.
    WrongVictims,
    /// Nobody is told who gave way.
    VictimUnsaid,
    /// A place that was left stays open.
    OldPlaceKept,
    /// It is closed on those who wait there.
    QueueDropped,
    /// A place that is handed on stays its old service's.
    HandOverForgotten,
    /// The file of a Unix socket stays.
    SocketFileLeft,
    /// Who is there is dropped when his service goes.
    GuestsDropped,
    /// A successor does not get the places that are new.
    NewPlaceUnpassed,
}

#[cfg(test)]
impl Mutant {
    /// Those of the core.
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
#[cfg(not(any(test, feature = "planted")))]
#[inline]
pub(crate) const fn is_planted(_: Mutant) -> bool {
    false
}

/// Whether this mistake is made.
#[cfg(all(feature = "planted", not(test)))]
pub(crate) fn is_planted(mutant: Mutant) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let planted = PLANTED.get_or_init(|| std::env::var("PLANTED").ok());
    planted.as_ref().is_some_and(|name| *name == format!("{mutant:?}"))
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
