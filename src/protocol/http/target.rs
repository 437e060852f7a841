//! What a request asks for (RFC 9112, section 3.2), decoded exactly once.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::fields::is_authority;
use super::refusal::{Refusal, Status};

/// Encoded in links and redirects: all but the unreserved characters (RFC 3986, section 2.3), so that
/// a name can be neither a scheme nor a query nor a way out of an attribute.
pub(super) const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encoded in a query that is repeated: what cannot stand in a field or a URI.
const QUERY: &AsciiSet = &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\');

/// A path below the served root.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// Its names, joined by slashes; none is empty, `.` or `..`, none has a slash or a NUL in it.
    path: Vec<u8>,
    /// It ends in a slash: a directory is meant.
    pub(super) is_directory: bool,
    /// A slash follows a slash, so that links that are relative to it would lead elsewhere.
    pub(super) has_empty_names: bool,
    /// What follows the question mark, as it came.
    query: Option<Vec<u8>>,
}

impl Target {
    /// Takes the origin form or the absolute form.
    ///
    /// # Errors
    /// 400 for what is neither, for a bad percent sign, a NUL, and dot segments, which clients resolve;
    /// 404 for names that no file can have.
    pub(super) fn parse(target: &[u8]) -> Result<Self, Refusal> {
        let target = origin(target).ok_or_else(|| bad("the target is neither a path nor an http:// URL"))?;
        if target.contains(&b'#') {
            return Err(bad("a request target has no fragment"));
        }
        let (path, query) = match target.iter().position(|b| *b == b'?').map(|at| target.split_at(at)) {
            Some((path, query)) => (path, query.strip_prefix(b"?").map(<[u8]>::to_vec)),
            None => (target, None),
        };
        let is_directory = path.is_empty() || path.ends_with(b"/");
        let has_empty_names = path.windows(2).any(|pair| pair == b"//");
        let mut parsed = Self { path: Vec::with_capacity(path.len()), is_directory, has_empty_names, query };
        for segment in path.split(|b| *b == b'/').filter(|segment| !segment.is_empty()) {
            parsed.enter(segment)?;
        }
        Ok(parsed)
    }

    fn enter(&mut self, segment: &[u8]) -> Result<(), Refusal> {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        let start = self.path.len();
        check_percent(segment)?;
        self.path.extend(percent_decode(segment));
        match self.path.get(start..).unwrap_or_default() {
            b"." | b".." => Err(bad("a client resolves the . and .. of a path before it asks")),
            name if name.contains(&0) => Err(bad("a path has no NUL")),
            name if name.contains(&b'/') => {
                Err(Refusal::new(Status::NOT_FOUND, "no name has a slash in it, encoded or not"))
            }
            _ => Ok(()),
        }
    }

    /// What names it in the cache: see [`plain_key`].
    pub(super) fn key(&self) -> Vec<u8> {
        let slash = if self.is_directory && !self.path.is_empty() { "/" } else { "" };
        [self.path.as_slice(), slash.as_bytes()].concat()
    }

    /// The path below the root; `.` is the root itself.
    pub(super) fn path(&self) -> &Path {
        let path = if self.path.is_empty() { b".".as_slice() } else { &self.path };
        Path::new(OsStr::from_bytes(path))
    }

    /// The path as the peer sees it, with a slash at both ends: that of a directory.
    pub(super) fn shown(&self) -> Vec<u8> {
        let slash = if self.path.is_empty() { "" } else { "/" };
        [b"/", self.path.as_slice(), slash.as_bytes()].concat()
    }

    /// What follows the question mark, if there is one.
    pub(super) fn query(&self) -> Option<&[u8]> {
        self.query.as_deref()
    }

    /// Its names, from the root down.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.path.split(|b| *b == b'/').filter(|name| !name.is_empty())
    }

    /// Whether a name in the path begins with a dot.
    pub(super) fn is_hidden(&self) -> bool {
        self.path.split(|b| *b == b'/').any(|name| name.starts_with(b"."))
    }

    /// Where the directory of this name is, for a `Location` field. It begins with one slash, and no
    /// second one follows, for that would name another host.
    pub(super) fn location(&self) -> String {
        let mut location = "/".to_owned();
        for name in self.path.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
            location.extend(percent_encode(name, NAME));
            location.push('/');
        }
        if let Some(query) = &self.query {
            location.push('?');
            location.extend(percent_encode(query, QUERY));
        }
        location
    }
}

/// What names a target in the cache, its decoded path without the first slash, if that can be seen
/// without decoding it. For a path with empty names or dot segments it is a key that no file has.
pub(super) fn plain_key(target: &[u8]) -> Option<&[u8]> {
    let [b'/', path @ ..] = target else { return None };
    let end = path.iter().position(|b| matches!(b, b'?' | b'%' | b'#')).unwrap_or(path.len());
    let is_plain = match path.get(end..) {
        Some([b'?', query @ ..]) => !query.contains(&b'#'),
        rest => rest.is_none_or(<[u8]>::is_empty),
    };
    path.get(..end).filter(|_| is_plain)
}

/// The path and query of a target; the host of an absolute one does not matter to a server that has one site.
fn origin(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return Some(target);
    }
    let colon = target.iter().position(|b| *b == b':')?;
    let (scheme, rest) = target.split_at_checked(colon)?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len());
    let (authority, origin) = rest.split_at_checked(end)?;
    is_authority(authority).then_some(origin)
}

/// Every percent sign is followed by two hexadecimal digits.
fn check_percent(segment: &[u8]) -> Result<(), Refusal> {
    let mut parts = segment.split(|b| *b == b'%');
    parts.next();
    for part in parts {
        if !matches!(part, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) {
            return Err(bad("a percent sign is followed by two hexadecimal digits"));
        }
    }
    Ok(())
}

/// The path makes no sense, but where the next request begins is certain.
fn bad(text: &'static str) -> Refusal {
    Refusal::new(Status::BAD_REQUEST, text)
}
