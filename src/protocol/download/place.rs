//! Names of files below the root: components and slashes, nothing that leads up or elsewhere.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A path below the root.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place(PathBuf);

/// Why there is nothing to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Problem(&'static str);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Problem {
    pub(super) const MISSING: Self = Self("no such file");
    pub(super) const DIRECTORY: Self = Self("it is a directory; /list shows what is in it");
    pub(super) const NO_DIRECTORY: Self = Self("it is no directory");
    pub(super) const SPECIAL: Self = Self("it is no file that has content");
    const EMPTY: Self = Self("the name is empty");
    const FORM: Self = Self("a name has no empty part, no . or .. and no NUL");

    /// What an error of the file system means for who asks. What lies outside is not there.
    pub(super) fn of(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::ACCESS) => Self("it may not be read"),
            Some(Errno::MFILE | Errno::NFILE) => Self("too many files are open; try again later"),
            Some(Errno::NAMETOOLONG) => Self("the name is too long"),
            Some(Errno::IO) => Self("it cannot be read"),
            _ => Self::MISSING,
        }
    }
}

impl Place {
    /// The root itself.
    pub(super) fn root() -> Self {
        Self(PathBuf::from("."))
    }

    /// Where a name leads; `hidden` says whether parts may begin with a dot.
    pub(super) fn of(name: &[u8], hidden: bool) -> Result<Self, Problem> {
        if name.is_empty() {
            return Err(Problem::EMPTY);
        }
        let is_bad = |part: &[u8]| matches!(part, b"" | b"." | b"..") || part.contains(&0);
        if name.split(|b| *b == b'/').any(is_bad) {
            return Err(Problem::FORM);
        }
        if !hidden && name.split(|b| *b == b'/').any(|part| part.starts_with(b".")) {
            return Err(Problem::MISSING);
        }
        Ok(Self(Path::new(OsStr::from_bytes(name)).to_owned()))
    }

    /// Relative to the root.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_paths_below_the_root() {
        for name in ["a", "a/b.txt", "a b", "a\\b", "\u{e9}", "-"] {
            assert!(Place::of(name.as_bytes(), false).is_ok(), "{name}");
        }
        for name in ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a\0", "\0"] {
            assert!(Place::of(name.as_bytes(), true).is_err(), "{name:?}");
        }
        for name in [".a", "a/.b/c"] {
            assert_eq!(Place::of(name.as_bytes(), false), Err(Problem::MISSING));
            assert!(Place::of(name.as_bytes(), true).is_ok());
        }
    }

    proptest! {
        #[test]
        fn nothing_leads_up_or_to_the_root_of_all(name in proptest::collection::vec(
            prop_oneof![Just(b'/'), Just(b'.'), any::<u8>()], 0..20
        ), hidden: bool) {
            if let Ok(place) = Place::of(&name, hidden) {
                prop_assert!(place.path().components().all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
