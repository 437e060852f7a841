//! `--count 1..100`.

use std::str::FromStr;

/// Numbers from the first to the last, both sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "it is written FROM..TO, as in 1..100, or TO".to_owned();
        let (first, last) = text.split_once("..").unwrap_or(("1", text));
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let range = Self { first: number(first)?, last: number(last)? };
        if range.first > range.last {
            Err("its end comes before its beginning".to_owned())
        } else {
            Ok(range)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_it() {
        assert_eq!("1..100".parse(), Ok(Range { first: 1, last: 100 }));
        assert_eq!("3".parse(), Ok(Range { first: 1, last: 3 }));
        for bad in ["", "0", "..", "2..1", "1...3", "-1..2", "a..b"] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
