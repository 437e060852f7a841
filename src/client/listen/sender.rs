//! One sender over TCP: what it said so far that is no whole message.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::framing::{Lines, Next as Framed, Telnet};
use crate::input::Input;
use crate::limits::MAX_LINE;
use crate::out::Out;

/// What is quiet for so long is a message although no line end came: the daemon's rule.
const PAUSE: Duration = Duration::from_millis(25);

/// A connection.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) stream: TcpStream,
    /// The four numbers that make it this connection and no other.
    pub(super) name: String,
    pub(super) received: u64,
    pub(super) deadline: Option<Instant>,
    pub(super) gone: bool,
    lines: Lines,
    tail: Vec<u8>,
}

impl Sender {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let name = format!("{peer} -> {}", stream.local_addr()?);
        let (lines, tail) = (Lines::new(Telnet::WhenNegotiated), Vec::new());
        Ok(Self { stream, name, received: 0, deadline: None, gone: false, lines, tail })
    }

    /// Reads once what is there; `None` if nothing is. No bytes are the end.
    pub(super) fn read<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        match self.stream.read(buffer) {
            Ok(n) => {
                self.received += n as u64;
                Ok(Some(buffer.get(..n).unwrap_or_default()))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The messages that these bytes complete, with their line ends; `ended` if no more will come.
    pub(super) fn messages(&mut self, bytes: &[u8], ended: bool) -> Vec<(Vec<u8>, &'static [u8])> {
        self.tail.extend_from_slice(bytes);
        let (mut found, mut out) = (Vec::new(), Out::default());
        let mut input = Input::new(&self.tail);
        loop {
            match self.lines.next(&mut input, MAX_LINE, &mut out) {
                Framed::Message(message) | Framed::Http(message) => {
                    found.push((message.text.into_owned(), message.end.bytes()));
                }
                // Too long to be one of the words that mean something here; it has been shown.
                Framed::TooLong => drop(input.take_all()),
                Framed::Incomplete => break,
            }
        }
        if ended {
            let last = self.lines.take_tail(&mut input, &mut out);
            found.extend(last.map(|message| (message.text.into_owned(), message.end.bytes())));
        }
        let rest = input.rest().to_vec();
        self.deadline = self.lines.pause(&rest, PAUSE).map(|pause| Instant::now() + pause);
        self.tail = rest;
        found
    }

    /// Whether the pause is over that makes a message of the tail.
    pub(super) fn is_due(&self) -> bool {
        self.deadline.is_some_and(|at| at <= Instant::now())
    }

    /// Sends an answer; false if the sender does not read.
    pub(super) fn answer(&mut self, text: &[u8]) -> bool {
        self.stream.write(text).is_ok_and(|n| n == text.len())
    }
}
