//! Messages as datagrams: one out, one back, or lost.

use std::collections::VecDeque;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::{Args, Error, Exchange, Heard, Interrupt, Ready, Target};
use crate::client::common::udp_socket;
use crate::limits::DATAGRAM;

/// Lost messages that are remembered, to know their replies when they come late.
const REMEMBERED: usize = 64;

/// A socket that is connected, so that only the server's datagrams arrive.
#[derive(Debug)]
pub(super) struct Udp {
    socket: UdpSocket,
    target: Target,
    lost_after: Duration,
    lost: VecDeque<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Udp {
    pub(super) fn new(target: &Target, args: &Args) -> Result<Self, Error> {
        let socket = udp_socket(target, &args.common)?;
        socket.set_nonblocking(true).map_err(|error| target.failed(&error))?;
        let (lost, buffer) = (VecDeque::new(), vec![0; DATAGRAM + 1]);
        Ok(Self { socket, target: target.clone(), lost_after: args.lost_after, lost, buffer })
    }

    /// A datagram, if one is there.
    fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.socket.recv(&mut self.buffer) {
            Ok(n) => Ok(Some(self.buffer.get(..n).unwrap_or_default().to_vec())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(self.target.failed(&error)),
        }
    }
}

impl Exchange for Udp {
    fn exchange(&mut self, message: &[u8], interrupt: &Interrupt) -> Result<Heard, Error> {
        if message.len() > DATAGRAM {
            let n = message.len();
            return Err(Error::Usage(format!(
                "{n} bytes do not fit a datagram, which has {DATAGRAM} at the most"
            )));
        }
        let start = Instant::now();
        self.socket.send(message).map_err(|error| self.target.failed(&error))?;
        loop {
            let ready = interrupt.wait(&[self.socket.as_fd()], Some(start + self.lost_after));
            match ready.map_err(|error| self.target.failed(&error))? {
                Ready::Interrupted => return Ok(Heard::Interrupted),
                Ready::TimedOut => break,
                Ready::At(_) => {}
            }
            let Some(reply) = self.receive()? else { continue };
            // An echo of what has been given up is no reply to this message.
            if reply == message || !self.lost.contains(&reply) {
                return Ok(Heard::Reply(reply, start.elapsed()));
            }
        }
        if self.lost.len() == REMEMBERED {
            self.lost.pop_front();
        }
        self.lost.push_back(message.to_vec());
        Ok(Heard::Lost)
    }

    /// What came too late is dropped: its message has been counted as lost.
    fn unasked(&mut self) -> Result<Vec<u8>, Error> {
        while self.receive()?.is_some() {}
        Ok(Vec::new())
    }

    /// A server cannot leave where there is no connection.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
