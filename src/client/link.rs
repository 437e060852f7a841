//! A connection of a client that sends and receives files: lines and content, with deadlines and bounds.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::target::explain;
use super::{Common, Error, Target};
use crate::escape::Escaped;

/// Longest line of an answer.
const LINE: usize = 8 * 1024;
/// How long to wait for what a server says of why it has closed.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    target: Target,
    timeout: Duration,
    /// What came behind a line.
    unread: Vec<u8>,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(super) fn connect(target: &Target, common: &Common) -> Result<Self, Error> {
        let stream = common.connect(target)?;
        Ok(Self { stream, target: target.clone(), timeout: common.timeout, unread: Vec::new() })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The server has closed or reads nothing.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes).map_err(|error| self.failure(&error))
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// The server has closed.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.stream.shutdown(Shutdown::Write).map_err(|error| self.failure(&error))
    }

    /// Whether the server has said something that was not read.
    pub(super) fn has_answer(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.stream, PollFlags::IN)];
        !self.unread.is_empty() || poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Reads what has come, at most a buffer full; 0 is the end.
    ///
    /// # Errors
    /// The network failed, or nothing came in time.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.unread.is_empty() {
            return self.receive(buffer, self.timeout);
        }
        let n = buffer.len().min(self.unread.len());
        buffer.iter_mut().zip(self.unread.drain(..n)).for_each(|(to, from)| *to = from);
        Ok(n)
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// There is none in time, or what comes is no line that a server of this kind says.
    pub(super) fn line(&mut self) -> Result<String, Error> {
        self.line_within(self.timeout)
    }

    /// The error that explains why nothing can be sent: what the server says of it, if it does.
    pub(super) fn last_words(&mut self, otherwise: Error) -> Error {
        match self.line_within(LAST_WORDS.min(self.timeout)) {
            Ok(line) => self.refusal(&line),
            Err(_) => otherwise,
        }
    }

    /// What a line means that is not the one hoped for.
    pub(super) fn refusal(&self, line: &str) -> Error {
        match line.strip_prefix("error: ") {
            Some(problem) => Error::Wrong(Escaped::bounded(problem.as_bytes(), 400).to_string()),
            None => self.strange(line.as_bytes()),
        }
    }

    /// The server speaks something else.
    pub(super) fn strange(&self, said: &[u8]) -> Error {
        let said = Escaped::bounded(said, 60);
        Error::Wrong(format!(
            "{}: it said \"{said}\", which this kind of server does not; is the port right?",
            self.target
        ))
    }

    fn line_within(&mut self, time: Duration) -> Result<String, Error> {
        let deadline = Instant::now() + time;
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = self.unread.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8_lossy(line.get(..end).unwrap_or_default()).into_owned();
                return Ok(line.strip_suffix('\r').map(str::to_owned).unwrap_or(line));
            }
            if self.unread.len() > LINE {
                return Err(self.strange(&self.unread));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receive(&mut buffer, left)? {
                0 if self.unread.is_empty() => {
                    return Err(Error::Network(format!(
                        "{}: the server closed without an answer",
                        self.target
                    )));
                }
                0 => return Err(self.strange(&self.unread)),
                n => self.unread.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8], time: Duration) -> Result<usize, Error> {
        let time = time.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(time)).map_err(|error| self.failure(&error))?;
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other.map_err(|error| self.failure(&error)),
            }
        }
    }

    fn failure(&self, error: &std::io::Error) -> Error {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Error::Network(format!("{}: timed out: silent for {:?}", self.target, self.timeout))
            }
            _ => Error::Network(format!("{}: {}", self.target, explain(error))),
        }
    }
}
