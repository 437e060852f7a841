//! One connection without its socket: a session, what it has not read, what it has not sent.
//!
//! An engine tells a [`Conn`] what happened (bytes, the end of them, time, room to write), writes what
//! then stands in [`Conn::out`], and looks at [`Conn::life`]. Every engine drives the same code.

use crate::input::Input;
use crate::limits;
use crate::out::Out;
use crate::peer::Peer;
use crate::protocol::{ConnId, Cx, Flow, Session, Why};
use crate::room::MemberId;
use crate::shared::Shared;
use crate::time::Time;

/// Where a connection is between its first and its last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// The session runs.
    Open,
    /// The session is over; what is owed is being sent.
    Finishing(Why),
    /// All is sent and the peer knows; what it still sends is dropped so that no reset destroys the reply.
    Lingering(Why),
    /// To be closed.
    Dead(Why),
}

/// What is in flight, both ways; borrowed from a [`Pool`] while there is any.
#[derive(Debug, Default)]
pub struct Flight {
    /// Input that the session has not taken.
    input: Vec<u8>,
    /// Output that the socket has not taken.
    pub out: Out,
}

/// Flights not in use, so that a reply costs no allocation.
#[derive(Debug, Default)]
pub struct Pool {
    free: Vec<Box<Flight>>,
}

impl Pool {
    fn take(&mut self) -> Box<Flight> {
        self.free.pop().unwrap_or_default()
    }

    fn give(&mut self, mut flight: Box<Flight>) {
        if self.free.len() >= limits::POOL_BOXES {
            return;
        }
        flight.out.reset();
        flight.input.clear();
        flight.input.shrink_to(limits::POOL_CAPACITY);
        self.free.push(flight);
    }
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

/// What happened; each is a method of [`Handler`](crate::protocol::Handler).
#[derive(Debug, Clone, Copy)]
enum Event {
    Open,
    Input,
    Resume,
    Eof,
    Expired,
    Drain,
}

/// The end of the peer's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    /// The peer has sent everything, and the session does not know.
    Seen,
    /// The session knows.
    Told,
}

/// See the module.
#[derive(Debug)]
pub struct Conn {
    session: Session,
    flight: Option<Box<Flight>>,
    deadline: Time,
    life: Life,
    /// The session asked for another turn.
    yielded: bool,
    /// Input was left because the output was full.
    held: bool,
    end: End,
    /// The daemon is stopping; the session may not know yet.
    draining: bool,
    /// Kibibytes dropped after the end.
    lingered: u16,
}

