//! The conversation that all line protocols share: messages in, whatever ends them, and what happens
//! when there is silence, a line without end, or a browser at the wrong port.

use std::time::Duration;

use super::{Answer, Cx, Flow, Handler, Why};
use crate::access::Refusal;
use crate::escape::Escaped;
use crate::framing::{End, Lines, LinesAtRest, Message, Next, Telnet};
use crate::helper::Job;
use crate::limits;
use crate::room::MemberId;
use crate::time::Time;

/// What a line protocol lets the conversation do.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Longest message in bytes.
    pub max_line: usize,
    /// How long an unterminated message stays quiet until it is taken as complete.
    pub pause: Duration,
    /// How long the peer may be silent until [`LineProtocol::quiet`] is called.
    pub quiet: Option<Duration>,
    /// When telnet sequences are taken out.
    pub telnet: Telnet,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_line: limits::MAX_LINE,
            pause: Duration::from_millis(25),
            quiet: None,
            telnet: Telnet::WhenNegotiated,
        }
    }
}

/// A protocol of messages.
pub trait LineProtocol {
    /// The bounds and pauses of this conversation.
    fn rules(&self) -> Rules {
        Rules::default()
    }

    /// A peer has connected.
    fn open(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Continue
    }

    /// A whole message.
    fn message(&mut self, message: &Message<'_>, cx: &mut Cx<'_>) -> Flow;

    /// Whether the next message must wait for a later turn.
    fn must_wait(&self, _cx: &Cx<'_>) -> bool {
        false
    }

    /// Whether an answer is not complete: then neither a message nor the end comes until
    /// [`LineProtocol::resume`] has made it so.
    fn is_working(&self) -> bool {
        false
    }

    /// The turn that `Yield` or `Wait` asked for.
    fn resume(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Continue
    }

    /// How long the peer may take next to nothing of what is owed to it in the end.
    fn patience(&self) -> Duration {
        limits::FINISH_PROGRESS
    }

    /// What is still to be done when the connection has ended, if it could make everybody wait.
    fn left_over(&mut self) -> Option<Job> {
        None
    }

    /// Until when the next message must wait, if it must: the peer is too fast.
    fn must_wait_until(&mut self, _cx: &mut Cx<'_>) -> Option<Time> {
        None
    }

    /// Whether an unterminated message is known to be complete, so that no pause is waited for.
    fn is_whole(&self, _text: &[u8]) -> bool {
        false
    }

    /// The first line is an HTTP request. A web page must not be able to speak through a browser, so
    /// by default it is refused with a page that names the right address.
    fn http(&mut self, _request_line: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        refuse_http(cx)
    }

    /// A message is longer than it may be.
    fn too_long(&mut self, cx: &mut Cx<'_>) -> Flow {
        refuse_long(self.rules().max_line, cx)
    }

    /// The peer has been silent for [`Rules::quiet`].
    fn quiet(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Finish(Why::TimedOut)
    }

    /// The peer will send no more, and its last message has been handled.
    fn eof(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Finish(Why::PeerDone)
    }

    /// The daemon is stopping.
    fn drain(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Finish(Why::Shutdown)
    }

    /// The connection has ended.
    fn closed(&mut self, _cx: &mut Cx<'_>, _why: Why) {}

    /// A datagram has come: a message of its own.
    fn datagram(&mut self, _datagram: &[u8], _cx: &mut Cx<'_>) -> Answer {
        Answer::Silent
    }

    /// The room membership whose news this connection is to be fed.
    fn member(&self) -> Option<MemberId> {
        None
    }

    /// See [`Handler::holds`].
    fn holds(&self) -> usize {
        0
    }
}

/// A [`LineProtocol`] as a handler of bytes. Boxed, so that a session stays small.
#[derive(Debug)]
pub struct Line<T>(Box<State<T>>);

#[derive(Debug)]
struct State<T> {
    lines: Lines,
    /// When the silence becomes too long, apart from the pause of a tail.
    quiet_at: Time,
    /// What the protocol is to be told when it is done with what came before.
    ending: Option<Ending>,
    protocol: T,
}

/// How messages come to an end.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Eof,
    Drain,
}

