//! The other end of a conversation, as a script: send, expect, pause, half-close, expect the end.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{Failure, Outcome, SHOWN, Said, Target};
use crate::escape::Escaped;

/// A server that has taken nothing for so long takes no more.
const STUCK: Duration = Duration::from_millis(300);
/// Bytes of a write after which one looks whether the server goes on taking them.
const PORTION: usize = 65_536;

/// A connection to the server. Every step waits no longer than the target allows.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    within: Duration,
    /// What came and no step has taken.
    unread: Vec<u8>,
    sent: Said,
    came: Said,
}

impl Client {
    /// Connects.
    pub fn connect(target: &Target) -> Outcome<Self> {
        Self::connect_with(target, None)
    }

    /// Connects, and lets the kernel keep only a little of what comes, so that the server soon finds that
    /// it cannot send, and of what goes, so that what is sent is with the server.
    pub fn connect_narrow(target: &Target) -> Outcome<Self> {
        const NARROW: usize = 4096;
        Self::connect_with(target, Some(NARROW))
    }

    fn connect_with(target: &Target, receive_buffer: Option<usize>) -> Outcome<Self> {
        let connect = || {
            let socket = Socket::new(Domain::for_address(target.tcp), Type::STREAM, None)?;
            // Before connecting, or the window would be offered already.
            if let Some(bytes) = receive_buffer {
                socket.set_recv_buffer_size(bytes)?;
                socket.set_send_buffer_size(PORTION)?;
            }
            socket.connect_timeout(&target.tcp.into(), target.within)?;
            let stream = TcpStream::from(socket);
            // Each step is a segment of its own, or splits would not be splits.
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(target.within))?;
            Ok(stream)
        };
        let stream = connect().map_err(|error: io::Error| Failure::early("to be let in", error))?;
        let (sent, came) = (Said::default(), Said::default());
        Ok(Self { stream, within: target.within, unread: Vec::new(), sent, came })
    }

    /// Sends bytes, as one segment if they are few.
    pub fn send(&mut self, bytes: &[u8]) -> Outcome<&mut Self> {
        self.sent.note(bytes);
        match self.stream.write_all(bytes) {
            Ok(()) => Ok(self),
            Err(error) => Err(self.failure("to be read from", &error.to_string())),
        }
    }

    /// Sends each part as a segment of its own, as fast as it goes.
    pub fn send_parts(&mut self, parts: &[&[u8]]) -> Outcome<&mut Self> {
        parts.iter().try_for_each(|part| self.send(part).map(drop))?;
        Ok(self)
    }

    /// Waits while the server can do what it would do if nothing more came.
    pub fn pause(&mut self, time: Duration) -> &mut Self {
        std::thread::sleep(time);
        self
    }

    /// Exactly these bytes come next.
    pub fn expect(&mut self, bytes: &[u8]) -> Outcome<&mut Self> {
        let wanted = || format!("\"{}\"", Escaped::bounded(bytes, SHOWN));
        self.wait(&wanted, |unread| !bytes.starts_with(unread) || unread.len() >= bytes.len())?;
        if !self.unread.starts_with(bytes) {
            return Err(self.failure(&wanted(), ""));
        }
        self.unread.drain(..bytes.len());
        Ok(self)
    }

    /// These bytes come, after whatever comes before them.
    pub fn find(&mut self, bytes: &[u8]) -> Outcome<&mut Self> {
        let place = |unread: &[u8]| unread.windows(bytes.len()).position(|window| window == bytes);
        self.wait(&|| format!("\"{}\"", Escaped::bounded(bytes, SHOWN)), |unread| place(unread).is_some())?;
        let end = place(&self.unread).map_or(0, |at| at + bytes.len());
        self.unread.drain(..end);
        Ok(self)
    }

    /// The next line, with its line feed.
    pub fn line(&mut self) -> Outcome<String> {
        self.wait(&|| "a line".to_owned(), |unread| unread.contains(&b'\n'))?;
        let end = self.unread.iter().position(|&b| b == b'\n').map_or(0, |at| at + 1);
        Ok(String::from_utf8_lossy(&self.unread.drain(..end).collect::<Vec<_>>()).into_owned())
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Outcome<Vec<u8>> {
        self.wait(&|| format!("{n} bytes"), |unread| unread.len() >= n)?;
        Ok(self.unread.drain(..n).collect())
    }

    /// Everything up to the end of the connection.
    pub fn rest(&mut self) -> Outcome<Vec<u8>> {
        let deadline = Instant::now() + self.within;
        while self.receive("the end of the connection", deadline)? > 0 {}
        Ok(std::mem::take(&mut self.unread))
    }

    /// What comes until nothing more has come for `quiet`, or the connection ended; if nothing comes at
    /// all, that is a failure when the time is up.
    pub fn until_quiet(&mut self, quiet: Duration) -> Outcome<Vec<u8>> {
        self.wait(&|| "an answer".to_owned(), |unread| !unread.is_empty())?;
        while self.receive("", Instant::now() + quiet).is_ok_and(|n| n > 0) {}
        Ok(std::mem::take(&mut self.unread))
    }

    /// Whether these bytes come within `time`, after whatever comes before them. If not, nothing is taken.
    pub fn hears(&mut self, bytes: &[u8], time: Duration) -> bool {
        let within = std::mem::replace(&mut self.within, time);
        let heard = self.find(bytes).is_ok();
        self.within = within;
        heard
    }

    /// Drops the line end that an answer may have had.
    pub fn skip_line_end(&mut self) {
        let ends = self.unread.iter().take_while(|b| b"\r\n\0".contains(b)).count();
        self.unread.drain(..ends);
    }

    /// What has come and was not taken.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// The server closes, and nothing comes before that.
    pub fn expect_eof(&mut self) -> Outcome {
        let rest = self.rest()?;
        if rest.is_empty() { Ok(()) } else { Err(self.failure("nothing but the end of the connection", "")) }
    }

    /// Says that nothing more will be sent; the other direction stays open.
    pub fn half_close(&mut self) -> Outcome<&mut Self> {
        match self.stream.shutdown(Shutdown::Write) {
            Ok(()) => Ok(self),
            Err(error) => Err(self.failure("to be still connected", &error.to_string())),
        }
    }

    /// Leaves with a reset, as a program does that is killed with data unread.
    pub fn reset(self) {
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Sends everything and half-closes; the answer is read only when that is done, or when the server
    /// takes no more, and some time later. So a server that has not sent all finds the client's end before it can.
    pub fn exchange_late(&mut self, bytes: &[u8]) -> Outcome<Vec<u8>> {
        self.sent.note(bytes);
        let writer = self.stream.try_clone().map_err(|error| Failure::early("a descriptor", error))?;
        std::thread::scope(|scope| {
            let (taken, is_taken) = mpsc::channel::<()>();
            scope.spawn(move || {
                // A portion at a time: a slow server that goes on taking them is not stuck.
                for portion in bytes.chunks(PORTION) {
                    if (&writer).write_all(portion).is_err() {
                        break;
                    }
                    // Nobody listens once the answer is being read.
                    let _ = taken.send(());
                }
                let _ = writer.shutdown(Shutdown::Write);
            });
            let started = Instant::now();
            while is_taken.recv_timeout(STUCK).is_ok() {}
            // The last of it waits in the server's kernel: as long again, until the server has read that.
            std::thread::sleep(started.elapsed().max(STUCK));
            self.rest()
        })
    }

    /// Sends everything and half-closes while the answer is read: both ways are full.
    pub fn exchange(&mut self, bytes: &[u8]) -> Outcome<Vec<u8>> {
        self.sent.note(bytes);
        let writer = self.stream.try_clone().map_err(|error| Failure::early("a descriptor", error))?;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A server that stops reading shows in what comes back.
                let _ = (&writer).write_all(bytes);
                let _ = writer.shutdown(Shutdown::Write);
            });
            self.rest()
        })
    }

    /// Sends `unit` again and again without reading, until the server takes no more; returns how often.
    /// A server that takes more than `bound` bytes keeps them in its memory: that is a failure.
    pub fn stuff(&mut self, unit: &[u8], bound: usize) -> Outcome<usize> {
        let set = |time| self.stream.set_write_timeout(Some(time)).map_err(|e| Failure::early("a socket", e));
        set(STUCK)?;
        let (mut taken, mut total) = (0, 0);
        while total < bound {
            match self.stream.write(unit.get(taken..).unwrap_or_default()) {
                Ok(n) => (total, taken) = (total + n, (taken + n) % unit.len()),
                Err(error) if is_time_out(&error) => break,
                Err(error) => return Err(self.failure("to be kept waiting", &error.to_string())),
            }
        }
        self.sent.note(unit);
        if total >= bound {
            return Err(self.failure("to be kept waiting: nothing was read of the answers", "all was taken"));
        }
        self.stream.set_write_timeout(Some(self.within)).map_err(|e| Failure::early("a socket", e))?;
        Ok(total)
    }

    /// What to say when a look at the answer finds it wrong.
    pub fn unexpected(&self, expected: &str) -> Failure {
        self.failure(expected, "")
    }

    /// Reads until `enough`.
    fn wait(&mut self, expected: &dyn Fn() -> String, enough: impl Fn(&[u8]) -> bool) -> Outcome {
        let deadline = Instant::now() + self.within;
        while !enough(&self.unread) {
            if self.receive("", deadline).map_err(|f| Failure { expected: expected(), ..f })? == 0 {
                return Err(self.failure(&expected(), "the end of the connection"));
            }
        }
        Ok(())
    }

    /// Reads once; 0 is the end.
    fn receive(&mut self, expected: &str, deadline: Instant) -> Outcome<usize> {
        let mut buffer = [0; 16 * 1024];
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let read = self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(&mut buffer));
        match read {
            Ok(n) => {
                let bytes = buffer.get(..n).unwrap_or_default();
                self.came.note(bytes);
                self.unread.extend_from_slice(bytes);
                Ok(n)
            }
            Err(error) if is_time_out(&error) => {
                Err(self.failure(expected, &format!("nothing more for {:?}", self.within)))
            }
            Err(error) => Err(self.failure(expected, &error.to_string())),
        }
    }

    fn failure(&self, expected: &str, ended: &str) -> Failure {
        Failure {
            expected: expected.to_owned(),
            sent: self.sent.clone(),
            came: self.came.clone(),
            ended: ended.to_owned(),
        }
    }
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
