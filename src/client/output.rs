//! Standard output of a client: whole lines as they come, and a quiet end when nobody reads any more.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use super::Error;
use crate::escape::Escaped;

/// Standard output. On a terminal, what a peer sent is escaped; elsewhere it is exact.
#[derive(Debug)]
pub struct Output {
    stdout: io::Stdout,
    terminal: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Output {
    /// The process's own.
    pub fn new() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self { stdout, terminal }
    }

    /// Whether a person looks at it.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// A line of ours, at once.
    ///
    /// # Errors
    /// The reader is gone, or the disk is full.
    pub fn line(&mut self, line: impl fmt::Display) -> Result<(), Error> {
        self.write(format!("{line}\n").as_bytes())
    }

    /// Exactly these bytes, at once.
    ///
    /// # Errors
    /// As for [`Output::line`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut stdout = self.stdout.lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(failed)
    }

    /// What a peer sent: exact, or escaped on a terminal, where line feeds stay.
    ///
    /// # Errors
    /// As for [`Output::line`].
    pub fn theirs(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.terminal {
            self.write(Escaped::new(bytes).keeping_newlines().to_string().as_bytes())
        } else {
            self.write(bytes)
        }
    }

    /// The same as a line of its own: a line end is added where there is none.
    ///
    /// # Errors
    /// As for [`Output::line`].
    pub fn their_line(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.theirs(bytes)?;
        if bytes.ends_with(b"\n") { Ok(()) } else { self.write(b"\n") }
    }
}

fn failed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::ReaderGone,
        _ => Error::File { what: "standard output".to_owned(), error },
    }
}

/// A line of ours for people, on standard error. It is not worth failing for.
pub fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
