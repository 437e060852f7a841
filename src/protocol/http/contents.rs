//! What a directory has: read a part at a time, so that nobody waits for it, then taken in its order.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cap_std::fs::{Dir, DirEntry, Metadata, MetadataExt, ReadDir};

use super::options::Options;
use super::order::{Entry, Moment, Order};
use super::page::Sums;
use super::reserve::{Full, Reserved};
use super::runs::{RUN, Runs};
use crate::limits;

/// To sort so many entries takes as long as to look at one.
const SORTED_PER_UNIT: usize = 4;

/// A run can be sorted within a part.
const _: () = assert!(RUN / SORTED_PER_UNIT <= limits::LONG_WORK_PART);

/// See the module.
#[derive(Debug)]
pub(super) struct Contents {
    options: Arc<Options>,
    /// Below the root.
    path: PathBuf,
    /// Not yet exhausted. It holds descriptors.
    reader: Option<ReadDir>,
    runs: Runs,
    sums: Sums,
    reserved: Reserved,
}

impl Contents {
    /// Of an open directory, which lies there below the root.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn of(dir: &Dir, path: PathBuf, options: Arc<Options>, order: Order) -> io::Result<Self> {
        Ok(Self {
            path,
            reader: Some(dir.entries()?),
            runs: Runs::new(order),
            sums: Sums::default(),
            reserved: Reserved::of(options.site()?.reserve()),
            options,
        })
    }

    /// Reads on, each entry for one of the `units`; true when all has been read. An error of the file system
    /// ends it: what could be read is shown.
    ///
    /// # Errors
    /// There is no room for more.
    pub(super) fn read(&mut self, units: &mut usize) -> Result<bool, Full> {
        while self.reader.is_some() {
            // First: what a part has left after an entry would never do for a full run.
            if self.runs.is_full() && !self.sort(units)? {
                return Ok(false);
            }
            if *units == 0 {
                return Ok(false);
            }
            let next = self.reader.as_mut().and_then(Iterator::next);
            *units -= 1;
            match next {
                Some(Ok(entry)) if self.runs.len() < limits::LISTING_ENTRIES => self.add(&entry),
                next => {
                    self.sums.is_cut = matches!(next, Some(Ok(_)));
                    self.reader = None;
                }
            }
        }
        self.sort(units)
    }

    /// Sorts those that are not, if there are units for it, and makes sure that there is room for them.
    fn sort(&mut self, units: &mut usize) -> Result<bool, Full> {
        let cost = self.runs.unsorted() / SORTED_PER_UNIT;
        if *units < cost {
            return Ok(false);
        }
        *units -= cost;
        self.runs.sort();
        if self.is_large() {
            self.reserved.resize(self.runs.held())?;
        }
        Ok(true)
    }

    /// Hidden and special files are left out, and so are links that lead nowhere or outside.
    fn add(&mut self, entry: &DirEntry) {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if (name.starts_with(b".") && !self.options.hidden) || self.hides(entry) {
            return;
        }
        let Some(metadata) = self.metadata(entry) else { return };
        let is_file = metadata.is_file();
        if is_file || metadata.is_dir() {
            let size = if is_file { metadata.len() } else { 0 };
            let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or_default();
            let modified = Moment { seconds: metadata.mtime(), nanoseconds };
            self.sums.add(is_file, size);
            self.runs.add(&Entry { name, is_file, size, modified });
        }
    }

    /// Whether it is, or leads to, what is not served.
    fn hides(&self, entry: &DirEntry) -> bool {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        self.options.site().is_ok_and(|site| site.root().hides(&self.path.join(entry.file_name()), is_link))
    }

    fn metadata(&self, entry: &DirEntry) -> Option<Metadata> {
        let metadata = entry.metadata().ok()?;
        if !metadata.is_symlink() {
            return Some(metadata);
        }
        self.options.site().ok()?.root().metadata(&self.path.join(entry.file_name())).ok()
    }

    /// Whether there are more entries than are sent at once.
    pub(super) fn is_large(&self) -> bool {
        self.sums.entries() > limits::LISTING_AT_ONCE
    }

    /// Takes the entry that comes first.
    pub(super) fn take<T>(&mut self, with: impl FnOnce(&Entry<'_>) -> T) -> Option<T> {
        self.runs.take(with)
    }

    /// Whether all have been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.len() == 0
    }

    /// Gives back the room of those that have been taken.
    pub(super) fn release(&mut self) {
        // Less than before is always there.
        let _ = self.reserved.resize(self.reserved.bytes().min(self.runs.held()));
    }

    /// What there was in all.
    pub(super) fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Bytes of memory that it takes.
    pub(super) fn held(&self) -> usize {
        self.runs.held()
    }
}
