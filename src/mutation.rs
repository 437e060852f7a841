//! Mistakes that can be planted, so that the tests can show that they find them: those of the core by the
//! simulation, and all by the tests that `tests/mutants` has of each.
//!
//! In a program that is built for use none is ever planted: [`is_planted`] is a constant, and the compiler takes
//! the marks out. With the feature `planted`, one is named by the variable `PLANTED` of the environment, in unit
//! tests as well. A mark stands where the mistake would be made: `if !is_planted(Mutant::..)` before a step that
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

    /// There is no pause after descriptors ran out.
    PauseForgotten,
    /// What a connection leaves unsent when it ends is still there for the next one.
    BuffersNotEmptied,
    /// A connection keeps its buffers when they are empty.
    BuffersKept,
    /// A read that says that the peer has gone is taken for one that found nothing.
    ResetUnnoticed,
    /// The socket of a connection that has ended is not closed.
    SocketLeft,
    /// Who takes nothing of what is owed in the end is waited for all the same.
    EndAwaited,
    /// Who has gone still counts for the memory that it held.
    AccountKept,
    /// Any number of those who are refused may be told why.
    RefusedUnbounded,
    /// The loop wakes up twice a second, whether there is something to do or not.
    TicksIdly,
    /// Deadlines go by the clock on the wall.
    WallClockTrusted,
    /// Output is written whether it would block or not.
    OutputAwaited,
    /// A line of the log that cannot be written is not forgiven.
    LogInsists,
    /// What strangers say is logged, and as it is.
    TextLogged,
    /// A write that failed is not noticed.
    FullDiskUnnoticed,
    /// An upload has a name before it is whole, and keeps it if it never is.
    NamedTooEarly,
    /// The name of an upload may have separators in it.
    PathsTaken,
    /// What is remembered of a file is never looked at again.
    FilesTrusted,
    /// A port that nobody asked for must be had.
    DefaultInsists,
    /// A port that somebody asked for need not be had.
    NamedGivesWay,
    /// An address that the machine may lack must be had.
    OptionalInsists,
    /// The file of a socket that the supervisor made is removed.
    GivenFileRemoved,
    /// What the supervisor passes is meant for somebody else.
    GivenIgnored,
    /// Nobody compares the number of sockets passed with that of their names.
    GivenUncounted,
    /// The supervisor hears that the program is ready, and nothing more.
    SupervisorUntold,
    /// The user is not changed.
    PrivilegesKept,
    /// A line may be of any length.
    LineUnbounded,
    /// So may a telnet sequence in front of it.
    SequenceUnbounded,
    /// A negotiation that is cut by a read is not seen.
    CutMissed,
    /// What came before the first negotiation is taken for telnet as well.
    TelnetBackdated,
    /// A message is taken for UTF-8.
    TextExpected,
    /// Of a datagram, more than fits in a frame of Ethernet is lost.
    DatagramCut,
    /// A drain ends at once.
    GraceForgotten,
    /// A drain waits as long as it takes.
    GraceEndless,
    /// Asked a second time, the program goes on with its drain.
    SecondSignalLost,
    /// Clients are told of the drain as soon as a successor serves.
    HandOverHasty,
    /// A successor binds its sockets itself.
    NothingInherited,
    /// A successor that says why it cannot serve is taken for one that does.
    SuccessorTrusted,
    /// Files of sockets are removed though the successor has the sockets.
    FilesNotLeft,
    /// A member is answered before it has heard what was said before.
    ReplyOvertakes,
    /// The thread that writes to a member outlives the connection.
    WriterStays,
    /// Whom a proxy names is not looked at.
    ProxyTakenForClient,
    /// Anybody may be a proxy.
    AnyProxyTrusted,
    /// What a proxy sends first is expected to come at once.
    HeadInOnePiece,
    /// And is waited for without an end.
    HeadAwaited,
    /// Pieces are as large as they come.
    ChunkIgnored,
    /// Faults are taken from a file where there is nothing to make them.
    FirstFaultsTaken,
    /// Where others can connect, memory has no bound.
    NoBoundByDefault,
    /// A client takes a body for whole that is not.
    ShortBodyTaken,
    /// Long work takes as much of a turn as it likes.
    RationIgnored,
    /// Large listings may take any amount of memory.
    ReserveUnbounded,
    /// What is noted of people is served like other files.
    NotesServed,
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

/// Whether the environment names this mistake.
#[cfg(feature = "planted")]
pub(crate) fn is_named(mutant: Mutant) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let planted = PLANTED.get_or_init(|| std::env::var("PLANTED").ok());
    planted.as_ref().is_some_and(|name| *name == format!("{mutant:?}"))
}

/// Whether the environment names this mistake.
#[cfg(not(feature = "planted"))]
#[inline]
pub(crate) const fn is_named(_: Mutant) -> bool {
    false
}

#[cfg(not(test))]
pub(crate) use is_named as is_planted;
#[cfg(test)]
pub(crate) use planting::{is_planted, plant};

#[cfg(test)]
mod planting {
    use std::cell::Cell;

    use super::{Mutant, is_named};

    thread_local! {
        /// Each test has a thread of its own, so that the others stay right.
        static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    pub(crate) fn is_planted(mutant: Mutant) -> bool {
        PLANTED.get() == Some(mutant) || is_named(mutant)
    }

    /// From now on this thread makes this mistake, and no other.
    pub(crate) fn plant(mutant: Option<Mutant>) {
        PLANTED.set(mutant);
    }
}
