//! The served directory as a sandbox: nothing outside it can be named, by no path and no symbolic link.

use std::fs::File;
use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

/// A directory that was opened once; what it is renamed to does not matter.
#[derive(Debug)]
pub(super) struct Root(Dir);

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
    /// Opens the directory at `path`, wherever that is.
    ///
    /// # Errors
    /// It does not exist, is no directory, or cannot be opened.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Dir::open_ambient_dir(path, ambient_authority()).map(Self)
    }

    /// Opens what `path` names. Opening a pipe would wait for its other end, and a terminal could become
    /// the daemon's own, hence the flags.
    ///
    /// # Errors
    /// It is not there, may not be read, or lies outside.
    pub(super) fn find(&self, path: &Path) -> io::Result<Found> {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = self.0.open_with(path, OpenOptions::new().read(true).custom_flags(flags))?;
        let metadata = file.metadata()?;
        Ok(if metadata.is_file() {
            Found::File(file.into_std(), metadata)
        } else if metadata.is_dir() {
            Found::Directory(Dir::from_std_file(file.into_std()))
        } else {
            Found::Special
        })
    }

    /// What `path` is, symbolic links followed as far as they stay inside.
    ///
    /// # Errors
    /// It is not there or lies outside.
    pub(super) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.0.metadata(path)
    }
}