impl<T: LineProtocol> Line<T> {
    /// The conversation before its first byte.
    pub fn new(protocol: T) -> Self {
        let lines = Lines::new(protocol.rules().telnet);
        Self(Box::new(State { lines, quiet_at: Time::NEVER, ending: None, protocol }))
    }
}

impl<T: LineProtocol> Line<T> {
    /// What must be kept of it while no input waits; `None` if more than that is going on, or the protocol
    /// says so.
    #[inline]
    pub fn at_rest<R>(&self, protocol: impl FnOnce(&T) -> Option<R>) -> Option<(R, LinesAtRest)> {
        let State { lines, quiet_at, ending, protocol: state } = &*self.0;
        let is_calm = *quiet_at == Time::NEVER && ending.is_none();
        protocol(state).filter(|_| is_calm).map(|rest| (rest, lines.at_rest()))
    }

    /// The conversation of which this was kept.
    pub fn woken(lines: LinesAtRest, protocol: T) -> Self {
        Self(Box::new(State { lines: lines.into(), quiet_at: Time::NEVER, ending: None, protocol }))
    }
}

impl<T: LineProtocol> State<T> {
    /// Handles every whole message while the output has room, and the end if it has come.
    fn messages(&mut self, cx: &mut Cx<'_>) -> Flow {
        let flow = self.whole_messages(cx);
        if !matches!(flow, Flow::Continue) || cx.out.is_full() {
            // What it sends takes its time: the silence begins now.
            self.restart_quiet(cx);
            if self.quiet_at != Time::NEVER {
                *cx.deadline = self.quiet_at;
            }
            let is_over = matches!(flow, Flow::Continue) && self.ending.is_some();
            return if is_over { Flow::Yield } else { flow };
        }
        self.ending.take().map_or(flow, |ending| self.end(ending, cx))
    }

    /// The last message, which need not have an end, and then the end itself.
    fn end(&mut self, ending: Ending, cx: &mut Cx<'_>) -> Flow {
        let flow = if self.protocol.is_working() { Flow::Yield } else { self.take_tail(cx) };
        match (flow, ending) {
            (Flow::Continue, Ending::Eof) => self.protocol.eof(cx),
            (Flow::Continue, Ending::Drain) => self.protocol.drain(cx),
            (flow @ (Flow::Yield | Flow::Wait(_)), _) => {
                self.ending = Some(ending);
                flow
            }
            (flow, _) => flow,
        }
    }

    fn whole_messages(&mut self, cx: &mut Cx<'_>) -> Flow {
        let max = self.protocol.rules().max_line;
        while !cx.out.is_full() {
            if self.protocol.is_working() {
                return Flow::Yield;
            }
            if !cx.input.rest().is_empty() {
                if self.protocol.must_wait(cx) {
                    return Flow::Yield;
                }
                if let Some(until) = self.protocol.must_wait_until(cx) {
                    return Flow::Pause(until);
                }
            }
            let flow = match self.lines.next(&mut cx.input, max, cx.out) {
                Next::Message(message) => self.protocol.message(&message, cx),
                Next::Http(line) => self.protocol.http(&line, cx),
                Next::TooLong => return self.protocol.too_long(cx),
                Next::Incomplete => return self.tail(cx),
            };
            if !matches!(flow, Flow::Continue) {
                return flow;
            }
        }
        Flow::Continue
    }

    fn tail(&mut self, cx: &mut Cx<'_>) -> Flow {
        let tail = cx.input.rest();
        if !self.lines.is_line_connection() && self.protocol.is_whole(tail) {
            return self.take_tail(cx);
        }
        self.set_deadline(cx);
        Flow::Continue
    }

    fn take_tail(&mut self, cx: &mut Cx<'_>) -> Flow {
        if Lines::is_too_long(cx.input.rest(), self.protocol.rules().max_line) {
            return self.protocol.too_long(cx);
        }
        let flow = match self.lines.take_tail(&mut cx.input, cx.out) {
            Some(message) => self.protocol.message(&message, cx),
            None => Flow::Continue,
        };
        if cx.out.is_full() {
            self.restart_quiet(cx);
        }
        self.set_deadline(cx);
        flow
    }

