//! The connection: a buffer of what came, and on demand a view of every byte.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::{Error, Output};
use crate::client::Target;
use crate::escape::Escaped;
use crate::limits::{HTTP_HEAD, READ_BUFFER};

/// A connection to a web server.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    pub(super) target: Target,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    raw: Option<Raw>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, target: Target, raw: bool) -> Self {
        let raw = raw.then(|| Raw { output: Output::new(), open: None });
        Self { stream, target, buffer: vec![0; HTTP_HEAD + READ_BUFFER], start: 0, end: 0, raw }
    }

    pub(super) fn send(&mut self, text: &str) -> Result<(), Error> {
        if let Some(raw) = &mut self.raw {
            raw.show('>', text.as_bytes())?;
        }
        self.stream.write_all(text.as_bytes()).map_err(|error| self.target.failed(&error))
    }

    /// What came and is not taken; reads if there is nothing. Empty at the end of the connection.
    pub(super) fn data(&mut self) -> Result<&[u8], Error> {
        if self.start == self.end {
            self.more()?;
        }
        Ok(self.waiting())
    }

    /// What came and is not taken.
    pub(super) fn waiting(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn take(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// Reads once more behind what waits; false at the end of the connection.
    pub(super) fn more(&mut self) -> Result<bool, Error> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let n = loop {
            match self.stream.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(n) => break n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.target.failed(&error)),
            }
        };
        if let Some(raw) = &mut self.raw {
            raw.show('<', self.buffer.get(self.end..self.end + n).unwrap_or_default())?;
        }
        self.end += n;
        Ok(n > 0)
    }
}

/// Shows lines with their direction; what has no line end yet is gone on with.
#[derive(Debug)]
struct Raw {
    output: Output,
    /// The direction of a line that is not ended.
    open: Option<char>,
}

impl Raw {
    fn show(&mut self, direction: char, bytes: &[u8]) -> Result<(), Error> {
        let mut text = String::new();
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            if self.open != Some(direction) {
                let ended = if self.open.is_some() { "\n" } else { "" };
                let _ = write!(text, "{ended}{direction} ");
            }
            let _ = write!(text, "{}", Escaped::new(line));
            self.open = Some(direction);
            if line.ends_with(b"\n") {
                text.push('\n');
                self.open = None;
            }
        }
        self.output.write(text.as_bytes())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if self.open.is_some() {
            // Whoever reads this is gone if it fails.
            let _ = self.output.write(b"\n");
        }
    }
}
