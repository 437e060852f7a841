//! One connection without its socket: a session, what it has not read, what it has not sent.
//!
//! An engine tells a [`Conn`] what happened (bytes, the end of them, time, room to write), writes what
//! then stands in [`Conn::out`], and looks at [`Conn::life`]. Every engine drives the same code.

use bitflags::bitflags;

use crate::access::Refusal;
use crate::input::Input;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::out::Out;
use crate::peer::Peer;
use crate::protocol::{ConnId, Cx, Flow, Handler, Options, Session, Why};
use crate::room::MemberId;
use crate::shared::Shared;
use crate::time::{Due, Time};

mod life;
mod pool;

pub use life::Life;
use life::Packed;
pub use pool::Pool;
use stuck::Stuck;

/// What is in flight, both ways; borrowed from a [`Pool`] while there is any.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Input that the session has not taken.
    input: Vec<u8>,
    /// Output that the socket has not taken.
    pub out: Out,
    stuck: Stuck,
}

/// What an engine lends a connection for a call.
#[derive(Debug)]
pub struct Env<'a> {
    /// The present moment.
    pub now: Time,
    /// What all connections share.
    pub shared: &'a Shared,
    /// Spare buffers.
    pub pool: &'a mut Pool,
    /// Who is at the other end.
    pub peer: &'a Peer,
    /// The connection's name.
    pub id: ConnId,
}

bitflags! {
    /// What a connection waits for, and what it knows of its peer. Those of `TURN` are cleared by
    /// [`Conn::go_on`] when it does what they ask for, in the order of that function; while one of them is
    /// set and the output has room, [`Conn::has_turn`] holds, so that an engine puts the connection into
    /// its run queue; if the output is full, the writable event brings it there.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct State: u8 {
        /// The session asked for another turn.
        const YIELDED = 1;
        /// Input was left because the output was full.
        const HELD = 1 << 1;
        /// The daemon is stopping, and the session does not know.
        const DRAIN_DUE = 1 << 2;
        /// The peer has sent everything, and the session does not know.
        const EOF_DUE = 1 << 3;
        /// The peer has sent everything.
        const PEER_DONE = 1 << 4;
        /// A job of the session is being done: until [`Conn::job_done`] nothing is read for it.
        const WAITING = 1 << 5;
        /// The job is done, and the session does not know.
        const JOB_DONE = 1 << 6;
        /// The session is to have no turn and no input before the deadline.
        const PAUSED = 1 << 7;

        /// What [`Conn::go_on`] has to do.
        const TURN = Self::YIELDED.bits() | Self::HELD.bits() | Self::DRAIN_DUE.bits() | Self::EOF_DUE.bits()
            | Self::JOB_DONE.bits();
        /// Nothing but the end of the job is of interest.
        const JOB = Self::WAITING.bits() | Self::JOB_DONE.bits();
    }
}

/// See the module.
#[derive(Debug)]
pub struct Conn {
    session: Session,
    buffers: Option<Box<Buffers>>,
    deadline: Due,
    state: State,
    /// With the kibibytes that were dropped at its end.
    life: Packed,
}

