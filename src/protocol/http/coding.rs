//! Which of the forms in which a file lies on the disk a client wants (RFC 9110, section 12.5.3).

/// A content coding that a file may lie in beside the file itself. The better one comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// `.br` (RFC 7932).
    Brotli,
    /// `.gz` (RFC 1952).
    Gzip,
}

impl Coding {
    pub(super) const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What is appended to the name of a file.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    fn is(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.name().as_bytes())
            || (self == Self::Gzip && name.eq_ignore_ascii_case(b"x-gzip"))
    }
}

/// The best of the codings that there are; none if the file as it is is preferred. A client that says
/// nothing gets the file as it is, and so does one that refuses everything: that is better than nothing.
pub(super) fn choose(accepts: Option<&[u8]>, available: impl Fn(Coding) -> bool) -> Option<Coding> {
    let accepts = accepts?;
    let explicit = |is: &dyn Fn(&[u8]) -> bool| {
        elements(accepts).filter(|(name, _)| is(name)).map(|(_, quality)| quality).next()
    };
    let any = explicit(&|name| name == b"*");
    let plain = explicit(&|name| name.eq_ignore_ascii_case(b"identity")).unwrap_or(0);
    let mut best = (plain, None);
    for coding in Coding::ALL.into_iter().filter(|coding| available(*coding)) {
        let quality = explicit(&|name| coding.is(name)).or(any).unwrap_or(0);
        if quality > 0 && (quality > best.0 || (quality == best.0 && best.1.is_none())) {
            best = (quality, Some(coding));
        }
    }
    best.1
}

/// The elements of a list with their qualities in thousandths (section 12.4.2); those that are broken
/// are left out.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = (&[u8], u16)> {
    list.split(|b| *b == b',').filter_map(|element| {
        let mut parts = element.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let mut quality = 1000;
        for part in parts {
            if let Some((b"q=" | b"Q=", value)) = part.split_at_checked(2) {
                quality = thousandths(value)?;
            }
        }
        Some((name, quality))
    })
}

/// `0`, `0.5`, `1.000`.
pub(super) fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [whole] => (*whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        _ => return None,
    };
    let digit = |b: u8| b.is_ascii_digit().then(|| u16::from(b - b'0'));
    let mut quality = digit(whole).filter(|whole| *whole <= 1)?;
    for place in 0..3 {
        quality = quality * 10 + fraction.get(place).map_or(Some(0), |b| digit(*b))?;
    }
    (quality <= 1000).then_some(quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_form_is_chosen() {
        use Coding::{Brotli, Gzip};
        for (accepts, expected) in [
            ("gzip, deflate, br", Some(Brotli)),
            ("gzip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("GZIP", Some(Gzip)),
            ("br;q=0.5, gzip;q=0.8", Some(Gzip)),
            ("br ; q=0.001", Some(Brotli)),
            ("br;q=0, gzip;q=0", None),
            ("*", Some(Brotli)),
            ("*;q=0", None),
            ("*;q=0, gzip", Some(Gzip)),
            ("br;q=0, *", Some(Gzip)),
            ("identity", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Gzip)),
            ("identity;q=0", None),
            ("identity, gzip", Some(Gzip)),
            ("deflate, zstd", None),
            ("gzip;q=2", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=x", None),
            ("gzip;x=y;q=1", Some(Gzip)),
            ("", None),
        ] {
            assert_eq!(choose(Some(accepts.as_bytes()), |_| true), expected, "{accepts}");
        }
        assert_eq!(choose(None, |_| true), None);
        assert_eq!(choose(Some(b"br, gzip"), |coding| coding == Gzip), Some(Gzip));
        assert_eq!(choose(Some(b"br, gzip"), |_| false), None);
    }

    #[test]
    fn qualities_have_three_decimals() {
        for (value, expected) in [
            ("1", Some(1000)),
            ("1.", Some(1000)),
            ("0.25", Some(250)),
            ("0", Some(0)),
            ("1.001", None),
            ("2", None),
            ("", None),
            (".5", None),
        ] {
            assert_eq!(thousandths(value.as_bytes()), expected, "{value}");
        }
    }
}
