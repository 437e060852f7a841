//! The served directory as a sandbox: nothing outside it can be named, by no path and no symbolic link.

use std::fs::File;
use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt};
use rustix::fs::{Mode, OFlags};

/// A directory that was opened once; what it is renamed to does not matter.
#[derive(Debug)]
pub(super) struct Root {
    dir: Dir,
    /// Symbolic links may lead anywhere.
    is_open: bool,
}

/// What a path names.
#[derive(Debug)]
pub(super) enum Found {
    /// A regular file.
    File(File, Metadata),
    /// A directory.
    Directory(Dir),
    /// A socket, a pipe, a device.
    Special,
}

impl Root {
    /// Opens the directory at `path`, wherever that is; `is_open` lets symbolic links lead out of it.
    ///
    /// # Errors
    /// It does not exist, is no directory, or cannot be opened.
    pub(super) fn open(path: &Path, is_open: bool) -> io::Result<Self> {
        Ok(Self { dir: Dir::open_ambient_dir(path, ambient_authority())?, is_open })
    }

    /// Opens what `path` names: a relative path without `..`. Opening a pipe would wait for its other
    /// end, and a terminal could become the daemon's own, hence the flags.
    ///
    /// The kernel itself keeps the path below the root (`openat2`, `RESOLVE_BENEATH`), so that no link
    /// that is put in its way in the middle of this leads out.
    ///
    /// # Errors
    /// It is not there, may not be read, or lies outside.
    pub(super) fn find(&self, path: &Path) -> io::Result<Found> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = if self.is_open {
            let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
            File::from(rustix::fs::openat(&self.dir, path, flags, Mode::empty())?)
        } else {
            let flags = flags.bits().cast_signed();
            self.dir.open_with(path, OpenOptions::new().read(true).custom_flags(flags))?.into_std()
        };
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
    pub(super) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        if self.is_open {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let file = File::from(rustix::fs::openat(&self.dir, path, flags, Mode::empty())?);
            return Metadata::from_file(&file);
        }
        self.dir.metadata(path)
    }
}
