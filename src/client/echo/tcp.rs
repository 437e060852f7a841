//! Messages over a connection; see the parent module for where a reply ends.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::{Args, Error, Exchange, Heard, Interrupt, LONGEST, Ready, SHOWN, Target};
use crate::escape::Escaped;

/// A connection, and how to tell where a reply on it ends.
#[derive(Debug)]
pub(super) struct Tcp {
    stream: TcpStream,
    target: Target,
    timeout: Duration,
    pause: Duration,
    /// A reply is as long as its message.
    same_length: bool,
    has_line_end: bool,
    replies: u32,
}

impl Tcp {
    pub(super) fn connect(target: &Target, args: &Args) -> Result<Self, Error> {
        let stream = args.common.connect(target)?;
        // Both ways are served by one poll: a server that answers while it still reads must not block us.
        stream.set_nonblocking(true).map_err(|error| target.failed(&error))?;
        Ok(Self {
            stream,
            target: target.clone(),
            timeout: args.common.timeout,
            pause: args.pause,
            same_length: args.verify,
            has_line_end: !args.line_end.bytes().is_empty(),
            replies: 0,
        })
    }

    fn failed(&self, error: &io::Error) -> Error {
        self.target.failed(error)
    }

    /// Reads what is there; false at the end of the connection.
    fn read(&self, into: &mut Vec<u8>) -> Result<bool, Error> {
        let mut buffer = [0; 16 * 1024];
        match (&self.stream).read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(n) => {
                into.extend_from_slice(buffer.get(..n).unwrap_or_default());
                Ok(true)
            }
            Err(error) if is_not_ready(&error) => Ok(true),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn is_whole(&self, reply: &[u8], message: &[u8]) -> bool {
        if self.same_length && !message.is_empty() {
            reply.len() >= message.len()
        } else {
            reply.ends_with(b"\n")
        }
    }

    /// The time is over, or the connection: with nothing, or in the middle of a reply.
    fn incomplete(&self, reply: &[u8], message: &[u8], ended: bool) -> Error {
        let asked = if message.is_empty() {
            "the greeting".to_owned()
        } else {
            let shown = Escaped::bounded(message, SHOWN);
            format!("the reply to message {} (\"{shown}\")", self.replies + 1)
        };
        let came = match reply.len() {
            0 => format!("nothing came of {asked}"),
            1 => format!("only 1 byte (\"{}\") came of {asked}", Escaped::new(reply)),
            n => format!("only {n} bytes (\"{}\") came of {asked}", Escaped::bounded(reply, SHOWN)),
        };
        let how = match ended {
            true => format!("closed: {came}; did the server crash, or is one message all it takes?"),
            false if !reply.is_empty() || self.has_line_end || message.is_empty() => {
                format!("timed out: {came} in {:?}; is the server busy with another client?", self.timeout)
            }
            false => format!(
                "timed out: {came} in {:?}; does the server wait for a line end? (--line-end lf)",
                self.timeout
            ),
        };
        Error::Network(format!("{}: {how}", self.target))
    }
}

impl Exchange for Tcp {
    fn exchange(&mut self, message: &[u8], interrupt: &Interrupt) -> Result<Heard, Error> {
        let (start, mut last) = (Instant::now(), Instant::now());
        let (mut unsent, mut reply) = (message, Vec::new());
        loop {
            let quiet = !reply.is_empty() && unsent.is_empty() && !self.same_length;
            let wait = if quiet { self.pause.min(self.timeout) } else { self.timeout };
            // The whole reply has the time-out, so that a trickle is not waited for for ever.
            let until = (last + wait).min(start + self.timeout);
            let wanted = if unsent.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
            let ready = interrupt.poll(&mut std::iter::once((self.stream.as_fd(), wanted)), Some(until));
            match ready.map_err(|error| self.failed(&error))? {
                Ready::Interrupted => return Ok(Heard::Interrupted),
                Ready::TimedOut if quiet && last + wait <= Instant::now() => break,
                Ready::TimedOut => return Err(self.incomplete(&reply, message, false)),
                Ready::At(_) => {}
            }
            unsent = unsent.get(self.write(unsent)?..).unwrap_or_default();
            let before = reply.len();
            let open = self.read(&mut reply)?;
            if reply.len() > before {
                last = Instant::now();
            }
            if reply.len() > LONGEST {
                return Err(Error::Wrong(format!(
                    "{}: more than {LONGEST} bytes came for one message; is that the right port?",
                    self.target
                )));
            }
            if !open
                && (reply.is_empty()
                    || !unsent.is_empty()
                    || self.same_length && !self.is_whole(&reply, message))
            {
                return Err(self.incomplete(&reply, message, true));
            }
            if !open || unsent.is_empty() && !reply.is_empty() && self.is_whole(&reply, message) {
                break;
            }
        }
        self.replies += u32::from(!message.is_empty());
        Ok(Heard::Reply(reply, last - start))
    }

    fn unasked(&mut self) -> Result<Vec<u8>, Error> {
        let mut extra = Vec::new();
        let open = self.read(&mut extra)?;
        if open || !extra.is_empty() {
            Ok(extra)
        } else {
            Err(self.failed(&io::ErrorKind::UnexpectedEof.into()))
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.stream.as_fd())
    }
}

impl Tcp {
    /// Writes what the connection takes now.
    fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match (&self.stream).write(bytes) {
            Ok(n) => Ok(n),
            Err(error) if is_not_ready(&error) => Ok(0),
            Err(error) => Err(self.failed(&error)),
        }
    }
}

fn is_not_ready(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
