//! Lines that go to a file or to stdout, gathered during a turn and written at its end with one call.
//!
//! It never stops the loop: a pipe or a terminal that does not take the lines loses them, and how many
//! were lost is written as soon as it takes lines again. A file on a disk is written to at once; a full disk
//! loses lines in the same way. That it began is said in the daemon's log.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::limits;
use crate::show::takes_output;

/// What a pipe that takes output takes without waiting (POSIX: `PIPE_BUF`); no line is longer.
const PIECE: usize = limits::LOG_LINE;

/// See the module.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    target: Target,
    pending: Mutex<Pending>,
}

#[derive(Debug)]
enum Target {
    Stdout,
    /// A pipe, a terminal, a device: it may have to wait for somebody.
    Special(File),
    /// On a disk.
    Regular(File),
}

#[derive(Debug, Default)]
struct Pending {
    text: Vec<u8>,
    /// Lines that nobody took.
    lost: u64,
}

/// Whether a path is how stdout is asked for.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

impl Journal {
    /// Opens a file to append to, or stdout if the path is `-`.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let target = if is_stdout(path) {
            Target::Stdout
        } else {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            if file.metadata()?.is_file() { Target::Regular(file) } else { Target::Special(file) }
        };
        Ok(Self { path: path.to_owned(), target, pending: Mutex::default() })
    }

    /// Adds a line, of which a pipe or a terminal gets at most [`limits::LOG_LINE`] bytes; true if it is the first since the last
    /// [`Journal::flush`].
    pub fn add(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut pending = self.pending();
        let is_first = pending.text.is_empty();
        write(&mut pending.text);
        pending.text.push(b'\n');
        if pending.text.len() >= limits::JOURNAL {
            self.write(&mut pending);
        }
        is_first
    }

    /// Writes what was added.
    pub fn flush(&self) {
        self.write(&mut self.pending());
    }

    fn write(&self, pending: &mut Pending) {
        let had_lost = pending.lost > 0;
        self.write_to_target(pending);
        if pending.lost > 0 && !had_lost {
            let path = self.path.display();
            log::warn!("{path} takes no more lines: they are lost until it does, and counted there");
        }
    }

    fn write_to_target(&self, pending: &mut Pending) {
        let whole = usize::MAX;
        match &self.target {
            Target::Regular(file) => pending.write(file.as_fd(), whole, |_| true),
            Target::Special(file) => pending.write(file.as_fd(), PIECE, takes_output),
            Target::Stdout => pending.write(io::stdout().as_fd(), PIECE, takes_output),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Writes whole lines, as many as fit into `most` bytes at a time.
    fn write(&mut self, fd: BorrowedFd<'_>, most: usize, takes: fn(BorrowedFd<'_>) -> bool) {
        if self.lost > 0 && takes(fd) {
            let note = format!("# {} lines were lost: nobody took them\n", self.lost);
            if write_all(fd, note.as_bytes()) {
                self.lost = 0;
            }
        }
        let mut left = self.text.as_slice();
        while !left.is_empty() {
            let (piece, rest) = left.split_at(lines(left, most));
            if !takes(fd) || !write_all(fd, &shorten(piece, most)) {
                self.lost += left.split_inclusive(|b| *b == b'\n').count() as u64;
                break;
            }
            left = rest;
        }
        self.text.clear();
        self.text.shrink_to(limits::POOL_CAPACITY);
    }
}

/// A line that is longer than `most` bytes without its end, which is not in the middle of a character.
fn shorten(piece: &[u8], most: usize) -> Cow<'_, [u8]> {
    const END: &[u8] = b"...\n";
    let Some(kept) = piece.get(..most.saturating_sub(END.len())).filter(|_| piece.len() > most) else {
        return Cow::Borrowed(piece);
    };
    let whole = kept.utf8_chunks().next().map_or(kept.len(), |chunk| chunk.valid().len());
    Cow::Owned([kept.get(..whole).unwrap_or(kept), END].concat())
}

/// Length of the whole lines within the first `most` bytes, of the first line at the least.
fn lines(text: &[u8], most: usize) -> usize {
    let Some(window) = text.get(..most) else { return text.len() };
    let end = window.iter().rposition(|b| *b == b'\n');
    let end = end.or_else(|| text.iter().position(|b| *b == b'\n'));
    end.map_or(text.len(), |end| end + 1)
}

fn write_all(fd: BorrowedFd<'_>, bytes: &[u8]) -> bool {
    let mut left = bytes;
    while !left.is_empty() {
        match rustix::io::write(fd, left) {
            Ok(n) if n > 0 => left = left.get(n..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_appended_when_the_turn_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "old\n").unwrap();
        let journal = Journal::open(&path).unwrap();
        assert!(journal.add(|text| text.extend_from_slice(b"one")));
        assert!(!journal.add(|text| text.extend_from_slice(b"two")));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
        journal.flush();
        journal.flush();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\none\ntwo\n");
        assert!(journal.add(|_| {}));
    }

    #[test]
    fn what_nobody_takes_is_counted() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut pending = Pending { text: b"a\nb\n".to_vec(), lost: 0 };
        pending.write(writer.as_fd(), PIECE, |_| false);
        assert_eq!((pending.lost, pending.text.len()), (2, 0));
        pending.text = b"c\n".to_vec();
        pending.write(writer.as_fd(), PIECE, |_| true);
        let mut got = [0; 100];
        let n = rustix::io::read(&reader, &mut got).unwrap();
        assert_eq!(got.get(..n), Some(b"# 2 lines were lost: nobody took them\nc\n".as_slice()));
        assert_eq!(pending.lost, 0);
    }

    #[test]
    fn a_line_that_a_pipe_may_not_take_whole_is_cut_between_characters() {
        assert_eq!(*shorten("abéd\n".as_bytes(), 6), *"abéd\n".as_bytes());
        assert_eq!(*shorten("abécdefg\n".as_bytes(), 7), *b"ab...\n");
        assert_eq!(*shorten("abécdefg\n".as_bytes(), 8), *"abé...\n".as_bytes());
    }

    #[test]
    fn lines_are_not_torn() {
        assert_eq!(lines(b"ab\ncd\nef\n", 7), 6);
        assert_eq!(lines(b"ab\ncd\n", 100), 6);
        assert_eq!(lines(b"abcdef\ng\n", 3), 7);
    }
}
