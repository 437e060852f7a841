//! Datagrams, each with its sender.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::ports::{self, Ports};
use super::{Args, Error, Next, Output, Receiver, announce, note};
use crate::limits::DATAGRAM;

/// The sockets.
#[derive(Debug)]
pub(super) struct Udp {
    sockets: Vec<UdpSocket>,
    buffer: Vec<u8>,
}

impl Udp {
    pub(super) fn bind(ports: &Ports, args: &Args) -> Result<Self, Error> {
        let sockets = ports.bind(args)?;
        announce(&ports::usable(&sockets)?, args);
        let sockets = sockets.into_iter().map(UdpSocket::from).collect();
        Ok(Self { sockets, buffer: vec![0; DATAGRAM + 1] })
    }
}

impl Receiver for Udp {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd).collect()
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn ready(&mut self, at: usize, args: &Args, output: &mut Output) -> Result<Next, Error> {
        let Some(socket) = self.sockets.get(at) else { return Ok(Next::Go) };
        let (n, peer) = match socket.recv_from(&mut self.buffer) {
            Ok(came) => came,
            // Somebody an answer went to is gone; or it was nothing after all.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(Next::Go),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Next::Go),
            Err(error) => return Err(Error::File { what: "receiving".to_owned(), error }),
        };
        let datagram = self.buffer.get(..n).unwrap_or_default();
        let noun = if n == 1 { "byte" } else { "bytes" };
        note(format_args!("from {peer} ({n} {noun}):"));
        if output.is_terminal() {
            output.their_line(datagram)?;
        } else {
            output.write(datagram)?;
        }
        let answer = args.reply.as_ref().map(|reply| socket.send_to(reply.as_bytes(), peer));
        if let Some(Err(error)) = answer {
            note(format_args!("not answered: {peer}: {error}"));
        }
        Ok(if args.ends_with(datagram) { Next::Stop } else { Next::Go })
    }

    fn expire(&mut self, _: &Args) -> Next {
        Next::Go
    }
}
