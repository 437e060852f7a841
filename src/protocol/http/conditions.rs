//! Conditional requests (RFC 9110, section 13): which of them hold, in the order that it prescribes.

use std::time::SystemTime;

use super::fields::Conditions;

/// What a reply would be about.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Validators<'a> {
    /// The entity tag, as it is sent.
    pub(super) etag: Option<&'a str>,
    /// As it is sent: in whole seconds.
    pub(super) modified: Option<SystemTime>,
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as if there were none; the range counts if there is one.
    Ranged,
    /// Answer with everything: what the client has a part of is no longer there.
    Whole,
    /// 304: the client has it already.
    NotModified,
    /// 412: the client wanted another state.
    Failed,
}

/// Evaluates the conditions of a GET or HEAD (section 13.2.2).
pub(super) fn evaluate(conditions: &Conditions<'_>, current: Validators<'_>) -> Verdict {
    let since = |field: Option<&[u8]>| Some((date(field?)?, current.modified?));
    let holds = match &conditions.if_match {
        Some(list) => matches(list, current.etag, is_same_and_strong),
        None => since(conditions.if_unmodified_since.get()).is_none_or(|(date, modified)| modified <= date),
    };
    if !holds {
        return Verdict::Failed;
    }
    let has_it = match &conditions.if_none_match {
        Some(list) => matches(list, current.etag, is_same),
        None => since(conditions.if_modified_since.get()).is_some_and(|(date, modified)| modified <= date),
    };
    match (has_it, conditions.if_range.as_deref()) {
        (true, _) => Verdict::NotModified,
        (false, Some(wanted)) if !is_unchanged(wanted, current) => Verdict::Whole,
        (false, _) => Verdict::Ranged,
    }
}

/// Whether a list of entity tags has the current one; `*` matches whatever there is.
fn matches(list: &[u8], current: Option<&str>, compare: fn(&[u8], &[u8]) -> bool) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    let Some(current) = current else { return false };
    let mut rest = list;
    loop {
        rest = rest.trim_ascii_start();
        let Some((tag, after)) = next_tag(rest) else { return false };
        if compare(tag, current.as_bytes()) {
            return true;
        }
        match after.trim_ascii_start().split_first() {
            Some((b',', after)) => rest = after,
            _ => return false,
        }
    }
}

/// The entity tag at the start, and what follows it. A comma may stand within the quotation marks.
fn next_tag(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = if bytes.starts_with(b"W/\"") { 3 } else { 1 };
    if start == 1 && !bytes.starts_with(b"\"") {
        // An empty element of a list.
        return bytes.starts_with(b",").then(|| bytes.split_at(0));
    }
    let end = start + bytes.get(start..)?.iter().position(|b| *b == b'"')?;
    bytes.split_at_checked(end + 1)
}

/// The weak comparison (section 8.8.3.2).
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.strip_prefix(b"W/").unwrap_or(a) == b.strip_prefix(b"W/").unwrap_or(b)
}

/// The strong one.
fn is_same_and_strong(a: &[u8], b: &[u8]) -> bool {
    a == b && !a.starts_with(b"W/")
}

/// `If-Range`: a strong entity tag, or exactly the date that was sent. A date says enough only because
/// the tag is compared too wherever a client has one; still, it must match to the second.
fn is_unchanged(wanted: &[u8], current: Validators<'_>) -> bool {
    if wanted.contains(&b'"') {
        return current.etag.is_some_and(|etag| is_same_and_strong(wanted, etag.as_bytes()));
    }
    let is_strong = current.etag.is_some_and(|etag| !etag.starts_with("W/"));
    is_strong && date(wanted).is_some_and(|date| current.modified == Some(date))
}

/// A date in one of the three forms of section 5.6.7; others are ignored.
fn date(field: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(field).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(list: &str, etag: &str) -> [bool; 2] {
        [is_same as fn(&[u8], &[u8]) -> bool, is_same_and_strong]
            .map(|compare| matches(list.as_bytes(), Some(etag), compare))
    }

    #[test]
    fn tags_are_compared_weakly_and_strongly() {
        for (list, etag, expected) in [
            ("\"a\"", "\"a\"", [true, true]),
            ("W/\"a\"", "\"a\"", [true, false]),
            ("\"a\"", "W/\"a\"", [true, false]),
            ("W/\"a\"", "W/\"a\"", [true, false]),
            ("\"b\"", "\"a\"", [false, false]),
            ("\"b\", \"a\"", "\"a\"", [true, true]),
            ("\"b\" ,\"a\"", "\"a\"", [true, true]),
            ("\"b\",, \"a\"", "\"a\"", [true, true]),
            ("\"b,\"a\"", "\"a\"", [false, false]),
            ("\"x,y\", \"a\"", "\"a\"", [true, true]),
            ("*", "\"a\"", [true, true]),
            ("*, \"b\"", "\"a\"", [false, false]),
            ("a", "\"a\"", [false, false]),
            ("\"a", "\"a\"", [false, false]),
            ("w/\"a\"", "\"a\"", [false, false]),
            ("", "\"a\"", [false, false]),
        ] {
            assert_eq!(has(list, etag), expected, "{list} {etag}");
        }
        assert!(matches(b"*", None, is_same) && !matches(b"\"a\"", None, is_same));
    }
}
