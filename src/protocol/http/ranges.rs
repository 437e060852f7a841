//! Which bytes are asked for (RFC 9110, section 14).

use std::ops::Range;

/// Most ranges that are answered one by one; whoever asks for more gets everything.
const MAX_RANGES: usize = 64;

/// Ranges closer than this are sent as one, in bytes: what stands between two parts is as long.
const GAP: u64 = 160;

/// What a `Range` field comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: there is no such field, or it makes no sense, or costs more than it saves.
    Everything,
    /// Nothing that the file has: 416.
    Nothing,
    /// These bytes: not empty, each within the file, none near another, and less than all of it.
    Parts(Vec<Range<u64>>),
}

/// Reads the field for a file of `size` bytes.
pub(super) fn parse(field: &[u8], size: u64) -> Wanted {
    let Some(set) = field.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes=")) else {
        return Wanted::Everything;
    };
    let mut parts: Vec<Range<u64>> = Vec::new();
    let mut count = 0;
    for spec in set.1.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty()) {
        count += 1;
        match range(spec, size) {
            Some(_) if count > MAX_RANGES => return Wanted::Everything,
            Some(part) if !part.is_empty() => add(&mut parts, part),
            Some(_) => {}
            None => return Wanted::Everything,
        }
    }
    match parts.as_slice() {
        [] if count == 0 => Wanted::Everything,
        [] => Wanted::Nothing,
        _ => Wanted::Parts(parts),
    }
}

/// One range: `first-last`, `first-` or `-length`. Empty if the file has none of it, `None` if it makes
/// no sense.
fn range(spec: &[u8], size: u64) -> Option<Range<u64>> {
    let dash = spec.iter().position(|b| *b == b'-')?;
    let (first, last) = (spec.get(..dash)?, spec.get(dash + 1..)?);
    match (first.is_empty(), last.is_empty()) {
        (true, _) => Some(size.saturating_sub(number(last)?)..size),
        (false, true) => Some(number(first)?.min(size)..size),
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first.min(size)..last.saturating_add(1).min(size))
        }
    }
}

/// Digits; a number that does not fit is larger than any file.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    Some(text.parse().unwrap_or(u64::MAX))
}

/// Adds a part in the order of the request, joined with those that it overlaps or nearly touches.
fn add(parts: &mut Vec<Range<u64>>, mut part: Range<u64>) {
    let mut place = parts.len();
    let near = |a: &Range<u64>, b: &Range<u64>| {
        a.start <= b.end.saturating_add(GAP) && b.start <= a.end.saturating_add(GAP)
    };
    while let Some(at) = parts.iter().position(|other| near(other, &part)) {
        let other = parts.remove(at);
        part = part.start.min(other.start)..part.end.max(other.end);
        place = place.min(at);
    }
    parts.insert(place.min(parts.len()), part);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read() {
        let parts = |list: &[(u64, u64)]| Wanted::Parts(list.iter().map(|(from, to)| *from..*to).collect());
        for (field, expected) in [
            ("bytes=0-0", parts(&[(0, 1)])),
            ("bytes=0-", parts(&[(0, 10_000)])),
            ("BYTES=9999-", parts(&[(9999, 10_000)])),
            ("bytes=-1", parts(&[(9999, 10_000)])),
            ("bytes=-99999", parts(&[(0, 10_000)])),
            ("bytes=5-99999999999999999999999", parts(&[(5, 10_000)])),
            ("bytes= 0-1 ,, 5000-5001 ", parts(&[(0, 2), (5000, 5002)])),
            ("bytes=5000-5001,0-1", parts(&[(5000, 5002), (0, 2)])),
            ("bytes=0-1,1-2,3-3", parts(&[(0, 4)])),
            ("bytes=0-1,5000-5001,2-4999", parts(&[(0, 5002)])),
            ("bytes=0-1,20000-", parts(&[(0, 2)])),
            ("bytes=10000-", Wanted::Nothing),
            ("bytes=99999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=", Wanted::Everything),
            ("bytes=-", Wanted::Everything),
            ("bytes=5-4", Wanted::Everything),
            ("bytes=a-b", Wanted::Everything),
            ("bytes=0x0-1", Wanted::Everything),
            ("bytes=+1-2", Wanted::Everything),
            ("bytes=0-1,x", Wanted::Everything),
            ("bytes 0-1", Wanted::Everything),
            ("lines=0-1", Wanted::Everything),
            ("", Wanted::Everything),
        ] {
            assert_eq!(parse(field.as_bytes(), 10_000), expected, "{field}");
        }
        assert_eq!(parse(b"bytes=0-", 0), Wanted::Nothing);
        let many = format!("bytes={}", "0-0,".repeat(MAX_RANGES + 1));
        assert_eq!(parse(many.as_bytes(), 10), Wanted::Everything);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parts_are_apart_within_the_file_and_hold_what_was_asked(
            asked in prop::collection::vec((0u64..3000, 0u64..400), 1..20), size in 1u64..3000,
        ) {
            let specs: Vec<String> = asked.iter().map(|(at, n)| format!("{at}-{}", at + n)).collect();
            let field = format!("bytes={}", specs.join(","));
            let wanted = |byte: u64| asked.iter().any(|(at, n)| (*at..=at + n).contains(&byte));
            match parse(field.as_bytes(), size) {
                Wanted::Nothing => prop_assert!(!(0..size).any(wanted)),
                Wanted::Parts(parts) => {
                    for (i, part) in parts.iter().enumerate() {
                        prop_assert!(part.start < part.end && part.end <= size);
                        for other in parts.iter().skip(i + 1) {
                            prop_assert!(part.end + GAP < other.start || other.end + GAP < part.start);
                        }
                    }
                    let sent = |byte: u64| parts.iter().any(|part| part.contains(&byte));
                    prop_assert!((0..size).filter(|b| wanted(*b)).all(sent));
                }
                Wanted::Everything => prop_assert!(false),
            }
        }
    }
}
