//! The first line of a file: its name, or the command that says how long it is.

use crate::framing::{is_http_request, split_end};

const USAGE: &str = "a command is written /put LENGTH NAME";

/// A line, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The name of a file, whose content follows until the end of the input.
    Name(&'a [u8]),
    /// A command, or what is wrong with it. No name begins with a slash.
    Command(Result<Command<'a>, &'static str>),
    /// A request of HTTP.
    Http,
}

/// `/put LENGTH NAME`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    pub(super) length: u64,
    pub(super) name: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads a line that has its end.
    pub(super) fn read(line: &'a [u8]) -> Self {
        let line = split_end(line).0;
        if is_http_request(line) {
            Self::Http
        } else if line.starts_with(b"/") {
            Self::Command(command(line))
        } else {
            Self::Name(line)
        }
    }
}

fn command(line: &[u8]) -> Result<Command<'_>, &'static str> {
    let rest = line.strip_prefix(b"/put ").ok_or(USAGE)?;
    let blank = rest.iter().position(|b| *b == b' ').ok_or(USAGE)?;
    let (digits, name) = rest.split_at(blank);
    // No sign, no blanks: a length is not guessed.
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("LENGTH is the number of bytes: /put LENGTH NAME");
    }
    let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    // The largest of lengths is refused for being too large, like others.
    Ok(Command { length: length.unwrap_or(u64::MAX), name: name.get(1..).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_or_commands() {
        let put = |length, name: &'static str| Line::Command(Ok(Command { length, name: name.as_bytes() }));
        for (line, expected) in [
            ("notes.txt\n", Line::Name(b"notes.txt")),
            ("notes.txt\r\n", Line::Name(b"notes.txt")),
            ("\n", Line::Name(b"")),
            ("put 1 x\n", Line::Name(b"put 1 x")),
            ("/put 12 a b.txt\n", put(12, "a b.txt")),
            ("/put 0 x\r\n", put(0, "x")),
            ("/put 007 x\n", put(7, "x")),
            ("/put 1 \n", put(1, "")),
            ("/put 99999999999999999999999 x\n", put(u64::MAX, "x")),
            ("GET / HTTP/1.1\r\n", Line::Http),
            ("POST /put HTTP/1.0\r\n", Line::Http),
        ] {
            assert_eq!(Line::read(line.as_bytes()), expected, "{line}");
        }
        for bad in [
            "/",
            "/put",
            "/put 12",
            "/put  12 x",
            "/put -1 x",
            "/put +1 x",
            "/put 1k x",
            "/put x 1",
            "/get x",
        ] {
            assert!(matches!(Line::read(bad.as_bytes()), Line::Command(Err(_))), "{bad}");
        }
    }
}
