//! Several senders at once over TCP.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::ports::{self, Ports};
use super::sender::Sender;
use super::{Args, Error, Next, Output, Receiver, announce, note};
use crate::client::target::explain;

/// Senders at a time; others wait in the kernel.
const SENDERS: usize = 256;

/// Listeners and who came.
#[derive(Debug)]
pub(super) struct Tcp {
    listeners: Vec<TcpListener>,
    senders: Vec<Sender>,
    buffer: Vec<u8>,
    /// Where `--until-eof` looks at one sender only.
    alone: bool,
}

impl Tcp {
    pub(super) fn bind(ports: &Ports, args: &Args) -> Result<Self, Error> {
        let sockets = ports.bind(args)?;
        announce(&ports::usable(&sockets)?, args);
        let listeners = sockets.into_iter().map(TcpListener::from).collect();
        Ok(Self { listeners, senders: Vec::new(), buffer: vec![0; 64 * 1024], alone: args.until_eof })
    }

    fn accepts(&self) -> bool {
        self.senders.len() < if self.alone { 1 } else { SENDERS }
    }

    fn accept(&mut self, at: usize) {
        let Some(listener) = self.listeners.get(at).filter(|_| self.accepts()) else { return };
        match listener.accept().and_then(|(stream, peer)| Sender::new(stream, peer)) {
            Ok(sender) => {
                note(format_args!("connected: {}", sender.name));
                self.senders.push(sender);
            }
            // Gone before it was looked at.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => note(format_args!("a sender could not be let in: {error}")),
        }
    }
}

impl Receiver for Tcp {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let senders = self.senders.iter().map(|sender| sender.stream.as_fd());
        let listeners = self.listeners.iter().filter(|_| self.accepts()).map(AsFd::as_fd);
        senders.chain(listeners).collect()
    }

    fn deadline(&self) -> Option<Instant> {
        self.senders.iter().filter_map(|sender| sender.deadline).min()
    }

    fn ready(&mut self, at: usize, args: &Args, output: &mut Output) -> Result<Next, Error> {
        let known = self.senders.len();
        let several = known > 1;
        let Some(sender) = self.senders.get_mut(at) else {
            self.accept(at.saturating_sub(known));
            return Ok(Next::Go);
        };
        let bytes = match sender.read(&mut self.buffer) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Next::Go),
            Err(error) => {
                sender.gone = true;
                note(format_args!("lost: {}: {}", sender.name, explain(&error)));
                return if args.until_eof { Err(lost(sender)) } else { Ok(Next::Go) };
            }
        };
        if several {
            note(format_args!("from {}:", sender.name));
        }
        show(bytes, output)?;
        let ended = bytes.is_empty();
        let next = take(sender, bytes, ended, args);
        if ended {
            sender.gone = true;
            note(format_args!("closed: {} ({} bytes)", sender.name, sender.received));
            return Ok(if args.until_eof { Next::Stop } else { next });
        }
        Ok(next)
    }

    fn expire(&mut self, args: &Args) -> Next {
        let due = self.senders.iter_mut().filter(|sender| sender.is_due());
        let stops =
            due.map(|sender| take(sender, b"", true, args)).filter(|next| *next == Next::Stop).count();
        if stops > 0 { Next::Stop } else { Next::Go }
    }

    fn tidy(&mut self) {
        self.senders.retain(|sender| !sender.gone);
    }
}

/// On a terminal each piece has lines of its own; elsewhere nothing is added.
fn show(bytes: &[u8], output: &mut Output) -> Result<(), Error> {
    match (bytes.is_empty(), output.is_terminal()) {
        (true, _) => Ok(()),
        (false, true) => output.their_line(bytes),
        (false, false) => output.write(bytes),
    }
}

/// Answers the messages that these bytes complete; says whether one of them ends it all.
fn take(sender: &mut Sender, bytes: &[u8], whole: bool, args: &Args) -> Next {
    let mut next = Next::Go;
    for (message, end) in sender.messages(bytes, whole) {
        let reply = args.reply.as_ref().map(|reply| [reply.as_bytes(), end].concat());
        if reply.is_some_and(|reply| !sender.answer(&reply)) {
            note(format_args!("not answered: {} does not read", sender.name));
        }
        if args.ends_with(&message) {
            next = Next::Stop;
        }
    }
    next
}

fn lost(sender: &Sender) -> Error {
    Error::Network(format!("{}: the sender was lost after {} bytes", sender.name, sender.received))
}
