//! Durations as people write them: `25ms`, `5s`, `1m 30s`. For serde: `#[serde(with = "duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// The longest there is, ten years: nobody waits that long, and every clock can still add a few of them
/// to its time (`Instant + Duration` panics where it cannot).
pub const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Reads a duration that is not negative, and [`LONGEST`] at the most.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn parse(text: &str) -> Result<Duration, String> {
    let span: Option<jiff::SignedDuration> = text.trim().parse().ok();
    let duration = span
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| format!("{text:?} is no duration, which looks like \"25ms\", \"5s\" or \"1m 30s\""))?;
    if duration > LONGEST {
        return Err(format!("{text:?} is longer than ten years"));
    }
    Ok(duration)
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
    fn what_no_clock_can_count_is_refused() {
        assert_eq!(parse("87600h"), Ok(LONGEST));
        for long in ["87601h", "9223372036854775807s"] {
            assert!(parse(long).is_err_and(|message| message.ends_with("longer than ten years")), "{long}");
        }
    }

    #[test]
    fn what_has_no_unit_or_is_negative_is_refused_with_an_example() {
        for bad in ["5", "-5s", "", "soon"] {
            assert!(parse(bad).is_err_and(|message| message.contains("\"25ms\"")), "{bad}");
        }
    }
}
