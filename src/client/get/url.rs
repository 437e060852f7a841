//! `http://host:port/path`, and what people leave out of it.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Error;
use crate::client::Target;

/// What may not stand in a request line, and what nobody means by itself.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'|');

/// Where to connect, and what to ask for there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) target: Target,
    /// For the field `Host`.
    pub(super) host: String,
    /// Path and query, encoded.
    pub(super) path: String,
}

impl Url {
    /// `port` is the one of an address without `http://`.
    pub(super) fn parse(text: &str, port: Option<u16>) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Usage(format!("{text:?}: {what}"));
        let (rest, port) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (rest, Some(80)),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(wrong("https is not spoken here, only http; curl does"));
            }
            Some(_) => return Err(wrong("only http:// is spoken here")),
            None => (text, port),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("a name and password are not sent from here; leave them out"));
        }
        if authority.is_empty() {
            return Err(wrong("it has no host; write http://HOST:PORT/PATH"));
        }
        let target = Target::parse(authority, port)?;
        let host = if target.port == 80 {
            target.to_string().trim_end_matches(":80").to_owned()
        } else {
            target.to_string()
        };
        let path = utf8_percent_encode(path, ENCODED).to_string();
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        if !host.chars().all(|c| c.is_ascii_graphic()) {
            return Err(wrong("the host is no name"));
        }
        Ok(Self { target, host, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_one() {
        let is = |text: &str, target: &str, host: &str, path: &str| {
            let url = Url::parse(text, Some(8080)).unwrap();
            assert_eq!(
                (url.target.to_string().as_str(), url.host.as_str(), url.path.as_str()),
                (target, host, path),
                "{text}"
            );
        };
        is("http://h", "h:80", "h", "/");
        is("HTTP://h:8080/a?b=c#d", "h:8080", "h:8080", "/a?b=c");
        is("h/a b/ä%20", "h:8080", "h:8080", "/a%20b/%C3%A4%20");
        is("http://[::1]/x", "[::1]:80", "[::1]", "/x");
        is("localhost?q", "localhost:8080", "localhost:8080", "/?q");
        for bad in ["https://h/", "ftp://h/", "http://", "/x", "http://a:b@h/", "http://h:x/", "http://h h/"]
        {
            assert!(Url::parse(bad, Some(8080)).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_in_it_ends_the_request_line() {
        let url = Url::parse("http://h/a\r\nX: y", None).unwrap();
        assert_eq!(url.path, "/a%0D%0AX:%20y");
        assert!(Url::parse("http://h\r\nX: y/", None).is_err());
    }
}
