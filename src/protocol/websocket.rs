//! WebSocket (RFC 6455): what a connection of HTTP becomes when both ends agree to it.
//!
//! [`WebSocket`] holds the conversation that all protocols over it share: it puts frames together, answers
//! pings and closes, asks silent peers whether they are there, and ends a connection that breaks a rule
//! with the code that says so. It knows no room and no page: a [`FrameProtocol`] gets frames of data.
//!
//! The framing is our own because of two figures. An idle connection keeps no buffer and no state beyond
//! a null pointer, and what a room says is encoded once, in the room's log, for all who hear it.

use std::time::Duration;

use super::{Cx, Flow, Handler, Why};
use crate::limits;
use crate::room::MemberId;
use crate::time::Time;

pub mod frame;
pub mod handshake;
pub mod reader;
#[cfg(test)]
mod tests;
mod utf8;

pub use frame::{Code, Opcode, Violation};
pub use reader::{Frame, Reader, Wanted};

/// What a protocol lets the conversation do.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What the peer may send, and how it is wanted.
    pub wanted: Wanted,
    /// After so long a silence the peer is asked whether it is there.
    pub ping_every: Duration,
    /// How long it may take to answer, and to take any byte of what waits for it.
    pub patience: Duration,
}

/// What a protocol wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More frames.
    Go,
    /// More frames, after others had their turn.
    Yield,
    /// The end: a close frame with this code and reason.
    Close(Code, &'static str),
}

/// A protocol of frames.
pub trait FrameProtocol {
    /// The bounds and pauses of this conversation.
    fn rules(&self) -> Rules;

    /// The handshake is through.
    fn open(&mut self, _cx: &mut Cx<'_>) -> Next {
        Next::Go
    }

