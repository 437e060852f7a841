//! Finding the end of a request's head, however it is cut into pieces (RFC 9112, section 2).
//!
//! A head is looked at once: what has been searched is remembered, so that a peer who sends a byte at a
//! time costs no more than one who sends it whole. Every decision depends on the bytes up to it alone,
//! never on how they came.

use super::refusal::{Refusal, Status};
use super::request::{Method, RequestLine, is_token};
use crate::limits;

/// Longest request line in bytes, line end included: the target, a method and a version.
const REQUEST_LINE: usize = limits::HTTP_TARGET + 64;

// A search is remembered in 16 bits.
const _: () = assert!(limits::HTTP_HEAD <= u16::MAX as usize && REQUEST_LINE < limits::HTTP_HEAD);

/// How far the search for the blank line that ends a head has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Search {
    /// Bytes that have been searched.
    seen: u16,
    /// Length of the request line with its line end; 0 while it is not complete.
    line: u16,
}

impl Search {
    /// Where the head that `bytes` begin with ends, if it does; `bytes` begin with those of the last
    /// call. The request line is checked as soon as it is complete.
    ///
    /// # Errors
    /// 400 for what cannot be a request, or whose line ends are mixed; 414 and 431 for what is too long.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        first_byte(bytes)?;
        let window = bytes.get(..limits::HTTP_HEAD).unwrap_or(bytes);
        let mut seen = usize::from(self.seen);
        while let Some(n) = window.get(seen..).and_then(|new| new.iter().position(|b| *b == b'\n')) {
            seen += n + 1;
            if self.line_end(window.get(..seen).unwrap_or_default())? {
                return Ok(Some(seen));
            }
        }
        if self.line == 0 && bytes.len() > REQUEST_LINE {
            return Err(target_too_long());
        }
        if bytes.len() > limits::HTTP_HEAD {
            let text = format!("a request head may have {} bytes at the most", limits::HTTP_HEAD);
            return Err(Refusal::closing(Status::HEAD_TOO_LARGE, text));
        }
        self.seen = as_u16(window.len());
        Ok(None)
    }

    /// Length of the request line, with its line end.
    pub(super) fn request_line(self) -> usize {
        self.line.into()
    }

    /// Looks at the line that `bytes` end with; true if it is the blank one.
    fn line_end(&mut self, bytes: &[u8]) -> Result<bool, Refusal> {
        if self.line == 0 {
            self.line = first_line(bytes)?;
            return Ok(false);
        }
        let first = bytes.get(..self.line.into()).unwrap_or_default();
        match (first.ends_with(b"\r\n"), bytes.ends_with(b"\r\n")) {
            (true, true) => Ok(bytes.ends_with(b"\n\r\n")),
            (false, false) => Ok(bytes.ends_with(b"\n\n")),
            _ => Err(Refusal::bad("a line ends in a line feed alone; every line must end in CR LF")),
        }
    }
}

/// The first byte tells requests from most of what else strangers send.
fn first_byte(bytes: &[u8]) -> Result<(), Refusal> {
    match bytes {
        [] | [b'\r'] => Ok(()),
        [0x16, ..] => Err(Refusal::bad("this is TLS, but the port speaks plain HTTP: use http://")),
        [first, ..] if is_token(&[*first]) => Ok(()),
        _ => Err(Refusal::bad("this is not an HTTP request")),
    }
}

/// Checks the request line and returns its length. It may end in a bare line feed only where people
/// type it: `printf 'GET / HTTP/1.0\n\n' | nc`.
fn first_line(bytes: &[u8]) -> Result<u16, Refusal> {
    if bytes.len() > REQUEST_LINE {
        return Err(target_too_long());
    }
    let line = RequestLine::parse(bytes)?;
    let typed = line.minor == 0 && matches!(line.method, Method::Get | Method::Head);
    if !typed && !bytes.ends_with(b"\r\n") {
        return Err(Refusal::bad("the request line ends in a line feed alone; every line must end in CR LF"));
    }
    Ok(as_u16(bytes.len()))
}

/// Refuses a target longer than [`limits::HTTP_TARGET`].
pub(super) fn target_too_long() -> Refusal {
    let text = format!("a request target may have {} bytes at the most", limits::HTTP_TARGET);
    Refusal::closing(Status::URI_TOO_LONG, text)
}

/// Never saturates: nothing longer than [`limits::HTTP_HEAD`] is counted.
fn as_u16(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}
