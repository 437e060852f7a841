//! Time (RFC 868): four bytes, the seconds since 1900 in network order, over TCP and UDP.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Answer, Cx, Flow, Handler, NoOptions, Protocol, Why};

/// Seconds from 1900-01-01 to 1970-01-01, 17 leap days included.
const UNIX_EPOCH_SINCE_1900: u64 = 2_208_988_800;

/// Has nothing to remember.
#[derive(Debug)]
pub struct TimeOfDay;

impl Protocol for TimeOfDay {
    type Options = NoOptions;

    fn takes_banner() -> bool {
        false
    }

    fn new(_: &Arc<NoOptions>) -> Self {
        Self
    }
}

impl Handler for TimeOfDay {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.out.push(&seconds_since_1900(cx.shared.wall_clock()).to_be_bytes());
        Flow::Finish(Why::Complete)
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        cx.input.take_all();
        Flow::Continue
    }

    fn datagram(&mut self, _: &[u8], cx: &mut Cx<'_>) -> Answer {
        cx.out.push(&seconds_since_1900(cx.shared.wall_clock()).to_be_bytes());
        Answer::Reply
    }
}

/// The 32-bit count of the RFC. It begins again at 0 in February 2036, and a clock set before 1970
/// counts as 1970.
fn seconds_since_1900(now: SystemTime) -> u32 {
    let unix = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let [_, _, _, _, a, b, c, d] = (unix + UNIX_EPOCH_SINCE_1900).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let at = |unix| seconds_since_1900(UNIX_EPOCH + Duration::from_secs(unix));
        assert_eq!(at(0), 2_208_988_800, "1 Jan 1970");
        assert_eq!(at(2_398_291_200 - 2_208_988_800), 2_398_291_200, "1 Jan 1976");
        assert_eq!(at(2_524_521_600 - 2_208_988_800), 2_524_521_600, "1 Jan 1980");
        assert_eq!(at((1 << 32) - 2_208_988_800), 0, "7 Feb 2036, 06:28:16");
    }
}