    fn restart_quiet(&mut self, cx: &Cx<'_>) {
        self.quiet_at = self.protocol.rules().quiet.map_or(Time::NEVER, |quiet| cx.now.after(quiet));
    }

    fn set_deadline(&mut self, cx: &mut Cx<'_>) {
        let pause = self.lines.pause(cx.input.rest(), self.protocol.rules().pause);
        let pause_at = pause.map_or(Time::NEVER, |pause| cx.now.after(pause));
        *cx.deadline = self.quiet_at.min(pause_at);
    }
}

impl<T: LineProtocol> Handler for Line<T> {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        let state = &mut *self.0;
        state.restart_quiet(cx);
        state.set_deadline(cx);
        state.protocol.open(cx)
    }

    fn turn_away(&mut self, refusal: Refusal, cx: &mut Cx<'_>) -> Flow {
        refuse(refusal, cx)
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.restart_quiet(cx);
        self.0.messages(cx)
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        match self.0.protocol.resume(cx) {
            Flow::Continue => self.0.messages(cx),
            flow => flow,
        }
    }

    fn eof(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.end(Ending::Eof, cx)
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        let state = &mut *self.0;
        if state.lines.pause(cx.input.rest(), Duration::ZERO).is_some() {
            return state.take_tail(cx);
        }
        if cx.now < state.quiet_at {
            // The deadline is an old one: it was not moved while messages waited for room in the output.
            state.set_deadline(cx);
            return Flow::Continue;
        }
        let flow = state.protocol.quiet(cx);
        // After that the protocol may have other rules.
        state.restart_quiet(cx);
        state.set_deadline(cx);
        flow
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.end(Ending::Drain, cx)
    }

    fn closed(&mut self, cx: &mut Cx<'_>, why: Why) {
        self.0.protocol.closed(cx, why);
    }

    fn patience(&self) -> Duration {
        self.0.protocol.patience()
    }

    fn left_over(&mut self) -> Option<Job> {
        self.0.protocol.left_over()
    }

    fn datagram(&mut self, datagram: &[u8], cx: &mut Cx<'_>) -> Answer {
        self.0.protocol.datagram(datagram, cx)
    }

    fn member(&self) -> Option<MemberId> {
        self.0.protocol.member()
    }

    fn holds(&self) -> usize {
        self.0.protocol.holds()
    }
}

/// Tells the peer, in one line, what was wrong with what it sent. At most 60 bytes of it are quoted,
/// escaped.
pub fn complain(problem: &str, sent: &[u8], advice: &str, end: End, cx: &mut Cx<'_>) {
    let quoted = Escaped::bounded(sent, 60);
    cx.out.print(format_args!("error: {problem} \"{quoted}\"; {advice}"));
    cx.out.push(end.or_lf());
}

/// Tells, in a line, why a peer is not let in.
pub fn refuse(refusal: Refusal, cx: &mut Cx<'_>) -> Flow {
    cx.out.print(format_args!("error: {}\r\n", refusal.reason()));
    Flow::Finish(Why::Refused)
}

/// Refuses a message that is longer than `max` bytes.
pub fn refuse_long(max: usize, cx: &mut Cx<'_>) -> Flow {
    cx.out.print(format_args!("error: a line may have {max} bytes at the most; closing\r\n"));
    Flow::Finish(Why::BadInput)
}

/// Answers a request of HTTP on a port that does not speak it.
pub fn refuse_http(cx: &mut Cx<'_>) -> Flow {
    let place = cx.shared.web_address().map_or_else(
        || "This daemon serves no web page.".to_owned(),
        |address| format!("The web page is at http://{address}/"),
    );
    let body = format!("This port does not speak HTTP. {place}\n");
    cx.out.print(format_args!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    Flow::Finish(Why::BadInput)
}
