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

/// A head that is complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    /// Of all of it, in bytes.
    pub(super) length: usize,
    /// Of the request line and its line end.
    pub(super) line: usize,
    /// The request line, if it was looked at in this very call.
    pub(super) parsed: Option<RequestLine<'a>>,
}

impl Search {
    /// Where the head that `bytes` begin with ends, if it does; `bytes` begin with those of the last
    /// call. The request line is checked as soon as it is complete.
    ///
    /// # Errors
    /// 400 for what cannot be a request, or whose line ends are mixed; 414 and 431 for what is too long.
    pub(super) fn advance<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Found<'a>>, Refusal> {
        first_byte(bytes)?;
        let mut parsed = None;
        let window = bytes.get(..limits::HTTP_HEAD).unwrap_or(bytes);
        let mut seen = usize::from(self.seen);
        while let Some(n) = window.get(seen..).and_then(|new| new.iter().position(|b| *b == b'\n')) {
            seen += n + 1;
            let so_far = window.get(..seen).unwrap_or_default();
            if self.line == 0 {
                parsed = Some(self.first_line(so_far)?);
            } else if self.is_blank(so_far)? {
                return Ok(Some(Found { length: seen, line: self.line.into(), parsed }));
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

    /// Checks the request line, which may end in a bare line feed only where people type it:
    /// `printf 'GET / HTTP/1.0\n\n' | nc`.
    fn first_line<'a>(&mut self, bytes: &'a [u8]) -> Result<RequestLine<'a>, Refusal> {
        if bytes.len() > REQUEST_LINE {
            return Err(target_too_long());
        }
        let line = RequestLine::parse(bytes)?;
        let typed = line.minor == 0 && matches!(line.method, Method::Get | Method::Head);
        if !typed && !is_crlf(bytes) {
            let text = "the request line ends in a line feed alone; every line must end in CR LF";
            return Err(Refusal::bad(text));
        }
        self.line = as_u16(bytes.len());
        Ok(line)
    }

    /// Whether the line that `bytes` end with is the blank one.
    fn is_blank(self, bytes: &[u8]) -> Result<bool, Refusal> {
        let first = bytes.get(..self.line.into()).unwrap_or_default();
        match (is_crlf(first), is_crlf(bytes)) {
            (true, true) => Ok(matches!(bytes, [.., b'\n', b'\r', b'\n'])),
            (false, false) => Ok(matches!(bytes, [.., b'\n', b'\n'])),
            _ => Err(Refusal::bad("a line ends in a line feed alone; every line must end in CR LF")),
        }
    }
}

fn is_crlf(line: &[u8]) -> bool {
    matches!(line, [.., b'\r', b'\n'])
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

/// Refuses a target longer than [`limits::HTTP_TARGET`].
pub(super) fn target_too_long() -> Refusal {
    let text = format!("a request target may have {} bytes at the most", limits::HTTP_TARGET);
    Refusal::closing(Status::URI_TOO_LONG, text)
}

/// Never saturates: nothing longer than [`limits::HTTP_HEAD`] is counted.
fn as_u16(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}