impl Conn {
    /// A connection to a peer that has just been accepted; call [`Conn::open`] next.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            buffers: None,
            deadline: Time::NEVER.into(),
            state: State::empty(),
            life: Packed::OPEN,
        }
    }

    /// Starts the session.
    pub fn open(&mut self, env: &mut Env<'_>) {
        self.call(|session, cx| session.open(cx), &[], env);
    }

    /// Sends what a service has for everyone, before the session says anything.
    pub fn greet(&mut self, banner: &str, env: &mut Env<'_>) {
        let print = |_: &mut dyn Handler, cx: &mut Cx<'_>| {
            cx.out.print(format_args!("{banner}\r\n"));
            Flow::Continue
        };
        self.call(print, &[], env);
    }

    /// Has the session say why the peer is not let in, if it has words for that; else it is over at once.
    pub fn refuse(&mut self, refusal: Refusal, env: &mut Env<'_>) {
        self.call(|session, cx| session.turn_away(refusal, cx), &[], env);
    }

    /// Ends the session as if it had done so itself: what it owes is still sent.
    pub fn give_up(&mut self, why: Why, env: &mut Env<'_>) {
        self.follow(Flow::Finish(why), env);
    }

    /// The peer sent `bytes`. Until [`Conn::settle`] the output may refer to them.
    pub fn input(&mut self, bytes: &[u8], env: &mut Env<'_>) {
        if self.life.is_open() {
            self.call(|session, cx| session.input(cx), bytes, env);
        }
    }

    /// The peer will send no more.
    pub fn peer_done(&mut self, env: &mut Env<'_>) {
        if !self.is_peer_done() {
            self.state |= State::PEER_DONE | State::EOF_DUE;
        }
        self.go_on(env);
    }

    /// The deadline has passed; nothing happens if it was moved meanwhile.
    pub fn tick(&mut self, env: &mut Env<'_>) {
        if self.deadline() > env.now {
            return;
        }
        self.deadline = Time::NEVER.into();
        match self.life() {
            Life::Open if self.is_paused() => {
                self.state.remove(State::PAUSED);
                self.call(|session, cx| session.resume(cx), &[], env);
            }
            Life::Open => {
                let held = self.state & State::HELD;
                self.call(|session, cx| session.expired(cx), &[], env);
                if self.buffers.as_ref().is_some_and(|buffers| !buffers.input.is_empty()) {
                    // There may be room by now, but the session was not offered what waited for it.
                    self.state |= held;
                }
            }
            Life::Finishing(_) => self.wait_on(env.now),
            Life::Lingering(why) => self.life.set(Life::Dead(why)),
            Life::Dead(_) => {}
        }
    }

    /// The daemon is stopping. The session is told as soon as what it was sent is answered.
    pub fn drain(&mut self, env: &mut Env<'_>) {
        self.state |= State::DRAIN_DUE;
        self.go_on(env);
    }

    /// The job that the session waits for is done: it gets its turn next.
    pub fn job_done(&mut self) {
        if self.state.contains(State::WAITING) {
            self.state.remove(State::WAITING);
            self.state.insert(State::JOB_DONE);
        }
    }

    /// Gives the session what waited for room in the output: input that was left, the drain, the end of
    /// input, its turn. One of these per call, so that every connection gets its turn; true if there is more.
    pub fn go_on(&mut self, env: &mut Env<'_>) -> bool {
        if !self.has_turn() {
            return false;
        }
        if self.state.contains(State::JOB_DONE) {
            self.state.remove(State::JOB_DONE);
            self.call(|session, cx| session.resume(cx), &[], env);
        } else if self.state.contains(State::HELD) {
            self.call(|session, cx| session.input(cx), &[], env);
        } else if self.is_busy() {
            self.state.remove(State::YIELDED);
            self.call(|session, cx| session.resume(cx), &[], env);
        } else if self.state.contains(State::DRAIN_DUE) {
            self.state.remove(State::DRAIN_DUE);
            self.call(|session, cx| session.drain(cx), &[], env);
        } else if self.state.contains(State::EOF_DUE) {
            self.state.remove(State::EOF_DUE);
            self.call(|session, cx| session.eof(cx), &[], env);
        } else {
            self.state.remove(State::YIELDED);
            self.call(|session, cx| session.resume(cx), &[], env);
        }
        self.has_turn()
    }

    /// Whether [`Conn::go_on`] has something to do.
    #[inline]
    pub fn has_turn(&self) -> bool {
        self.state.intersects(State::TURN) && self.may_go_on()
    }

    /// Whether nothing keeps the session from having its turn.
    fn may_go_on(&self) -> bool {
        let waits = self.state.intersects(State::PAUSED | State::WAITING) || self.out_is_full();
        self.life.is_open() && !waits
    }

    /// Whether nothing is in buffers and nothing is due: only input, time or the operator can change that.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.buffers.is_none() && !self.state.intersects(State::TURN) && self.life.is_open()
    }

    /// Whether to read from the peer: not when it does not read what it is sent (back-pressure), not
    /// when the session has not taken what was read, be it for lack of room or of a turn, not while it
    /// waits for a job.
    #[inline]
    pub fn wants_input(&self) -> bool {
        let stops = State::PEER_DONE | State::HELD | State::JOB | State::PAUSED;
        if !self.life.is_open() || self.state.intersects(stops) {
            return false;
        }
        let Some(buffers) = &self.buffers else { return true };
        !self.is_busy() && (!buffers.out.is_full() || is_planted(Mutant::BackPressureIgnored))
    }

    /// Whether the session has asked for peace until the deadline.
    pub fn is_paused(&self) -> bool {
        self.state.contains(State::PAUSED)
    }

    /// Whether the session has left input until its turn.
    fn is_busy(&self) -> bool {
        let has_input = || self.buffers.as_ref().is_some_and(|buffers| !buffers.input.is_empty());
        self.state.contains(State::YIELDED) && has_input()
    }

    /// The peer reset the connection, or the network failed.
    pub fn fail(&mut self, why: Why) {
        self.life.set(Life::Dead(why));
    }

    /// Everything owed is sent and the peer was told; keep reading until it closes too, or until then.
    pub fn linger(&mut self, why: Why, until: Time) {
        self.life.set(Life::Lingering(why));
        self.deadline = until.into();
    }

    /// Nothing of what is owed will be sent any more, which the peer has been told; see [`Conn::linger`].
    pub fn cut(&mut self, why: Why, until: Time) {
        if let Some(buffers) = &mut self.buffers {
            buffers.out.reset();
            buffers.input.clear();
        }
        self.linger(why, until);
    }

    /// The peer sent `n` bytes more after the end; whether it is time to stop listening to it.
    pub fn has_lingered(&mut self, n: usize) -> bool {
        // Rounded up, so that a drip of single bytes has an end as well.
        self.life.drop_kib(n.div_ceil(1024)) > limits::LINGER_KIB
    }

    /// The connection is over; lets the session say what it must to the rest of the program.
    pub fn closed(&mut self, why: Why, env: &mut Env<'_>) {
        let mut buffers = self.buffers.take().unwrap_or_else(|| env.pool.take());
        let mut deadline = Time::NEVER;
        let mut cx = cx(Input::new(&[]), &mut buffers.out, &mut deadline, env);
        self.session.handler().closed(&mut cx, why);
        env.pool.jobs.extend(self.session.handler().left_over().map(|job| (env.id, job)));
        if !is_planted(Mutant::BuffersNotEmptied) {
            buffers.out.reset();
        }
        buffers.input.clear();
        env.pool.give(buffers);
    }

    /// After writing: keeps what was not sent of `read_buffer`, or gives the buffers back.
    #[inline]
    pub fn settle(&mut self, read_buffer: &[u8], pool: &mut Pool) {
        let Some(buffers) = &mut self.buffers else { return };
        if !is_planted(Mutant::PassedBytesLost) {
            buffers.out.keep(read_buffer);
        }
        let is_over = buffers.out.is_empty() && buffers.input.is_empty();
        if is_over && is_planted(Mutant::BuffersKept) {
            buffers.input.resize(2048, 0);
            buffers.input.clear();
        } else if is_over && let Some(buffers) = self.buffers.take() {
            pool.give(buffers);
        }
    }

    /// Gives up memory that the session does not need while nothing is going on: see [`Session::rest`].
    /// Before its next call comes [`Conn::wake`].
    #[inline]
    pub fn rest(&mut self, now: Time) {
        if self.session.may_rest() && self.is_quiet() && !self.state.intersects(State::JOB | State::PAUSED) {
            self.session.rest(now);
        }
    }

    /// Whether the session must be woken before its next call.
    #[inline]
    pub fn is_at_rest(&self) -> bool {
        matches!(self.session, Session::AtRest(_))
    }

    /// See [`Conn::rest`]; with the options of the session's service.
    #[inline]
    pub fn wake(&mut self, options: &Options) {
        self.session.wake(options);
    }

    /// What waits to be sent, if anything does.
    pub fn out(&mut self) -> Option<&mut Out> {
        self.buffers.as_mut().map(|buffers| &mut buffers.out).filter(|out| !out.is_empty())
    }

    /// How many bytes wait to be sent, those of files included.
    pub fn owed(&self) -> u64 {
        self.buffers.as_ref().map_or(0, |buffers| buffers.out.owed())
    }

    /// Bytes of memory that it holds on to beside its slot.
    pub fn holds(&self) -> usize {
        let buffers = self.buffers.as_ref();
        let own = buffers.map_or(0, |it| size_of::<Buffers>() + it.input.capacity() + it.out.capacity());
        own + self.session.holds()
    }

    /// Whether nothing waits to be sent.
    pub fn is_flushed(&self) -> bool {
        self.buffers.as_ref().is_none_or(|buffers| buffers.out.is_empty())
    }

    /// Whether the session does something that no peer can hurry: a job, or a turn that is due.
    pub fn is_working(&self) -> bool {
        self.state.intersects(State::JOB) || self.has_turn()
    }

    /// Where the connection is in its life.
    pub fn life(&self) -> Life {
        self.life.life()
    }

    /// When [`Conn::tick`] is due.
    pub fn deadline(&self) -> Time {
        self.deadline.into()
    }

    /// Whether the peer has said that it will send no more.
    pub fn is_peer_done(&self) -> bool {
        self.state.contains(State::PEER_DONE)
    }

    /// The room membership to feed; none once the session is over.
    pub fn member(&self) -> Option<MemberId> {
        if self.life.is_open() { self.session.member() } else { None }
    }

    /// Waits longer for a peer that is owed something at the end, if it has taken some of it meanwhile.
    fn wait_on(&mut self, now: Time) {
        let waits = is_planted(Mutant::EndAwaited);
        if self.out().is_some_and(|out| out.has_progressed(limits::PROGRESS)) || waits {
            self.deadline = now.after(self.session.handler().patience()).into();
        } else {
            self.life.set(Life::Dead(Why::TimedOut));
        }
    }

    fn out_is_full(&self) -> bool {
        self.buffers.as_ref().is_some_and(|buffers| buffers.out.is_full())
    }

    /// Calls the session and does what it wants.
    #[inline]
    fn call(
        &mut self,
        call: impl FnOnce(&mut dyn Handler, &mut Cx<'_>) -> Flow,
        fresh: &[u8],
        env: &mut Env<'_>,
    ) {
        let flow = self.offer(call, fresh, env);
        if !matches!(flow, Flow::Continue) {
            self.follow(flow, env);
        }
        if let Some(buffers) = self.buffers.as_deref().filter(|buffers| !buffers.input.is_empty()) {
            // Whoever waits for a job is called for that first.
            let is_held = buffers.out.is_full() && !self.state.intersects(State::JOB);
            self.state.set(State::HELD, is_held && !is_planted(Mutant::HeldInputForgotten));
            if buffers.input.len() > limits::PENDING_INPUT {
                debug_assert!(false, "a handler left more input than any may need");
                self.life.set(Life::Dead(Why::Failed));
            }
        } else {
            self.state.remove(State::HELD);
        }
    }

    /// Offers fresh input where it lies if nothing waits before it, so that nothing is copied in the
    /// common case; what is left is kept.
    #[inline]
    fn offer(
        &mut self,
        call: impl FnOnce(&mut dyn Handler, &mut Cx<'_>) -> Flow,
        fresh: &[u8],
        env: &mut Env<'_>,
    ) -> Flow {
        let Self { session, buffers, .. } = self;
        let mut deadline = Time::from(self.deadline);
        let Buffers { input: left, out, .. } = &mut **buffers.get_or_insert_with(|| env.pool.take());
        if left.is_empty() {
            out.allow_passing(true);
            let mut cx = cx(Input::new(fresh), out, &mut deadline, env);
            let flow = call(session.handler(), &mut cx);
            let rest = cx.input.rest();
            if !rest.is_empty() {
                left.extend_from_slice(rest);
            }
            self.deadline = deadline.into();
            return flow;
        }
        left.extend_from_slice(fresh);
        out.allow_passing(false);
        let mut cx = cx(Input::new(left), out, &mut deadline, env);
        let flow = call(session.handler(), &mut cx);
        let used = cx.input.used();
        left.drain(..used);
        self.deadline = deadline.into();
        flow
    }

    /// Does what the session wants. Whoever takes over from it is opened, then offered what input is left.
    fn follow(&mut self, mut flow: Flow, env: &mut Env<'_>) {
        while let Flow::Become(session) = flow {
            self.session = *session;
            self.deadline = Time::NEVER.into();
            flow = self.offer(|session, cx| session.open(cx), &[], env);
            let has_input = self.buffers.as_ref().is_some_and(|buffers| !buffers.input.is_empty());
            if matches!(flow, Flow::Continue) && has_input {
                flow = self.offer(|session, cx| session.input(cx), &[], env);
            }
        }
        match flow {
            Flow::Continue | Flow::Become(_) => {}
            Flow::Yield => self.state |= State::YIELDED,
            Flow::Wait(job) => {
                self.state |= State::WAITING;
                env.pool.jobs.push((env.id, job));
            }
            Flow::Pause(until) => {
                self.state |= State::PAUSED;
                self.deadline = until.into();
            }
            Flow::Finish(why) => {
                self.life.set(Life::Finishing(why));
                self.deadline = env.now.after(self.session.handler().patience()).into();
                if let Some(buffers) = &mut self.buffers {
                    buffers.input.clear();
                    if is_planted(Mutant::HalfCloseDropsReply) && why == Why::PeerDone {
                        buffers.out.reset();
                    }
                    buffers.out.mark();
                }
            }
            Flow::Abort(why) => self.life.set(Life::Dead(why)),
        }
    }
}

fn cx<'a>(input: Input<'a>, out: &'a mut Out, deadline: &'a mut Time, env: &Env<'a>) -> Cx<'a> {
    Cx { now: env.now, input, out, deadline, shared: env.shared, peer: env.peer, id: env.id }
}

const _: () = assert!(limits::LINGER_KIB < life::MOST_KIB);
// An idle connection is this and little more: see the reactor's slot.
const _: () = assert!(size_of::<Conn>() <= 32);

mod stuck;
#[cfg(test)]
mod tests;
