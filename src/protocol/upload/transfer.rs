//! One file on its way to the disk: written under no name, and given its name when it is whole.
//!
//! Everything here may wait for the disk, so that it belongs into a [`Job`](crate::helper::Job).

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, RenameFlags};
use rustix::io::Errno;

use super::name::another;
use super::options::OnConflict;
use super::store::{Permit, Unnamed, remove};
use crate::checksum::Checksum;
use crate::limits;
use crate::mutation::{Mutant, is_planted};

/// How many names are tried for a file before it is refused.
const OTHER_NAMES: u32 = 1000;

/// See the module. Dropped before [`Transfer::publish`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Transfer {
    permit: Permit,
    dir: Arc<OwnedFd>,
    unnamed: Unnamed,
    sum: Checksum,
    size: u64,
    /// Bytes that the disk may not have yet.
    unsynced: u64,
    is_stored: bool,
}

/// A file that is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) size: u64,
    pub(crate) sum: String,
    /// The name that it has.
    pub(crate) name: String,
}

/// Why a file cannot be stored, in a few words.
pub(crate) type Refusal = String;

impl Transfer {
    /// Makes the file.
    ///
    /// # Errors
    /// The directory or the disk takes none, or `name` is there and that is not allowed.
    pub(crate) fn begin(permit: Permit, name: &str) -> Result<Self, Refusal> {
        let store = permit.store();
        let begin = || {
            let dir = store.dir()?;
            let unnamed = store.create(&dir)?;
            Ok((dir, unnamed))
        };
        let (dir, unnamed) = begin().map_err(|error: io::Error| explain(&error))?;
        let transfer =
            Self { permit, dir, unnamed, sum: Checksum::default(), size: 0, unsynced: 0, is_stored: false };
        let refuses = transfer.permit.store().on_conflict == OnConflict::Refuse;
        if refuses && rustix::fs::statat(&transfer.dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(taken());
        }
        Ok(transfer)
    }

    /// Writes what came next.
    ///
    /// # Errors
    /// The disk or the service takes no more.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let n = bytes.len() as u64;
        if !self.permit.store().reserve(n) {
            return Err("there is no room for it: the files together have max_total bytes".to_owned());
        }
        self.size += n;
        let written = self.unnamed.file.write_all(bytes);
        if !is_planted(Mutant::FullDiskUnnoticed) {
            written.map_err(|error| explain(&error))?;
        }
        self.sum.update(bytes);
        self.unsynced += n;
        if self.unsynced >= limits::UPLOAD_SYNC {
            self.unsynced = 0;
            self.unnamed.file.sync_data().map_err(|error| explain(&error))?;
        }
        Ok(())
    }

    /// The checksum of what was written.
    pub(crate) fn sum(&self) -> String {
        self.sum.clone().digits()
    }

    /// Gives the whole file its name, when it is safe on the disk. What has a name is complete, whatever
    /// happens to the machine.
    ///
    /// # Errors
    /// The disk has failed, or the name is taken and that is not allowed.
    pub(crate) fn publish(mut self, name: &str) -> Result<Stored, Refusal> {
        self.unnamed.file.sync_all().map_err(|error| explain(&error))?;
        let name = self.give_name(name)?;
        self.is_stored = true;
        rustix::fs::fsync(&self.dir).map_err(|error| explain(&error.into()))?;
        Ok(Stored { size: self.size, sum: std::mem::take(&mut self.sum).digits(), name })
    }

    fn give_name(&mut self, name: &str) -> Result<String, Refusal> {
        match self.permit.store().on_conflict {
            OnConflict::Replace => self.replace(name).map(|()| name.to_owned()).map_err(failed),
            OnConflict::Refuse => match self.link(name) {
                Err(Errno::EXIST) => Err(taken()),
                other => other.map(|()| name.to_owned()).map_err(failed),
            },
            OnConflict::KeepBoth => {
                let others = (1..=OTHER_NAMES).map(|n| another(name, n));
                for name in std::iter::once(name.to_owned()).chain(others) {
                    match self.link(&name) {
                        Err(Errno::EXIST) => {}
                        other => return other.map(|()| name).map_err(failed),
                    }
                }
                Err(format!("{OTHER_NAMES} files of this name are there already"))
            }
        }
    }

    /// Gives the file a name that no other has: the kernel sees to that.
    fn link(&mut self, name: &str) -> Result<(), Errno> {
        match self.unnamed.temporary.clone() {
            None => {
                // By its number, as linking a descriptor itself needs a privilege.
                let number = format!("/proc/self/fd/{}", self.unnamed.file.as_raw_fd());
                rustix::fs::linkat(CWD, number, &self.dir, name, AtFlags::SYMLINK_FOLLOW)
            }
            Some(temporary) => self.rename_without_replacing(&temporary, name),
        }
    }

    fn rename_without_replacing(&mut self, temporary: &str, name: &str) -> Result<(), Errno> {
        match rustix::fs::renameat_with(&self.dir, temporary, &self.dir, name, RenameFlags::NOREPLACE) {
            // A file system that does not know the flag: a second name, then one less.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(&self.dir, temporary, &self.dir, name, AtFlags::empty())?;
                remove(&self.dir, temporary);
            }
            other => other?,
        }
        self.unnamed.temporary = None;
        Ok(())
    }

    /// Gives the file a name that another may have, which is gone then. Whoever opens the name meanwhile
    /// gets the one or the other, whole.
    fn replace(&mut self, name: &str) -> Result<(), Errno> {
        if self.unnamed.temporary.is_none() {
            // Only what has a name can be renamed.
            let temporary = self.permit.store().temporary_name();
            self.link(&temporary)?;
            self.unnamed.temporary = Some(temporary);
        }
        let temporary = self.unnamed.temporary.clone().unwrap_or_default();
        rustix::fs::renameat(&self.dir, temporary, &self.dir, name)?;
        self.unnamed.temporary = None;
        Ok(())
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some(temporary) = &self.unnamed.temporary
            && !is_planted(Mutant::NamedTooEarly)
        {
            remove(&self.dir, temporary);
        }
        self.permit.store().settle(self.size, self.is_stored);
    }
}

fn taken() -> Refusal {
    "a file of this name is there already".to_owned()
}

fn failed(error: Errno) -> Refusal {
    explain(&error.into())
}

/// What an error of the file system means for who sends a file.
fn explain(error: &io::Error) -> Refusal {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC) => "the disk is full".to_owned(),
        Some(Errno::DQUOT) => "the disk quota is used up".to_owned(),
        Some(Errno::FBIG) => "the file is too large for the file system".to_owned(),
        Some(Errno::ISDIR) => "a directory of this name is there already".to_owned(),
        Some(Errno::MFILE | Errno::NFILE) => "too many files are open; try again later".to_owned(),
        _ => {
            let text = error.to_string();
            format!("it cannot be stored: {}", text.split(" (os error").next().unwrap_or_default())
        }
    }
}