impl Conn {
    /// A connection to a peer that has just been accepted; call [`Conn::open`] next.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            flight: None,
            deadline: Time::NEVER,
            life: Life::Open,
            yielded: false,
            held: false,
            end: End::NotYet,
            draining: false,
            lingered: 0,
        }
    }

    /// Starts the session.
    pub fn open(&mut self, env: &mut Env<'_>) {
        self.call(Event::Open, &[], env);
    }

    /// The peer sent `bytes`. Until [`Conn::settle`] the output may refer to them.
    pub fn input(&mut self, bytes: &[u8], env: &mut Env<'_>) {
        if self.life == Life::Open {
            self.call(Event::Input, bytes, env);
        }
    }

    /// The peer will send no more.
    pub fn peer_done(&mut self, env: &mut Env<'_>) {
        if self.end == End::NotYet {
            self.end = End::Seen;
        }
        self.go_on(env);
    }

    /// The deadline has passed; nothing happens if it was moved meanwhile.
    pub fn tick(&mut self, env: &mut Env<'_>) {
        if self.deadline > env.now {
            return;
        }
        self.deadline = Time::NEVER;
        match self.life {
            Life::Open => self.call(Event::Expired, &[], env),
            Life::Finishing(_) => self.life = Life::Dead(Why::TimedOut),
            Life::Lingering(why) => self.life = Life::Dead(why),
            Life::Dead(_) => {}
        }
    }

    /// The daemon is stopping. The session is told as soon as what it was sent is answered.
    pub fn drain(&mut self, env: &mut Env<'_>) {
        self.draining = true;
        self.go_on(env);
    }

    /// Gives the session what waited for room in the output: its turn, input that was left, the end of
    /// input, the drain. One of these per call, so that every connection gets its turn; true if there is more.
    pub fn go_on(&mut self, env: &mut Env<'_>) -> bool {
        if self.life != Life::Open || self.out_is_full() {
            return false;
        }
        if self.held {
            self.call(Event::Input, &[], env);
        } else if self.draining {
            self.draining = false;
            self.call(Event::Drain, &[], env);
        } else if self.end == End::Seen {
            self.end = End::Told;
            self.call(Event::Eof, &[], env);
        } else if self.yielded {
            self.call(Event::Resume, &[], env);
        }
        self.has_turn()
    }

    /// Whether [`Conn::go_on`] has something to do.
    pub fn has_turn(&self) -> bool {
        let waits = self.held || self.draining || self.yielded || self.end == End::Seen;
        waits && self.life == Life::Open && !self.out_is_full()
    }

    /// Whether to read from the peer: not when it does not read what it is sent (back-pressure), not
    /// when the session has not taken what was read, be it for lack of room or of a turn.
    pub fn wants_input(&self) -> bool {
        let open = self.life == Life::Open && self.end == End::NotYet;
        open && !self.held && !self.out_is_full() && !self.is_busy()
    }

    /// The peer reset the connection, or the network failed.
    pub fn fail(&mut self, why: Why) {
        self.life = Life::Dead(why);
    }

    /// Everything owed is sent and the peer was told; keep reading until it closes too.
    pub fn linger(&mut self, why: Why, now: Time) {
        self.life = Life::Lingering(why);
        self.deadline = now.after(limits::LINGER);
    }

    /// The peer sent `n` bytes more after the end; whether it is time to stop listening to it.
    pub fn has_lingered(&mut self, n: usize) -> bool {
        // Rounded up, so that a drip of single bytes has an end as well.
        self.lingered = self.lingered.saturating_add(u16::try_from(n.div_ceil(1024)).unwrap_or(u16::MAX));
        self.lingered > limits::LINGER_KIB
    }

    /// Some of what is owed was sent: the connection is worth waiting for.
    pub fn progressed(&mut self, now: Time) {
        if matches!(self.life, Life::Finishing(_)) {
            self.deadline = now.after(limits::FINISH_PROGRESS);
        }
    }

    /// The connection is over; lets the session say what it must to the rest of the program.
    pub fn closed(&mut self, why: Why, env: &mut Env<'_>) {
        let mut flight = self.flight.take().unwrap_or_else(|| env.pool.take());
        let mut cx = cx(Input::new(&[]), &mut flight.out, &mut self.deadline, env);
        self.session.handler().closed(&mut cx, why);
        env.pool.give(flight);
    }

    /// After writing: keeps what was not sent of `read_buffer`, or gives the buffers back.
    pub fn settle(&mut self, read_buffer: &[u8], pool: &mut Pool) {
        let Some(flight) = &mut self.flight else { return };
        flight.out.keep(read_buffer);
        if (flight.out.is_empty() && flight.input.is_empty())
            && let Some(flight) = self.flight.take()
        {
            pool.give(flight);
        }
    }

    /// What waits to be sent, if anything does.
    pub fn out(&mut self) -> Option<&mut Out> {
        self.flight.as_mut().map(|flight| &mut flight.out).filter(|out| !out.is_empty())
    }

    /// Whether nothing waits to be sent.
    pub fn is_flushed(&self) -> bool {
        self.flight.as_ref().is_none_or(|flight| flight.out.is_empty())
    }

    /// Where the connection is in its life.
    pub fn life(&self) -> Life {
        self.life
    }

    /// When [`Conn::tick`] is due.
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// Whether the peer has said that it will send no more.
    pub fn is_peer_done(&self) -> bool {
        self.end != End::NotYet
    }

    /// The room membership to feed; none once the session is over.
    pub fn member(&self) -> Option<MemberId> {
        if self.life == Life::Open { self.session.member() } else { None }
    }

    /// The session waits for its turn and has left input until then.
    fn is_busy(&self) -> bool {
        self.yielded && self.flight.as_ref().is_some_and(|flight| !flight.input.is_empty())
    }

    fn out_is_full(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.out.is_full())
    }

    /// Calls the session and does what it wants.
    fn call(&mut self, event: Event, fresh: &[u8], env: &mut Env<'_>) {
        let mut flight = self.flight.take().unwrap_or_else(|| env.pool.take());
        self.yielded &= !matches!(event, Event::Resume);
        let mut flow = self.offer(event, fresh, &mut flight, env);
        while let Flow::Become(session) = flow {
            self.session = *session;
            self.deadline = Time::NEVER;
            flow = self.offer(Event::Open, &[], &mut flight, env);
            if matches!(flow, Flow::Continue) && !flight.input.is_empty() {
                flow = self.offer(Event::Input, &[], &mut flight, env);
            }
        }
        self.held = !flight.input.is_empty() && flight.out.is_full();
        if flight.input.len() > limits::PENDING_INPUT {
            debug_assert!(false, "a handler left more input than any may need");
            flow = Flow::Abort(Why::Failed);
        }
        self.flight = Some(flight);
        self.follow(&flow, env.now);
    }

    /// Offers fresh input where it lies if nothing waits before it, so that nothing is copied in the
    /// common case; what is left is kept.
    fn offer(&mut self, event: Event, fresh: &[u8], flight: &mut Flight, env: &Env<'_>) -> Flow {
        if flight.input.is_empty() {
            flight.out.allow_passing(true);
            let (flow, used) = self.dispatch(event, Input::new(fresh), &mut flight.out, env);
            flight.input.extend_from_slice(fresh.get(used..).unwrap_or_default());
            return flow;
        }
        flight.input.extend_from_slice(fresh);
        flight.out.allow_passing(false);
        let (flow, used) = self.dispatch(event, Input::new(&flight.input), &mut flight.out, env);
        flight.input.drain(..used);
        flow
    }

    fn dispatch(&mut self, event: Event, input: Input<'_>, out: &mut Out, env: &Env<'_>) -> (Flow, usize) {
        let mut cx = cx(input, out, &mut self.deadline, env);
        let session = self.session.handler();
        let flow = match event {
            Event::Open => session.open(&mut cx),
            Event::Input => session.input(&mut cx),
            Event::Resume => session.resume(&mut cx),
            Event::Eof => session.eof(&mut cx),
            Event::Expired => session.expired(&mut cx),
            Event::Drain => session.drain(&mut cx),
        };
        (flow, cx.input.used())
    }

    fn follow(&mut self, flow: &Flow, now: Time) {
        match *flow {
            Flow::Continue | Flow::Become(_) => {}
            Flow::Yield => self.yielded = true,
            Flow::Finish(why) => {
                self.life = Life::Finishing(why);
                self.deadline = now.after(limits::FINISH_PROGRESS);
                if let Some(flight) = &mut self.flight {
                    flight.input.clear();
                }
            }
            Flow::Abort(why) => self.life = Life::Dead(why),
        }
    }
}

fn cx<'a>(input: Input<'a>, out: &'a mut Out, deadline: &'a mut Time, env: &Env<'a>) -> Cx<'a> {
    Cx { now: env.now, input, out, deadline, shared: env.shared, peer: env.peer, id: env.id }
}

// An idle connection is this and little more: see the reactor's slot.
const _: () = assert!(size_of::<Conn>() <= 40);

#[cfg(test)]
mod tests;
