//! Lines of strangers made safe to show, and a little colour.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use anstyle::{AnsiColor, Style};

use crate::escape::is_hidden;

/// Colours of names: told apart on dark and light backgrounds, and none that means good or bad.
const COLOURS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Yellow, AnsiColor::Green];
/// No name is longer, in bytes; what stands before a later colon is text.
const LONGEST_NAME: usize = 64;

/// Text that can do nothing to a terminal: control and reordering characters are dropped, a tab becomes a
/// blank, invalid UTF-8 is replaced.
pub fn displayable(line: &[u8]) -> String {
    let shown = |c: char| if c == '\t' { Some(' ') } else { (!is_hidden(c)).then_some(c) };
    String::from_utf8_lossy(line).chars().filter_map(shown).collect()
}

/// Appends a displayable line with its line feed: notices (`* ..`) are dim, names (`NAME: ..`) have a colour
/// that stays with the name.
pub fn push(shown: &mut String, line: &str, colours: bool) {
    let (style, head, rest) = match line.split_once(": ") {
        _ if !colours => (Style::new(), "", line),
        _ if line.starts_with("* ") => (Style::new().dimmed(), line, ""),
        Some((name, _)) if is_name(name) => {
            (colour_of(name), name, line.get(name.len()..).unwrap_or_default())
        }
        _ => (Style::new(), "", line),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(shown, "{style}{head}{style:#}{rest}");
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.contains(char::is_whitespace)
}

fn colour_of(name: &str) -> Style {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let index = usize::try_from(hasher.finish() % COLOURS.len() as u64).unwrap_or_default();
    let colour = COLOURS.get(index).copied().unwrap_or(AnsiColor::Cyan);
    Style::new().bold().fg_color(Some(colour.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, colours: bool) -> String {
        let mut shown = String::new();
        push(&mut shown, line, colours);
        shown
    }

    #[test]
    fn nothing_that_moves_a_cursor_is_left() {
        let hostile = "a\x1b[2Jb\r\u{8}\u{7f}\u{9b}1A\u{202e}\tc é🦀".as_bytes();
        assert_eq!(displayable(hostile), "a[2Jb1A c é🦀");
        assert_eq!(displayable(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn colours_are_only_for_those_who_want_them() {
        for line in ["* ali joined", "ali: hello", "hello", "no name: here"] {
            assert_eq!(shown(line, false), format!("{line}\n"));
        }
        assert_eq!(shown("hello", true), "hello\n");
        assert_eq!(shown("no name: here", true), "no name: here\n");
        assert_eq!(shown("* ali joined", true), "\x1b[2m* ali joined\x1b[0m\n");
        let coloured = shown("ali: hello", true);
        assert!(coloured.starts_with("\x1b[") && coloured.ends_with("ali\x1b[0m: hello\n"), "{coloured:?}");
        assert_eq!(coloured, shown("ali: hello", true), "a name keeps its colour");
    }
}
