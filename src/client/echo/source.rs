//! Where the messages come from: the command line, numbers, a file, or what is typed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::os::fd::{AsFd, BorrowedFd};

use memchr::memchr;

use super::{Args, Error, Interrupt, LONGEST, Ready, Target};
use crate::client::output::note;

/// The messages to come.
#[derive(Debug)]
pub(super) enum Source {
    Words(std::vec::IntoIter<String>),
    Numbers(std::ops::RangeInclusive<u64>),
    File(BufReader<File>, String),
    Typed(Typed),
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// A message, without its line end.
    Message(Vec<u8>),
    /// The server said something, or left, while nothing was typed.
    ServerSpoke,
    /// No more messages, or Ctrl-C.
    End,
}

impl From<Option<Vec<u8>>> for Next {
    fn from(message: Option<Vec<u8>>) -> Self {
        message.map_or(Self::End, Self::Message)
    }
}

/// Standard input, read past the standard library's buffer so that it can be waited for.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// What was read and is no whole line yet.
    rest: Vec<u8>,
    ended: bool,
}

impl Source {
    pub(super) fn new(args: &Args) -> Result<Self, Error> {
        if !args.messages.is_empty() {
            return Ok(Self::Words(args.messages.clone().into_iter()));
        }
        if let Some(range) = args.count {
            return Ok(Self::Numbers(range.first..=range.last));
        }
        let Some(path) = &args.file else { return Ok(Self::Typed(Typed::default())) };
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Ok(Self::File(BufReader::new(file), name)),
            Err(error) => Err(Error::File { what: name, error }),
        }
    }

    /// Tells a person at a terminal what to do now.
    pub(super) fn announce(&self, target: &Target) {
        if matches!(self, Self::Typed(_)) && io::stdin().is_terminal() {
            note(format_args!("talking to {target}: each line is a message; Ctrl-D ends"));
        }
    }

    /// The next message. While somebody types, `server` is watched: its end must not wait for Enter.
    pub(super) fn next(
        &mut self,
        interrupt: &Interrupt,
        server: Option<BorrowedFd<'_>>,
    ) -> Result<Next, Error> {
        match self {
            Self::Words(words) => Ok(words.next().map(String::into_bytes).into()),
            Self::Numbers(numbers) => Ok(numbers.next().map(|n| n.to_string().into_bytes()).into()),
            Self::File(file, name) => {
                line_of(file).map(Next::from).map_err(|error| Error::File { what: name.clone(), error })
            }
            Self::Typed(typed) => typed.next(interrupt, server),
        }
    }
}

/// A line of a file without its end; no longer than a message may be.
fn line_of(file: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let n = file.take(LONGEST as u64 + 2).read_until(b'\n', &mut line)?;
    if n > LONGEST + 1 {
        return Err(too_long());
    }
    Ok((n > 0).then(|| without_end(line)))
}

impl Typed {
    fn next(&mut self, interrupt: &Interrupt, server: Option<BorrowedFd<'_>>) -> Result<Next, Error> {
        let failed = |error| Error::File { what: "standard input".to_owned(), error };
        loop {
            if let Some(end) = memchr(b'\n', &self.rest) {
                let line = self.rest.drain(..=end).collect();
                return Ok(Next::Message(without_end(line)));
            }
            if self.ended {
                let last = std::mem::take(&mut self.rest);
                return Ok((!last.is_empty()).then_some(last).into());
            }
            if self.rest.len() > LONGEST {
                return Err(failed(too_long()));
            }
            let stdin = io::stdin();
            let fds: Vec<BorrowedFd<'_>> = std::iter::once(stdin.as_fd()).chain(server).collect();
            match interrupt.wait(&fds, None).map_err(failed)? {
                Ready::At(0) => self.read().map_err(failed)?,
                Ready::At(_) => return Ok(Next::ServerSpoke),
                Ready::Interrupted | Ready::TimedOut => return Ok(Next::End),
            }
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let n = rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut buffer))?;
        self.ended = n == 0;
        self.rest.extend_from_slice(buffer.get(..n).unwrap_or_default());
        Ok(())
    }
}

fn without_end(mut line: Vec<u8>) -> Vec<u8> {
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    line
}

fn too_long() -> io::Error {
    io::Error::other(format!("a message may have {LONGEST} bytes at the most"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_of_a_file_come_without_their_ends() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one\r\n\nthree").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut file = BufReader::new(file);
        let mut next = || line_of(&mut file).unwrap();
        assert_eq!(next().as_deref(), Some(&b"one"[..]));
        assert_eq!(next().as_deref(), Some(&b""[..]));
        assert_eq!(next().as_deref(), Some(&b"three"[..]));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_line_without_end_is_not_read_into_memory() {
        let mut file = BufReader::new(File::open("/dev/zero").unwrap());
        assert!(line_of(&mut file).is_err_and(|error| error.to_string().contains("1048576")));
    }
}
