//! Bytes from a stream cut into lines to show.
//!
//! A line ends with `LF`, or `CR LF`. Programs that send strings without a line end are heard as well: a tail
//! that stays quiet for [`PAUSE`] is a line, and a line end that comes next belongs to it.

use std::time::Duration;

use memchr::memchr;

/// How long a tail stays quiet until it is taken for a line.
pub const PAUSE: Duration = Duration::from_millis(300);
/// Longest line in bytes; a longer one is shown in pieces.
const LONGEST: usize = 64 * 1024;

/// The bytes that are no line yet.
#[derive(Debug, Default)]
pub struct Lines {
    tail: Vec<u8>,
    /// A line end that comes now belongs to the line before.
    late: bool,
}

impl Lines {
    /// The lines that are complete with these bytes.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        if self.late && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\r").unwrap_or(bytes);
            self.late = bytes.is_empty();
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            self.tail.extend_from_slice(line);
            lines.push(self.take());
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.tail.extend_from_slice(bytes);
        while self.tail.len() > LONGEST {
            let rest = self.tail.split_off(LONGEST);
            lines.push(std::mem::replace(&mut self.tail, rest));
        }
        lines
    }

    /// Whether there is a tail.
    pub fn has_tail(&self) -> bool {
        !self.tail.is_empty()
    }

    /// The tail as a line, if there is one.
    pub fn take_tail(&mut self) -> Option<Vec<u8>> {
        if self.tail.is_empty() {
            return None;
        }
        self.late = true;
        Some(self.take())
    }

    fn take(&mut self) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.tail);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut all: Vec<_> = pieces.iter().flat_map(|piece| lines.push(piece)).collect();
        all.extend(lines.take_tail());
        all
    }

    #[test]
    fn any_split_of_the_bytes_gives_the_same_lines() {
        let text = b"one\r\ntwo\n\nthree \xc3\xa9";
        let want = [&b"one"[..], b"two", b"", b"three \xc3\xa9"];
        for at in 0..text.len() {
            assert_eq!(lines(&[&text[..at], &text[at..]]), want, "{at}");
        }
        assert_eq!(lines(&text.chunks(1).collect::<Vec<_>>()), want);
    }

    #[test]
    fn a_line_end_after_a_pause_belongs_to_what_was_quiet() {
        for end in [&[&b"\n"[..]][..], &[b"\r\n"], &[b"\r", b"\n"]] {
            let mut lines = Lines::default();
            assert!(lines.push(b"hello").is_empty() && lines.has_tail());
            assert_eq!(lines.take_tail().as_deref(), Some(&b"hello"[..]));
            for piece in end {
                assert!(lines.push(piece).is_empty(), "{end:?}");
            }
            assert_eq!(lines.push(b"\nnext\n"), [&b""[..], b"next"], "{end:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_shown_in_pieces() {
        let mut lines = Lines::default();
        let shown: usize =
            (0..10).map(|_| lines.push(&vec![b'x'; 20_000]).iter().map(Vec::len).sum::<usize>()).sum();
        assert!(lines.tail.len() <= LONGEST);
        assert_eq!(shown + lines.tail.len(), 200_000);
    }
}