    /// A whole frame of text or bytes, perhaps not the last one of its message.
    fn frame(&mut self, frame: Frame, cx: &mut Cx<'_>) -> Next;

    /// Whether the next frame must wait for a later turn.
    fn must_wait(&self, _cx: &Cx<'_>) -> bool {
        false
    }

    /// Until when the next frame must wait, if it must: the peer is too fast.
    fn must_wait_until(&mut self, _cx: &mut Cx<'_>) -> Option<Time> {
        None
    }

    /// A frame for this peer alone is about to be queued: nothing half sent may stand before it.
    fn before_frame(&self, _cx: &mut Cx<'_>) {}

    /// A close frame is about to be queued: no other frame may follow it.
    fn leave(&mut self, _cx: &mut Cx<'_>) {}

    /// The connection has ended; there was no close frame if [`FrameProtocol::leave`] was not called.
    fn closed(&mut self, _cx: &mut Cx<'_>) {}

    /// The room membership whose news this connection is to be fed.
    fn member(&self) -> Option<MemberId> {
        None
    }
}

/// A [`FrameProtocol`] as a handler of bytes. Boxed, so that a session stays small.
#[derive(Debug)]
pub struct WebSocket<T>(Box<State<T>>);

#[derive(Debug)]
struct State<T> {
    reader: Reader,
    phase: Phase,
    protocol: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The peer was asked whether it is there.
    Asked,
    /// A close frame is sent; that of the peer is waited for.
    Closing(Why),
}

impl<T: FrameProtocol> WebSocket<T> {
    /// The conversation before its first frame.
    pub fn new(protocol: T) -> Self {
        Self(Box::new(State { reader: Reader::default(), phase: Phase::Open, protocol }))
    }
}

impl<T: FrameProtocol> WebSocket<T> {
    /// What must be kept of it between two messages: what the protocol says, and whether the peer was
    /// asked if it is there. `None` if more than that is going on.
    #[inline]
    pub fn at_rest<R>(&self, protocol: impl FnOnce(&T) -> Option<R>) -> Option<(R, bool)> {
        let State { reader, phase, protocol: state } = &*self.0;
        let asked = match phase {
            Phase::Open => false,
            Phase::Asked => true,
            Phase::Closing(_) => return None,
        };
        protocol(state).filter(|_| reader.is_idle()).map(|rest| (rest, asked))
    }

    /// The conversation of which this was kept.
    pub fn woken(asked: bool, protocol: T) -> Self {
        let phase = if asked { Phase::Asked } else { Phase::Open };
        Self(Box::new(State { reader: Reader::default(), phase, protocol }))
    }
}

impl<T: FrameProtocol> State<T> {
    /// Handles every whole frame while the output has room.
    fn frames(&mut self, cx: &mut Cx<'_>) -> Flow {
        while !cx.out.is_full() {
            if let Phase::Closing(why) = self.phase {
                return self.last_frames(why, cx);
            }
            if !cx.input.rest().is_empty() {
                if self.protocol.must_wait(cx) {
                    return Flow::Yield;
                }
                if let Some(until) = self.protocol.must_wait_until(cx) {
                    return Flow::Pause(until);
                }
            }
            let flow = match self.reader.next(&mut cx.input, self.protocol.rules().wanted) {
                Ok(None) => return Flow::Continue,
                Ok(Some(frame)) => self.frame(frame, cx),
                Err(violation) => self.fail(violation, cx),
            };
            if !matches!(flow, Flow::Continue) {
                return flow;
            }
        }
        Flow::Continue
    }

    fn frame(&mut self, frame: Frame, cx: &mut Cx<'_>) -> Flow {
        match frame.opcode {
            Opcode::Pong => Flow::Continue,
            Opcode::Ping => {
                self.protocol.before_frame(cx);
                frame::send(true, Opcode::Pong, &frame.payload, cx.out);
                Flow::Continue
            }
            Opcode::Close => self.answer_close(&frame.payload, cx),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                let next = self.protocol.frame(frame, cx);
                self.follow(next, cx)
            }
        }
    }

    fn follow(&mut self, next: Next, cx: &mut Cx<'_>) -> Flow {
        match next {
            Next::Go => Flow::Continue,
            Next::Yield => Flow::Yield,
            Next::Close(code, reason) => {
                self.close(code, reason, Why::Complete, cx);
                Flow::Continue
            }
        }
    }

    /// Drops what the peer says before it has seen that the conversation is over.
    fn last_frames(&mut self, why: Why, cx: &mut Cx<'_>) -> Flow {
        let wanted = self.protocol.rules().wanted;
        loop {
            match self.reader.next(&mut cx.input, wanted) {
                Ok(None) => return Flow::Continue,
                Ok(Some(Frame { opcode: Opcode::Close, .. })) | Err(_) => return Flow::Finish(why),
                Ok(Some(_)) => {}
            }
        }
    }

    /// Begins the end.
    fn close(&mut self, code: Code, reason: &str, why: Why, cx: &mut Cx<'_>) {
        self.send_close(Some(code), reason, cx);
        self.phase = Phase::Closing(why);
        *cx.deadline = cx.now.after(limits::WEBSOCKET_CLOSE);
    }

    /// The peer broke a rule: what it sends from now on makes no sense.
    fn fail(&mut self, Violation(code, reason): Violation, cx: &mut Cx<'_>) -> Flow {
        self.send_close(Some(code), reason, cx);
        Flow::Finish(Why::BadInput)
    }

    /// Section 5.5.1: a code of two bytes and a reason in UTF-8, or neither.
    fn answer_close(&mut self, payload: &[u8], cx: &mut Cx<'_>) -> Flow {
        let code = match payload.split_first_chunk::<2>() {
            None if payload.is_empty() => None,
            None => return self.fail(Violation(Code::PROTOCOL, "a close code has two bytes"), cx),
            Some((code, reason)) => {
                let code = Code(u16::from_be_bytes(*code));
                if !code.is_sendable() {
                    return self.fail(Violation(Code::PROTOCOL, "this code may not be sent"), cx);
                }
                if std::str::from_utf8(reason).is_err() {
                    return self.fail(Violation(Code::NOT_UTF8, "the reason is not UTF-8"), cx);
                }
                Some(code)
            }
        };
        self.send_close(code, "", cx);
        Flow::Finish(Why::Complete)
    }

    fn send_close(&mut self, code: Option<Code>, reason: &str, cx: &mut Cx<'_>) {
        self.protocol.before_frame(cx);
        self.protocol.leave(cx);
        frame::send_close(code, reason, cx.out);
    }

    /// The peer has said something: it is there.
    fn restart_silence(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.phase, Phase::Closing(_)) {
            self.phase = Phase::Open;
            *cx.deadline = cx.now.after(self.protocol.rules().ping_every);
        }
    }

    /// It has been silent for a while.
    fn ask(&mut self, cx: &mut Cx<'_>) -> Flow {
        if cx.out.is_empty() {
            self.protocol.before_frame(cx);
            frame::send(true, Opcode::Ping, &[], cx.out);
        }
        cx.out.mark();
        self.phase = Phase::Asked;
        *cx.deadline = cx.now.after(self.protocol.rules().patience);
        Flow::Continue
    }
}

impl<T: FrameProtocol> Handler for WebSocket<T> {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.restart_silence(cx);
        let next = self.0.protocol.open(cx);
        self.0.follow(next, cx)
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.restart_silence(cx);
        self.0.frames(cx)
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        if *cx.deadline == Time::NEVER {
            // The deadline was that of a pause.
            self.0.restart_silence(cx);
        }
        self.0.frames(cx)
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        match self.0.phase {
            Phase::Closing(why) => Flow::Finish(why),
            Phase::Open => self.0.ask(cx),
            // It takes what is sent to it, if slowly: its pong may be on its way behind other things.
            Phase::Asked if !cx.out.is_empty() && cx.out.has_progressed(1) => self.0.ask(cx),
            Phase::Asked => Flow::Abort(Why::TimedOut),
        }
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Phase::Closing(why) = self.0.phase {
            return Flow::Finish(why);
        }
        self.0.close(Code::GOING_AWAY, "the server is stopping", Why::Shutdown, cx);
        Flow::Continue
    }

    fn closed(&mut self, cx: &mut Cx<'_>, _: Why) {
        self.0.protocol.closed(cx);
    }

    fn member(&self) -> Option<MemberId> {
        self.0.protocol.member()
    }
}
