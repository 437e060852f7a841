//! The served directory as a sandbox: nothing outside it can be named, by no path and no symbolic link.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// A directory that was opened once; what it is renamed to does not matter.
#[derive(Debug)]
pub(in crate::protocol) struct Root {
    dir: Dir,
    /// Symbolic links may lead anywhere.
    is_open: bool,
    /// Directories and files below it that nobody may see, without symbolic links.
    private: Vec<PathBuf>,
}

/// What a path names.
#[derive(Debug)]
pub(in crate::protocol) enum Found {
    /// A regular file.
    File(File, Metadata),
    /// A directory.
    Directory(Dir),
    /// A socket, a pipe, a device.
    Special,
}

impl Root {
    /// Opens the directory at `path`, wherever that is; `is_open` lets symbolic links lead out of it.
    /// What is `private`, or lies in a directory that is, is not there for anybody.
    ///
    /// # Errors
    /// It does not exist, is no directory, or cannot be opened; or it is itself private.
    pub(in crate::protocol) fn open(path: &Path, is_open: bool, private: &[PathBuf]) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        let here = path.canonicalize()?;
        let mut private: Vec<_> = private.iter().map(|path| without_links(path)).collect();
        if private.contains(&here) {
            return Err(io::Error::other("uploads are stored there, and those are never served"));
        }
        // Where nothing leads to one, nothing has to be looked at. In one there may be a root all the same.
        private.retain(|path| !here.starts_with(path) && (is_open || path.starts_with(&here)));
        Ok(Self { dir, is_open, private })
    }

    /// Opens what `path` names: a relative path without `..`. Opening a pipe would wait for its other
    /// end, and a terminal could become the daemon's own, hence the flags.
    ///
    /// The kernel itself keeps the path below the root (`openat2`, `RESOLVE_BENEATH`), so that no link
    /// that is put in its way in the middle of this leads out.
    ///
    /// # Errors
    /// It is not there, may not be read, or lies outside.
    pub(in crate::protocol) fn find(&self, path: &Path) -> io::Result<Found> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = if self.is_open {
            let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
            File::from(rustix::fs::openat(&self.dir, path, flags, Mode::empty())?)
        } else {
            let flags = flags.bits().cast_signed();
            self.dir.open_with(path, OpenOptions::new().read(true).custom_flags(flags))?.into_std()
        };
        if self.is_private(&file) {
            return Err(Errno::NOENT.into());
        }
        let metadata = Metadata::from_file(&file)?;
        Ok(if metadata.is_file() {
            Found::File(file, metadata)
        } else if metadata.is_dir() {
            Found::Directory(Dir::from_std_file(file))
        } else {
            Found::Special
        })
    }

    /// What `path` is, symbolic links followed as far as [`Root::find`] follows them.
    ///
    /// # Errors
    /// It is not there or lies outside.
    pub(in crate::protocol) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        if self.is_open {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let file = File::from(rustix::fs::openat(&self.dir, path, flags, Mode::empty())?);
            return Metadata::from_file(&file);
        }
        self.dir.metadata(path)
    }

    /// Whether a listing must leave out an entry of a directory: `path` is where it is, below the root.
    pub(in crate::protocol) fn hides(&self, path: &Path, is_link: bool) -> bool {
        let may_be = |private: &PathBuf| is_link || private.file_name() == path.file_name();
        self.private.iter().any(may_be) && self.find(path).is_err()
    }

    /// Whether an open file or directory is in a private one, whichever links led to it.
    fn is_private(&self, file: &File) -> bool {
        if self.private.is_empty() {
            return false;
        }
        let place = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        // Nobody is shown what might be private.
        place.map_or(true, |place| self.private.iter().any(|private| place.starts_with(private)))
    }
}

/// A path without symbolic links, as far as it exists.
fn without_links(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|parent| Some((parent, parent.canonicalize().ok()?)));
    match found {
        Some((parent, real)) => match path.strip_prefix(parent) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
        None => path,
    }
}
