//! The body of a reply, whichever way its end is told. It is passed on as it comes, never kept.

use super::head::{Framing, Head};
use super::{Error, Wire, shown};

use crate::mutation::{Mutant, is_planted};

/// Longest line between two chunks, and all lines of a trailer together.
const LINE: usize = 8 * 1024;

/// Receives all of it.
pub(super) fn receive(
    wire: &mut Wire,
    head: &Head,
    to: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    match head.framing {
        Framing::Length(length) => {
            let came = piece(wire, length, to)?;
            if came == length || is_planted(Mutant::ShortBodyTaken) {
                Ok(())
            } else {
                Err(short(wire, &format!("{came} of {length} bytes")))
            }
        }
        Framing::UntilClose => piece(wire, u64::MAX, to).map(|_| ()),
        Framing::Chunked => chunks(wire, to),
    }
}

/// Up to so many bytes; fewer where the connection ends.
fn piece(wire: &mut Wire, length: u64, to: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<u64, Error> {
    let mut left = length;
    while left > 0 {
        let data = wire.data()?;
        let n = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if n == 0 {
            break;
        }
        to(data.get(..n).unwrap_or_default())?;
        wire.take(n);
        left -= n as u64;
    }
    Ok(length - left)
}

fn chunks(wire: &mut Wire, to: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut total = 0;
    loop {
        let size = chunk_size(wire, total)?;
        if size == 0 {
            return trailer(wire, total);
        }
        let came = piece(wire, size, to)?;
        total += came;
        if came < size {
            return Err(short(wire, &format!("{total} bytes and no end of a chunk")));
        }
        if line(wire, total)?.as_slice() != b"" {
            return Err(wrong(wire, "a chunk is longer than it says"));
        }
    }
}

fn chunk_size(wire: &mut Wire, total: u64) -> Result<u64, Error> {
    let line = [line(wire, total)?.as_slice(), b"\r\n"].concat();
    match httparse::parse_chunk_size(&line) {
        Ok(httparse::Status::Complete((_, size))) => Ok(size),
        _ => Err(wrong(wire, &format!("\"{}\" is no length of a chunk", shown(line.trim_ascii_end())))),
    }
}

/// Fields behind the last chunk mean nothing here; they end with an empty line.
fn trailer(wire: &mut Wire, total: u64) -> Result<(), Error> {
    let mut length = 0;
    loop {
        let line = line(wire, total)?;
        if line.is_empty() {
            return Ok(());
        }
        length += line.len();
        if length > LINE {
            return Err(wrong(wire, "the trailer does not end"));
        }
    }
}

/// A line without its end.
fn line(wire: &mut Wire, total: u64) -> Result<Vec<u8>, Error> {
    loop {
        let waiting = wire.waiting();
        if let Some(end) = memchr::memchr(b'\n', waiting) {
            let line = waiting.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
            wire.take(end + 1);
            return Ok(line);
        }
        if waiting.len() > LINE {
            return Err(wrong(wire, "a line between two chunks does not end"));
        }
        if !wire.more()? {
            return Err(short(wire, &format!("{total} bytes and no last chunk")));
        }
    }
}

fn wrong(wire: &Wire, what: &str) -> Error {
    Error::Wrong(format!("{}: {what}; the server does not speak HTTP well", wire.target))
}

fn short(wire: &Wire, what: &str) -> Error {
    Error::Network(format!("{}: the body is short: {what} came, then the server closed", wire.target))
}
