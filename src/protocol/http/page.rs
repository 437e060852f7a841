//! What stands on the page of a directory; the template escapes it.

use std::time::{SystemTime, UNIX_EPOCH};

use askama::Template;
use jiff::Timestamp;
use percent_encoding::percent_encode;

use super::target::NAME;
use crate::escape::is_hidden;

/// The page up to its first row.
#[derive(Debug, Template)]
#[template(path = "listing.html", block = "top")]
pub(super) struct Top {
    path: String,
    has_parent: bool,
}

impl Top {
    /// The top of the page of the directory at `path`.
    pub(super) fn new(path: &[u8], is_root: bool) -> Self {
        Self { path: shown(path), has_parent: !is_root }
    }
}

/// Some rows of the page.
#[derive(Debug, Template)]
#[template(path = "listing.html", block = "rows")]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
}

/// The page from its last row on.
#[derive(Debug, Template)]
#[template(path = "listing.html", block = "bottom")]
pub(super) struct Bottom {
    /// How many entries are shown, if there are more.
    pub(super) limit: Option<usize>,
}

/// A row: a file or a directory.
#[derive(Debug)]
pub(super) struct Row {
    href: String,
    name: String,
    size: String,
    modified: String,
}

impl Row {
    /// A row for an entry of this name.
    pub(super) fn new(name: &[u8], is_file: bool, size: u64, modified: Option<SystemTime>) -> Self {
        let slash = if is_file { "" } else { "/" };
        Self {
            href: format!("{}{slash}", percent_encode(name, NAME)),
            name: format!("{}{slash}", shown(name)),
            size: if is_file { human(size) } else { String::new() },
            modified: modified.map(minute).unwrap_or_default(),
        }
    }
}

/// A name as it can be shown: neither control characters nor such as turn or hide text.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.chars().map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `2026-11-21 01:07`, UTC.
fn minute(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).ok().and_then(|since| since.as_secs().try_into().ok());
    let moment = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.map(|moment| moment.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

/// `512 B`, `1.5 KiB`, `20.0 GiB`.
fn human(size: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let (mut tenths, mut unit) = (size.saturating_mul(10) / 1024, "KiB");
    for larger in UNITS.into_iter().skip(1) {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (size, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024, "1.0 MiB"),
            (20 * 1024 * 1024 * 1024, "20.0 GiB"),
        ] {
            assert_eq!(human(size), expected);
        }
        assert!(human(u64::MAX).ends_with("PiB"));
    }

    #[test]
    fn links_cannot_leave_their_place() {
        let row = Row::new(b"javascript:a?b#c%2f\xff\\ d", true, 1, Some(UNIX_EPOCH));
        assert_eq!(row.href, "javascript%3Aa%3Fb%23c%252f%FF%5C%20d");
        assert_eq!((row.size.as_str(), row.modified.as_str()), ("1 B", "1970-01-01 00:00"));
        assert_eq!(Row::new("a\u{202e}b\n".as_bytes(), false, 1, None).name, "a\u{fffd}b\u{fffd}/");
    }
}
