//! Bytes of strangers made safe to show: in a log, on a terminal, in an error message.

use std::fmt;

/// Shows bytes as text without control characters: `\n`, `\t`, `\\`, `\x1b`, `\u{202e}`. Printable
/// UTF-8 stays as it is; invalid bytes are shown in hexadecimal.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
    cut: bool,
    keep_newlines: bool,
    keep_text: bool,
}

impl<'a> Escaped<'a> {
    /// All of the bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, cut: false, keep_newlines: false, keep_text: false }
    }

    /// The first `max` bytes, then `...` if there are more.
    pub fn bounded(bytes: &'a [u8], max: usize) -> Self {
        Self {
            bytes: bytes.get(..max).unwrap_or(bytes),
            cut: bytes.len() > max,
            keep_newlines: false,
            keep_text: false,
        }
    }

    /// Leaves line feeds as they are: for text of several lines on a terminal.
    pub fn keeping_newlines(self) -> Self {
        Self { keep_newlines: true, ..self }
    }

    /// Leaves everything as it is that moves nothing and hides nothing: line feeds, tabs, quotes, backslashes.
    /// What is shown may then be ambiguous, but reads as it was written.
    pub fn readable(self) -> Self {
        Self { keep_newlines: true, keep_text: true, ..self }
    }

    fn character(&self, c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match c {
            '\n' if self.keep_newlines => f.write_str("\n"),
            '\t' | '\\' | '"' if self.keep_text => write!(f, "{c}"),
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            c if is_hidden(c) => write!(f, "{}", c.escape_unicode()),
            c => write!(f, "{c}"),
        }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                self.character(c, f)?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if self.cut { f.write_str("...") } else { Ok(()) }
    }
}

/// Control characters (C0, DEL, C1), and the format characters that reorder or hide text: bidirectional
/// marks and overrides, line and paragraph separators, zero-width joiners' neighbours, tags.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_passes() {
        let shown = Escaped::new(b"a\x1b[2J\r\n\x07\xc2\x9b\xff\0\"\\ \xc3\xa9\xe2\x80\xae").to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\r\\n\\u{7}\\u{9b}\\xff\\u{0}\\\"\\\\ é\\u{202e}");
    }

    #[test]
    fn readable_text_stays_as_it_is_but_for_what_moves_or_hides() {
        let shown = Escaped::new(b"\t\"a\\b\"\n\x1b[2J\xff").readable().to_string();
        assert_eq!(shown, "\t\"a\\b\"\n\\u{1b}[2J\\xff");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(Escaped::bounded(b"abcdef", 3).to_string(), "abc...");
        assert_eq!(Escaped::bounded(b"abc", 3).to_string(), "abc");
    }
}
