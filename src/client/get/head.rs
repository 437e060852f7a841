//! The head of a reply: its status, and the fields that matter here.

use super::{Error, Url, Wire, shown};
use crate::limits::HTTP_HEAD;

/// Fields of a head at the most.
const FIELDS: usize = 128;

/// How the end of the body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Pieces, each with its length.
    Chunked,
    /// The end of the connection.
    UntilClose,
}

/// A reply without its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    reason: String,
    pub(super) framing: Framing,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    pub(super) content_range: Option<String>,
    location: Option<String>,
}

impl Head {
    /// The length of the body, if it is told.
    pub(super) fn length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        }
    }

    /// Whether the status says that this is what was asked for.
    pub(super) fn verdict(&self, url: &Url) -> Result<(), Error> {
        let status = format!("{}: {} {}", url.target, self.status, shown(self.reason.as_bytes()));
        let status = status.trim_end();
        let hint = match (self.status, &self.location) {
            (200..=299, _) => return Ok(()),
            (300..=399, Some(location)) => format!("it is at {} now; get that", shown(location.as_bytes())),
            (401 | 403, _) => "the server does not give this to everyone".to_owned(),
            (404, _) => {
                format!("the server has nothing called {}; is it spelt right?", shown(url.path.as_bytes()))
            }
            (500..=599, _) => "the server is in trouble; what does its log say?".to_owned(),
            _ => "the server did not give what was asked for".to_owned(),
        };
        Err(Error::Wrong(format!("{status}: {hint}")))
    }
}

/// Receives the head of the final reply; interim ones (1xx) are passed over.
pub(super) fn receive(wire: &mut Wire) -> Result<Head, Error> {
    loop {
        let (head, length) = receive_one(wire)?;
        wire.take(length);
        if !(100..=199).contains(&head.status) || head.status == 101 {
            return Ok(head);
        }
    }
}

fn receive_one(wire: &mut Wire) -> Result<(Head, usize), Error> {
    loop {
        let bytes = wire.waiting();
        if let Some(found) = parse(bytes).map_err(|what| wrong(wire, &what))? {
            return Ok(found);
        }
        if bytes.len() > HTTP_HEAD {
            return Err(wrong(wire, &format!("the head of the reply is longer than {HTTP_HEAD} bytes")));
        }
        if !wire.more()? {
            let what = match wire.waiting() {
                [] => return Err(wire.target.failed(&std::io::ErrorKind::UnexpectedEof.into())),
                came => format!("the reply ends in the middle of its head: \"{}\"", shown(came)),
            };
            return Err(wrong(wire, &what));
        }
    }
}

fn wrong(wire: &Wire, what: &str) -> Error {
    Error::Wrong(format!("{}: {what}", wire.target))
}

/// The head and its length, if all of it is there.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let no_http = || format!("\"{}\" is no HTTP; is a web server at this port?", shown(bytes));
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        // The parser waits for a whole line; what cannot become a status line need not be waited for.
        Ok(httparse::Status::Partial) if !b"HTTP/".starts_with(bytes.get(..5).unwrap_or(bytes)) => {
            return Err(no_http());
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(format!("the reply has more than {FIELDS} fields"));
        }
        Err(_) => return Err(no_http()),
    };
    let values = |name: &str| {
        let of_name = response.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        of_name.map(|field| String::from_utf8_lossy(field.value).trim().to_owned()).collect::<Vec<_>>()
    };
    let first = |name: &str| values(name).into_iter().next();
    let status = response.code.unwrap_or_default();
    let head = Head {
        status,
        reason: response.reason.unwrap_or_default().to_owned(),
        framing: framing(status, &values("transfer-encoding"), &values("content-length"))?,
        etag: first("etag"),
        last_modified: first("last-modified"),
        content_range: first("content-range"),
        location: first("location"),
    };
    Ok(Some((head, length)))
}

/// RFC 9112, section 6.3.
fn framing(status: u16, codings: &[String], lengths: &[String]) -> Result<Framing, String> {
    if matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    match codings {
        [] => {}
        [only] if only.eq_ignore_ascii_case("chunked") => return Ok(Framing::Chunked),
        _ => {
            return Err(format!(
                "the transfer coding \"{}\" is unknown here",
                shown(codings.join(", ").as_bytes())
            ));
        }
    }
    // The same length twice is one length.
    let mut all = lengths.iter().flat_map(|value| value.split(',')).map(str::trim);
    let Some(length) = all.next() else { return Ok(Framing::UntilClose) };
    let is_number = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    match length.parse() {
        Ok(number) if is_number && all.all(|other| other == length) => Ok(Framing::Length(number)),
        _ => Err(format!("its Content-Length is no length: \"{}\"", shown(lengths.join(", ").as_bytes()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing_of(text: &str) -> Result<Framing, String> {
        parse(text.as_bytes()).map(|found| found.unwrap().0.framing)
    }

    #[test]
    fn the_end_of_the_body_is_where_the_rfc_has_it() {
        assert_eq!(framing_of("HTTP/1.0 200 OK\r\n\r\n"), Ok(Framing::UntilClose));
        assert_eq!(framing_of("HTTP/1.0 200 OK\nContent-type: text/html\n\n"), Ok(Framing::UntilClose));
        assert_eq!(framing_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing_of("HTTP/1.1 204 No\r\n\r\n"), Ok(Framing::Length(0)));
        let both = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(framing_of(both), Ok(Framing::Chunked));
        let twice = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(framing_of(twice), Ok(Framing::Length(5)));
        for bad in
            ["Content-Length: 5, 6", "Content-Length: +5", "Content-Length:", "Transfer-Encoding: gzip"]
        {
            assert!(framing_of(&format!("HTTP/1.1 200 OK\r\n{bad}\r\n\r\n")).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_http_is_noticed_at_once() {
        assert!(parse(b"HT").unwrap().is_none());
        assert!(parse(b"HTTP/1.1 200").unwrap().is_none());
        for bad in [&b"SSH-2.0"[..], b"hello", b"HTTX", b"\0"] {
            assert!(parse(bad).is_err_and(|what| what.contains("is no HTTP")), "{bad:?}");
        }
    }
}
