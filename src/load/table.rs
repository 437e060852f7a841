//! What goes over a connection, as one long periodic text that is made once: a request is sent from where
//! it lies, and a reply is compared with where it should lie. Nothing is made or copied per message.
//!
//! In echo, every connection reads the same random text from a place of its own. So a byte that belongs to
//! another connection, or to another message of this one, is wrong with 255 chances in 256, and a whole
//! message of a stranger is never taken for one's own.

/// Length of the random text: a prime, so that no message size walks over the same few places.
const RANDOM: usize = 262_139;
/// Bytes from any place that lie in one piece: a message up to this size is one write.
const PIECE: usize = 64 * 1024;
/// How many lines of text with numbers there are; then they begin again.
const LINES: usize = 4096;
/// Digits of such a number.
const DIGITS: usize = 6;
/// Shortest line that holds its number.
pub const SHORTEST_LINE: usize = DIGITS + 2;

/// A periodic text.
#[derive(Debug, Clone)]
pub struct Table {
    /// One period, and its beginning again.
    bytes: Vec<u8>,
    period: usize,
}

/// A place in a [`Table`], less than its period.
pub type Cursor = u32;

impl Table {
    /// `unit` again and again. An empty unit gives a text without any byte.
    pub fn repeat(unit: &[u8]) -> Self {
        let times = if unit.is_empty() { 0 } else { PIECE.div_ceil(unit.len()) };
        Self::periodic(unit.repeat(times))
    }

    /// Random bytes, the same in every process.
    pub fn random() -> Self {
        let mut bytes = Vec::with_capacity(RANDOM + PIECE + 8);
        let mut state = 0;
        while bytes.len() < RANDOM {
            state += 1;
            bytes.extend_from_slice(&mix(state).to_le_bytes());
        }
        bytes.truncate(RANDOM);
        Self::periodic(bytes)
    }

    /// The texts of all [`lines`], changed by `change`.
    pub fn of_lines(size: usize, change: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        Self::periodic(lines(size).flat_map(|line| change(&line)).collect())
    }

    fn periodic(mut bytes: Vec<u8>) -> Self {
        let period = bytes.len();
        bytes.extend_from_within(..period.min(PIECE));
        Self { bytes, period }
    }

    /// At most `max` bytes from a place on; fewer only if that is near the end of a long period.
    #[inline]
    pub fn at(&self, cursor: Cursor, max: usize) -> &[u8] {
        let from = self.bytes.get(cursor as usize..).unwrap_or_default();
        from.get(..max).unwrap_or(from)
    }

    /// The place `n` bytes further on; `n` is at most what [`Table::at`] gave.
    #[inline]
    pub fn advance(&self, cursor: Cursor, n: usize) -> Cursor {
        let next = cursor as usize + n;
        let next = if next >= self.period { next - self.period } else { next };
        u32::try_from(next).unwrap_or_default()
    }

    /// How many of `bytes` are what stands at `cursor`, and the place behind them.
    #[inline]
    pub fn compare(&self, mut cursor: Cursor, bytes: &[u8]) -> (usize, Cursor) {
        let mut left = bytes;
        while !left.is_empty() {
            let expected = self.at(cursor, left.len());
            let (part, rest) = left.split_at_checked(expected.len()).unwrap_or_default();
            if part.is_empty() || part != expected {
                let same = part.iter().zip(expected).take_while(|(came, wanted)| came == wanted).count();
                return (bytes.len() - left.len() + same, cursor);
            }
            (left, cursor) = (rest, self.advance(cursor, part.len()));
        }
        (bytes.len(), cursor)
    }

    /// Whether these bytes stand anywhere in it: then they are not broken, but somebody else's.
    pub fn has(&self, bytes: &[u8]) -> bool {
        memchr::memmem::find(&self.bytes, bytes).is_some()
    }

    /// Bytes after which it begins again.
    pub fn period(&self) -> usize {
        self.period
    }
}

/// The place in a text of `period` bytes where a connection begins, a multiple of `unit`.
pub fn start(number: u64, period: usize, unit: usize) -> Cursor {
    let units = (period / unit.max(1)).max(1) as u64;
    u32::try_from(mix(number ^ 0x5bd1_e995) % units * unit as u64).unwrap_or_default()
}

