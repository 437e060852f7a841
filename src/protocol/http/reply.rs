//! Heads of replies, and the short texts that say what was wrong (RFC 9110, sections 6, 8 and 15).

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::refusal::{Refusal, Status};
use super::request::Exchange;
use crate::protocol::Cx;

/// What is allowed here, for `Allow`.
const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// What plain text is sent as.
const TEXT: &str = "text/plain; charset=utf-8";

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
    pub(super) modified: Option<SystemTime>,
    /// One more field.
    pub(super) extra: Option<(&'a str, &'a str)>,
}

impl<'a> Head<'a> {
    /// A head with the fields that are always there.
    pub(super) fn new(status: Status, content_type: &'a str, length: Length) -> Self {
        Self { status, content_type, length, modified: None, extra: None }
    }

    /// Queues the head.
    pub(super) fn write(&self, exchange: Exchange, cx: &mut Cx<'_>) {
        let now = cx.shared.wall_clock();
        let Status(code, phrase) = self.status;
        let mut head = format!("HTTP/1.1 {code} {phrase}\r\nServer: switchboard\r\n");
        let mut field = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {value}\r\n");
        };
        if let Some(date) = date(now) {
            field("Date", &date);
        }
        match self.length {
            Length::Bytes(length) => field("Content-Length", &length.to_string()),
            Length::Chunked => field("Transfer-Encoding", "chunked"),
            Length::UntilClose | Length::None => {}
        }
        if self.length != Length::None {
            field("Content-Type", self.content_type);
            field("X-Content-Type-Options", "nosniff");
        }
        // A moment to come would make caches wait for it (RFC 9110, section 8.8.2.1).
        if let Some(modified) = self.modified.and_then(|modified| date(modified.min(now))) {
            field("Last-Modified", &modified);
        }
        if let Some((name, value)) = self.extra {
            field(name, value);
        }
        match (exchange.keep, exchange.minor) {
            (false, _) => field("Connection", "close"),
            (true, 0) => field("Connection", "keep-alive"),
            (true, _) => {}
        }
        head.push_str("\r\n");
        cx.out.push(head.as_bytes());
    }
}

/// Answers with a line of text, and perhaps one more field.
pub(super) fn text(
    status: Status,
    text: &str,
    extra: Option<(&str, &str)>,
    exchange: Exchange,
    cx: &mut Cx<'_>,
) {
    let body = format!("{} {}: {text}\n", status.0, status.1);
    let length = Length::Bytes(body.len() as u64);
    Head { extra, ..Head::new(status, TEXT, length) }.write(exchange, cx);
    if !exchange.head_only {
        cx.out.push(body.as_bytes());
    }
}

/// Answers with a refusal.
pub(super) fn refuse(refusal: &Refusal, exchange: Exchange, cx: &mut Cx<'_>) {
    let allow = (refusal.status == Status::METHOD_NOT_ALLOWED).then_some(("Allow", ALLOWED));
    text(refusal.status, &refusal.text, allow, exchange, cx);
}

/// Answers what may be asked for.
pub(super) fn methods(exchange: Exchange, cx: &mut Cx<'_>) {
    let head = Head::new(Status::NO_CONTENT, "", Length::None);
    Head { extra: Some(("Allow", ALLOWED)), ..head }.write(exchange, cx);
}

/// `Sat, 21 Nov 2026 01:07:09 GMT`; none for moments that the format cannot say.
fn date(moment: SystemTime) -> Option<String> {
    /// The year 10000 begins.
    const END: Duration = Duration::from_secs(253_402_300_800);
    let since = moment.duration_since(UNIX_EPOCH).ok()?;
    (since < END).then(|| httpdate::fmt_http_date(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_cannot_be_said_are_left_out() {
        assert_eq!(date(UNIX_EPOCH).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), None);
        assert_eq!(date(UNIX_EPOCH + Duration::from_secs(253_402_300_800)), None);
    }
}
