//! Names that a file may be given: one component of a path, and nothing that could surprise who lists,
//! shows or removes it later.

use crate::mutation::{Mutant, is_planted};

/// Longest name in bytes; longer ones are refused by most file systems.
pub(crate) const LONGEST: usize = 255;

/// What is wrong with a name, in a few words, if anything is.
pub(crate) fn problem(name: &[u8]) -> Option<&'static str> {
    let Ok(text) = std::str::from_utf8(name) else { return Some("the name is not UTF-8") };
    let is_separator = |c| matches!(c, '/' | '\\');
    if text.trim().is_empty() {
        Some("the name is empty")
    } else if name.len() > LONGEST {
        Some("the name has more than 255 bytes")
    } else if text.chars().any(is_separator) && !is_planted(Mutant::PathsTaken) {
        Some("a name has no / or \\: it is that of a file, not of a place")
    } else if text.starts_with('.') {
        Some("the name begins with a dot")
    } else if text.trim() != text {
        Some("the name begins or ends with a blank")
    } else if text.chars().any(is_invisible) {
        Some("the name has characters that cannot be seen")
    } else {
        None
    }
}

/// Control characters (NUL, line ends, those of terminals), and what turns the direction of text or ends a
/// line without being one: such names look like others. Joiners are text in several languages.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The name that a file gets if `name` is there and so are `n - 1` others like this: `notes-2.txt`.
/// Shortened where it would be too long.
pub(crate) fn another(name: &str, n: u32) -> String {
    let dot = name.rfind('.').filter(|at| *at > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    let number = format!("-{n}");
    // A long extension is none, only a name with a dot in it.
    let (stem, extension) =
        if extension.len() + number.len() < LONGEST { (stem, extension) } else { (name, "") };
    let room = LONGEST - number.len() - extension.len();
    let stem = (0..=room).rev().find_map(|end| stem.get(..end.min(stem.len())));
    format!("{}{number}{extension}", stem.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_people_use_are_taken() {
        let longest = "x".repeat(LONGEST);
        for name in [
            "notes.txt",
            "a",
            "Übung 1.pdf",
            "a b.tar.gz",
            "-rf",
            "~",
            "CON",
            "a:b",
            "名前.txt",
            "x..",
            "👩\u{200d}💻.png",
            &longest,
        ] {
            assert_eq!(problem(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "x".repeat(LONGEST + 1);
        for (name, word) in [
            ("", "empty"),
            (" ", "empty"),
            ("\t", "empty"),
            ("\u{a0}", "empty"),
            (".", "dot"),
            ("..", "dot"),
            ("...", "dot"),
            (".bashrc", "dot"),
            (".ssh", "dot"),
            ("/etc/passwd", "/"),
            ("../x", "/"),
            ("a/b", "/"),
            ("a/", "/"),
            ("a/../../x", "/"),
            ("//", "/"),
            ("..\\x", "\\"),
            ("C:\\x", "\\"),
            ("\\\\host\\share", "\\"),
            ("a\0b", "seen"),
            ("a\0", "seen"),
            ("a\x1b[2J", "seen"),
            ("a\x7f", "seen"),
            ("a\rb", "seen"),
            ("a\tb", "seen"),
            ("a\u{85}b", "seen"),
            ("a\u{202e}txt.exe", "seen"),
            ("a\u{2066}b", "seen"),
            ("a\u{2028}b", "seen"),
            ("a\u{200b}b", "seen"),
            ("\u{feff}a", "seen"),
            (" a", "blank"),
            ("a ", "blank"),
            ("a\r", "blank"),
            ("a\u{3000}", "blank"),
            (&long, "255"),
        ] {
            let found = problem(name.as_bytes());
            assert!(found.is_some_and(|found| found.contains(word)), "{name:?}: {found:?}");
        }
        for bytes in [&b"\xff"[..], b"a\xc0\xafb", b"\xed\xa0\x80", b"caf\xe9"] {
            assert_eq!(problem(bytes), Some("the name is not UTF-8"));
        }
    }

    #[test]
    fn other_names_keep_the_extension_and_the_bound() {
        assert_eq!(another("notes.txt", 1), "notes-1.txt");
        assert_eq!(another("a.tar.gz", 12), "a.tar-12.gz");
        assert_eq!(another("README", 2), "README-2");
        assert_eq!(another("x.", 2), "x-2.");
        let long = format!("{}.txt", "é".repeat(125));
        assert!(another(&long, 1000).ends_with("é-1000.txt") && another(&long, 1000).len() <= LONGEST);
        let all_extension = format!("a.{}", "b".repeat(253));
        assert!(another(&all_extension, 7).ends_with("b-7"));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_one_component_and_so_are_its_others(
            name in prop_oneof![any::<String>(), "[./\\\\a-z \u{202e}\u{e9}-]{0,300}"], n in 1u32..100_000
        ) {
            prop_assume!(problem(name.as_bytes()).is_none());
            let other = another(&name, n);
            for name in [&name, &other] {
                let parts: Vec<_> = Path::new(name).components().collect();
                prop_assert_eq!(parts, [Component::Normal(name.as_ref())]);
                prop_assert_eq!(problem(name.as_bytes()), None);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = problem(&bytes);
        }
    }
}
