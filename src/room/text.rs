//! Text that is safe on another's terminal.

use std::borrow::Cow;

use crate::escape::is_hidden;

/// Control and reordering characters are taken out, a tab becomes a blank.
pub(super) fn displayable(text: &str) -> Cow<'_, str> {
    // All bytes, not up to the first bad one: that is done many at once.
    if text.bytes().fold(true, |is_plain, b| is_plain & matches!(b, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if c == '\t' { Some(' ') } else { (!is_hidden(c)).then_some(c) };
    Cow::Owned(text.chars().filter_map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_reaches_a_terminal() {
        assert_eq!(displayable("a\x1b[2Jb\x08\x7f\tc\u{fffd}\r\n"), "a[2Jb c\u{fffd}");
        assert_eq!(displayable("x\u{202e}y\u{9b}z é🦀"), "xyz é🦀");
        assert!(matches!(displayable("plain ~"), Cow::Borrowed("plain ~")));
    }
}
