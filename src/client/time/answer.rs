//! What a time server says, as seconds since 1970.

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::Protocol;
use crate::escape::Escaped;

/// strftime `%c` of the POSIX locale: `Sat Nov 21 01:07:09 2026`, always of this length.
const FORMAT: &str = "%a %b %e %H:%M:%S %Y";
/// Its length in bytes.
pub(super) const LENGTH: usize = 24;
/// Seconds from 1900-01-01 to 1970-01-01.
const EPOCH_SINCE_1900: i64 = 2_208_988_800;
/// Four bytes of seconds begin again after so many.
const ERA: i64 = 1 << 32;

/// Reads an answer. `now` decides where it leaves a choice: the era, an hour that came twice.
pub(super) fn read(
    answer: &[u8],
    protocol: Protocol,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<i64, String> {
    match protocol {
        Protocol::Time => seconds_since_1900(answer, now),
        Protocol::Reqtime | Protocol::Daytime => text(answer, zone, now),
    }
}

fn seconds_since_1900(answer: &[u8], now: Timestamp) -> Result<i64, String> {
    let Ok(bytes) = <[u8; 4]>::try_from(answer) else {
        return Err(format!("{} bytes came where the time protocol (RFC 868) has 4", answer.len()));
    };
    let seconds = i64::from(u32::from_be_bytes(bytes)) - EPOCH_SINCE_1900;
    let eras = (now.as_second() - seconds + ERA / 2).div_euclid(ERA);
    Ok(seconds + eras * ERA)
}

fn text(answer: &[u8], zone: &TimeZone, now: Timestamp) -> Result<i64, String> {
    let wrong = || {
        let shown = Escaped::bounded(answer, 60);
        format!("\"{shown}\" is no time as strftime %c tells it (\"Sat Nov 21 01:07:09 2026\")")
    };
    let text = std::str::from_utf8(answer.trim_ascii_end()).map_err(|_| wrong())?;
    let broken_down = BrokenDownTime::parse(FORMAT, text).map_err(|_| wrong())?;
    let civil = broken_down.to_datetime().map_err(|_| wrong())?;
    // What is read loosely (a missing zero, a wrong day of the week) must come out the same again.
    if civil.strftime(FORMAT).to_string() != text {
        return Err(wrong());
    }
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let candidates = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => [offset, offset],
        AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => [before, after],
    };
    let seconds = candidates.iter().filter_map(|offset| offset.to_timestamp(civil).ok());
    seconds.map(Timestamp::as_second).min_by_key(|at| at.abs_diff(now.as_second())).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_time_protocol_in_this_era_and_the_next() {
        let read = |bytes: [u8; 4], now| read(&bytes, Protocol::Time, &TimeZone::UTC, at(now));
        // RFC 868's own example: 2,208,988,800 is 1970.
        assert_eq!(read([0x83, 0xaa, 0x7e, 0x80], "1970-06-01T00:00:00Z"), Ok(0));
        // 2036-02-07T06:28:16Z is 0 again.
        assert_eq!(read([0, 0, 0, 0], "2036-02-07T06:00:00Z"), Ok(2_085_978_496));
        assert_eq!(read([255, 255, 255, 255], "2036-02-07T07:00:00Z"), Ok(2_085_978_495));
        let short = super::read(b"abc", Protocol::Time, &TimeZone::UTC, Timestamp::UNIX_EPOCH);
        assert_eq!(short, Err("3 bytes came where the time protocol (RFC 868) has 4".to_owned()));
    }

    #[test]
    fn the_text_is_read_strictly() {
        let now = at("2026-11-21T01:00:00Z");
        let read = |text: &str| read(text.as_bytes(), Protocol::Reqtime, &TimeZone::UTC, now);
        assert_eq!(read("Sat Nov 21 01:07:09 2026"), Ok(at("2026-11-21T01:07:09Z").as_second()));
        assert_eq!(read("Sun Nov  1 01:07:09 2026\r\n"), Ok(at("2026-11-01T01:07:09Z").as_second()));
        for bad in [
            "",
            "Sun Nov 21 01:07:09 2026",
            "Sat Nov 21 1:07:09 2026",
            "Sat Nov 31 01:07:09 2026",
            "Sat Nov 21 01:07:09 2026 and more",
            " Sat Nov 21 01:07:09 2026",
            "2026-11-21 01:07:09",
            "Sa 21 Nov 2026 01:07:09",
        ] {
            assert!(read(bad).is_err_and(|error| error.contains("strftime %c")), "{bad}");
        }
    }

    #[test]
    fn local_time_is_that_of_the_zone_and_an_hour_that_comes_twice_is_the_nearer() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let read = |text: &str, now| read(text.as_bytes(), Protocol::Daytime, &zone, at(now)).unwrap();
        let summer = at("2026-07-01T10:00:00Z").as_second();
        assert_eq!(read("Wed Jul  1 12:00:00 2026", "2026-07-01T10:00:01Z"), summer);
        let first = at("2026-10-25T00:30:00Z").as_second();
        assert_eq!(read("Sun Oct 25 02:30:00 2026", "2026-10-25T00:30:01Z"), first);
        assert_eq!(read("Sun Oct 25 02:30:00 2026", "2026-10-25T01:30:01Z"), first + 3600);
    }
}
