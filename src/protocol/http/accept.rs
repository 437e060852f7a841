//! Whether a client would rather have JSON than a page (RFC 9110, section 12.5.1).

use super::coding::thousandths;

/// The media types of which one is chosen; what is said of their parameters holds for both.
const PAGE: (&[u8], &[u8]) = (b"text", b"html");
const JSON: (&[u8], &[u8]) = (b"application", b"json");

/// How much a range says of a type; of several, the one that says most counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// `*/*`.
    Anything,
    /// `text/*`.
    Type,
    /// `text/html`.
    Subtype,
    /// `text/html;charset=utf-8`.
    Parameters,
}

/// Whether JSON is preferred. Where both are wanted as much, it is if it is named and the page is only meant by
/// a range: `application/json, */*` is what programs send.
pub(super) fn prefers_json(accept: Option<&[u8]>) -> bool {
    let Some(accept) = accept else { return false };
    let (json, page) = (wanted(accept, JSON), wanted(accept, PAGE));
    let Some((quality, detail)) = json.filter(|(quality, _)| *quality > 0) else { return false };
    page.is_none_or(|(other, range)| {
        quality > other || quality == other && detail >= Detail::Subtype && range < Detail::Subtype
    })
}

/// How much a type is wanted, in thousandths, by the range that says most of it; none if none has it.
fn wanted(accept: &[u8], media_type: (&[u8], &[u8])) -> Option<(u16, Detail)> {
    let ranges = elements(accept, b',').filter_map(|range| {
        let (detail, quality) = matched(range, media_type)?;
        Some((quality, detail))
    });
    // Of two that say as much, the first counts.
    ranges.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// What a range says of a type, if it has it and is sound. What follows the quality are no parameters of the type.
fn matched(range: &[u8], (kind, subtype): (&[u8], &[u8])) -> Option<(Detail, u16)> {
    let mut parts = elements(range, b';');
    let name = parts.next()?;
    let slash = name.iter().position(|b| *b == b'/')?;
    let (its_kind, its_subtype) = (name.get(..slash)?, name.get(slash + 1..)?);
    let mut detail = match (its_kind, its_subtype) {
        (b"*", b"*") => Detail::Anything,
        (its_kind, b"*") if its_kind.eq_ignore_ascii_case(kind) => Detail::Type,
        _ if its_kind.eq_ignore_ascii_case(kind) && its_subtype.eq_ignore_ascii_case(subtype) => {
            Detail::Subtype
        }
        _ => return None,
    };
    for part in parts {
        let (name, value) = part.split_at(part.iter().position(|b| *b == b'=')?);
        let value = value.get(1..)?;
        if name.eq_ignore_ascii_case(b"q") {
            return Some((detail, thousandths(value)?));
        }
        // UTF-8 is what both are in. There is neither of them with any other parameter.
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        if !name.eq_ignore_ascii_case(b"charset") || !value.eq_ignore_ascii_case(b"utf-8") {
            return None;
        }
        detail = Detail::Parameters;
    }
    Some((detail, 1000))
}

/// The elements of a list, without the blanks around them; a separator between quotation marks is none.
fn elements(list: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let split = list.split(move |b| {
        is_quoted ^= *b == b'"' && !is_escaped;
        is_escaped = is_quoted && *b == b'\\' && !is_escaped;
        *b == separator && !is_quoted
    });
    split.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_would_rather_have_it() {
        for (accept, expected) in [
            ("application/json", true),
            ("Application/JSON; q=0.5, */*;q=0.1", true),
            ("text/html, application/json;q=0.9", false),
            ("text/html;q=0.8, application/json;q=0.9", true),
            ("application/json;q=0", false),
            ("*/*", false),
            ("", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
        ] {
            assert_eq!(prefers_json(Some(accept.as_bytes())), expected, "{accept}");
        }
        assert!(!prefers_json(None));
    }

    #[test]
    fn the_range_that_says_most_counts() {
        for (accept, expected) in [
            ("application/json;q=0.1, */*", false),
            ("text/*;q=0.9, application/json;q=0.5", false),
            ("text/*;q=0.5, application/json;q=0.9", true),
            ("application/*", true),
            ("application/*, application/json;q=0", false),
            ("*/*, text/html;q=0.5", true),
            ("*/*;q=0.5, text/html;q=0", true),
            ("text/plain", false),
        ] {
            assert_eq!(prefers_json(Some(accept.as_bytes())), expected, "{accept}");
        }
    }

    #[test]
    fn a_range_with_parameters_is_for_types_that_have_them() {
        for (accept, expected) in [
            ("text/html;level=1;q=0.2, text/html;q=0.9, application/json;q=0.5", false),
            ("text/html;level=1, application/json;q=0.5", true),
            ("application/json;odata=verbose", false),
            ("application/json;charset=UTF-8", true),
            ("application/json; charset=\"utf-8\"; q=0.9, text/html;q=0.8", true),
            ("text/html;charset=utf-8;q=0.1, text/html, application/json;q=0.5", true),
            ("text/html;x=\",application/json;\", application/json;q=0.3", true),
            ("text/html;x=\"a\\\",application/json\"", false),
            ("application/json;q=0.9;charset=x, text/html;q=0.8", true),
            ("application/json;q=2", false),
            ("application/json;q", false),
        ] {
            assert_eq!(prefers_json(Some(accept.as_bytes())), expected, "{accept}");
        }
    }

    #[test]
    fn where_both_are_wanted_as_much_it_is_the_page_unless_only_json_is_named() {
        for (accept, expected) in [
            ("application/json, text/html", false),
            ("application/json, text/plain, */*", true),
            ("application/json, text/*", true),
            ("application/*, text/*", false),
            ("application/*, */*", false),
        ] {
            assert_eq!(prefers_json(Some(accept.as_bytes())), expected, "{accept}");
        }
    }
}
