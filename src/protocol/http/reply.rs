//! Heads of replies, and the short texts that say what was wrong (RFC 9110, sections 6, 8 and 15).

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::refusal::{Refusal, Status};
use super::request::Exchange;
use crate::access;
use crate::protocol::{Cx, Flow, Why};

/// What is allowed here, for `Allow`.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// What plain text is sent as.
const TEXT: &str = "text/plain; charset=utf-8";

/// Length of the value of `Date` and the line end behind it.
pub(super) const DATE: usize = 31;

/// What was sent, for the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) status: u16,
    /// Bytes of the body that were promised.
    pub(super) bytes: u64,
}

/// How a peer finds the end of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Bytes(u64),
    /// Chunks: for HTTP/1.1 only.
    Chunked,
    /// The end of the connection, which must therefore close.
    UntilClose,
    /// The status allows no body.
    None,
}

/// The head of a reply.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) status: Status,
    pub(super) content_type: &'a str,
    pub(super) length: Length,
    /// More fields, each with its line end.
    pub(super) extra: &'a str,
}

impl<'a> Head<'a> {
    /// A head with the fields that are always there.
    pub(super) fn new(status: Status, content_type: &'a str, length: Length) -> Self {
        Self { status, content_type, length, extra: "" }
    }

    /// Queues the head.
    pub(super) fn write(&self, exchange: Exchange, cx: &mut Cx<'_>) -> Sent {
        let Status(code, phrase) = self.status;
        let mut head = format!("HTTP/1.1 {code} {phrase}\r\nServer: switchboard\r\n");
        let mut field = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {value}\r\n");
        };
        if let Some(date) = date(cx.shared.wall_clock()) {
            field("Date", &date);
        }
        let bytes = match self.length {
            Length::Bytes(length) => {
                field("Content-Length", &length.to_string());
                if exchange.head_only { 0 } else { length }
            }
            Length::Chunked => {
                field("Transfer-Encoding", "chunked");
                0
            }
            Length::UntilClose | Length::None => 0,
        };
        if self.length != Length::None {
            field("Content-Type", self.content_type);
            field("X-Content-Type-Options", "nosniff");
        }
        head.push_str(self.extra);
        cx.out.push(head.as_bytes());
        end(exchange, cx);
        Sent { status: code, bytes }
    }
}

/// Queues the fields that every head ends with, and the blank line.
pub(super) fn end(exchange: Exchange, cx: &mut Cx<'_>) {
    if exchange.cors {
        cx.out.push(b"Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: *\r\n");
    }
    cx.out.push(match (exchange.keep, exchange.minor) {
        (false, _) => b"Connection: close\r\n\r\n",
        (true, 0) => b"Connection: keep-alive\r\n\r\n",
        (true, _) => b"\r\n",
    });
}

/// Answers with a line of text, and perhaps more fields.
pub(super) fn text(status: Status, text: &str, extra: &str, exchange: Exchange, cx: &mut Cx<'_>) -> Sent {
    let body = format!("{} {}: {text}\n", status.0, status.1);
    let length = Length::Bytes(body.len() as u64);
    let sent = Head { extra, ..Head::new(status, TEXT, length) }.write(exchange, cx);
    if !exchange.head_only {
        cx.out.push(body.as_bytes());
    }
    sent
}

/// Answers with a refusal.
pub(super) fn refuse(refusal: &Refusal, exchange: Exchange, cx: &mut Cx<'_>) -> Sent {
    let is_method = refusal.status == Status::METHOD_NOT_ALLOWED;
    let allow = if is_method { format!("Allow: {ALLOWED}\r\n") } else { String::new() };
    text(refusal.status, &refusal.text, &allow, exchange, cx)
}

/// Answers whoever is not let in, before any request: 403, or 503 with a moment to try again after.
pub(in crate::protocol) fn turn_away(why: access::Refusal, cx: &mut Cx<'_>) -> Flow {
    let (status, extra) = match why {
        access::Refusal::NoAccess => (Status::FORBIDDEN, ""),
        _ => (Status::UNAVAILABLE, "Retry-After: 5\r\n"),
    };
    let exchange = Exchange { minor: 1, head_only: false, keep: false, cors: false };
    text(status, why.reason(), extra, exchange, cx);
    Flow::Finish(Why::Refused)
}

/// Answers what may be asked for; to pages of other origins as well, where they may ask.
pub(super) fn methods(exchange: Exchange, cx: &mut Cx<'_>) -> Sent {
    let mut extra = format!("Allow: {ALLOWED}\r\n");
    if exchange.cors {
        let _ = write!(extra, "Access-Control-Allow-Methods: {ALLOWED}\r\n");
        extra.push_str("Access-Control-Allow-Headers: *\r\nAccess-Control-Max-Age: 86400\r\n");
    }
    Head { extra: &extra, ..Head::new(Status::NO_CONTENT, "", Length::None) }.write(exchange, cx)
}

/// `Sat, 21 Nov 2026 01:07:09 GMT`; none for moments that the format cannot say.
pub(super) fn date(moment: SystemTime) -> Option<String> {
    /// The year 10000 begins.
    const END: Duration = Duration::from_secs(253_402_300_800);
    let since = moment.duration_since(UNIX_EPOCH).ok()?;
    (since < END).then(|| httpdate::fmt_http_date(moment))
}

/// The same with its line end; 1970 for moments that cannot be said.
pub(super) fn date_bytes(moment: SystemTime) -> [u8; DATE] {
    let mut bytes = *b"Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    if let Some(date) = date(moment) {
        bytes.iter_mut().zip(date.bytes()).for_each(|(to, from)| *to = from);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_cannot_be_said_are_left_out() {
        assert_eq!(date(UNIX_EPOCH).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), None);
        assert_eq!(date(UNIX_EPOCH + Duration::from_secs(253_402_300_800)), None);
        assert_eq!(date_bytes(UNIX_EPOCH), *b"Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    }
}
