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

    /// What a peer sent: exact, or on a terminal without what could move its cursor.
    ///
    /// # Errors
    /// As for [`Output::line`].
    pub fn theirs(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if !self.terminal {
            return self.write(bytes);
        }
        let lines = bytes.split_inclusive(|&b| b == b'\n');
        // A line end of the network is one here, too; a carriage return alone would overwrite the line.
        let lines = lines.map(|line| match line.strip_suffix(b"\r\n") {
            Some(text) => format!("{}\n", Escaped::new(text).readable()),
            None => Escaped::new(line).readable().to_string(),
        });
        self.write(lines.collect::<String>().as_bytes())
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
