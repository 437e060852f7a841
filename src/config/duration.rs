//! Durations as people write them: `25ms`, `5s`, `1m 30s`. For serde: `#[serde(with = "duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a duration that is not negative.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn parse(text: &str) -> Result<Duration, String> {
    let span: Option<jiff::SignedDuration> = text.trim().parse().ok();
    let duration = span.and_then(|span| Duration::try_from(span).ok());
    duration
        .ok_or_else(|| format!("{text:?} is no duration, which looks like \"25ms\", \"5s\" or \"1m 30s\""))
}

/// Reads a duration from a string.
///
/// # Errors
/// The value is no string, or no duration.
pub fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(source)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn friendly_durations_are_read() {
        assert_eq!(parse("25ms"), Ok(Duration::from_millis(25)));
        assert_eq!(parse("5 s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_has_no_unit_or_is_negative_is_refused_with_an_example() {
        for bad in ["5", "-5s", "", "soon"] {
            assert!(parse(bad).is_err_and(|message| message.contains("\"25ms\"")), "{bad}");
        }
    }
}