/// Lines of text of `size` bytes with their line feed, each with a number of its own in it. A few of their
/// letters are not of ASCII where there is room: a server that counts bytes for characters is found out.
pub fn lines(size: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..LINES).map(move |number| {
        let mut line = format!("{number:0DIGITS$} ").into_bytes();
        let room = size.saturating_sub(line.len() + 1);
        let letters = "switchboard stress na\u{ef}ve ";
        while line.len() + letters.len() <= size.saturating_sub(1) {
            line.extend_from_slice(letters.as_bytes());
        }
        let missing = room.saturating_sub(line.len() - DIGITS - 1);
        line.extend(
            (0..missing).map(|at| b"abcdefghijklmnopqrstuvwxyz".get(at % 26).copied().unwrap_or(b'x')),
        );
        line.push(b'\n');
        line
    })
}

/// A number that shares nothing with its neighbours' (the finalizer of `SplitMix64`).
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_what_is_expected_however_it_is_cut() {
        let table = Table::random();
        for (from, len) in [(0, 64), (RANDOM - 10, 64), (RANDOM - 1, PIECE), (17, 3 * RANDOM)] {
            let mut sent = Vec::new();
            let mut cursor = u32::try_from(from).unwrap();
            while sent.len() < len {
                let piece = table.at(cursor, len - sent.len());
                sent.extend_from_slice(piece);
                cursor = table.advance(cursor, piece.len());
            }
            let mut at = u32::try_from(from).unwrap();
            for part in sent.chunks(len / 3 + 1) {
                let (same, next) = table.compare(at, part);
                assert_eq!(same, part.len());
                at = next;
            }
            assert_eq!(at, cursor, "both ways come to the same place");
        }
    }

    #[test]
    fn one_wrong_byte_is_found_where_it_is() {
        let table = Table::random();
        for wrong in [0, 1, 63, 64, 999] {
            let mut bytes = table.at(5, 1000).to_vec();
            bytes[wrong] ^= 1;
            assert_eq!(table.compare(5, &bytes).0, wrong);
        }
    }

    #[test]
    fn a_message_of_another_connection_is_not_ones_own() {
        let table = Table::random();
        let mut seen = std::collections::HashSet::new();
        let mut equal = 0;
        for number in 0..2000 {
            let mine = start(number, table.period(), 1);
            equal += usize::from(!seen.insert(table.at(mine, 16).to_vec()));
            let theirs = start(number + 1, table.period(), 1);
            assert!(table.compare(mine, table.at(theirs, 64)).0 < 8);
        }
        // Places are drawn, so a few are drawn twice, out of 262,139.
        assert!(equal < 30, "{equal}");
    }

    #[test]
    fn a_short_period_is_sent_in_one_piece_and_wraps() {
        let table = Table::repeat(b"reqtime\n");
        assert_eq!(table.at(0, 32), b"reqtime\nreqtime\nreqtime\nreqtime\n");
        let end = u32::try_from(table.period() - 8).unwrap();
        assert_eq!(table.at(end, 16), b"reqtime\nreqtime\n");
        assert_eq!(table.advance(end, 8), 0);
        assert_eq!(Table::repeat(b"").at(0, 5), b"");
        assert_eq!(Table::repeat(b"").compare(0, b"x"), (0, 0));
    }

    #[test]
    fn lines_have_their_length_and_a_number() {
        for size in [SHORTEST_LINE, 9, 30, 31, 64, 1000] {
            let all: Vec<_> = lines(size).collect();
            assert!(all.iter().all(|line| line.len() == size && line.ends_with(b"\n")), "{size}");
            assert!(all.iter().all(|line| std::str::from_utf8(line).is_ok()));
            let different: std::collections::HashSet<_> = all.iter().collect();
            assert_eq!(different.len(), LINES);
        }
    }

    #[test]
    fn a_connection_begins_at_the_beginning_of_a_message() {
        assert!((0..1000).all(|number| start(number, 64 * LINES, 64).is_multiple_of(64)));
        assert_eq!(start(7, 0, 0), 0);
    }
}
