//! What an `upload` service may be told.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

use super::store::Store;
use crate::config::duration;

/// What becomes of a file whose name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// It gets another name: `notes-1.txt`.
    #[default]
    KeepBoth,
    /// It is not stored.
    Refuse,
    /// It takes the place of the one that was there.
    Replace,
}

/// The options of a service; every one has a default. Sizes are numbers of bytes, or `"10 MB"`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The directory that files are stored in, `./uploads` by default; made when the first file comes.
    pub dir: PathBuf,
    /// What becomes of a file whose name is taken.
    pub on_conflict: OnConflict,
    /// Largest size of a file; 4 GiB by default.
    pub max_file: ByteSize,
    /// Largest size of all files in the directory together; 16 GiB by default.
    pub max_total: ByteSize,
    /// Files that may come at once; 64 by default.
    pub max_concurrent: usize,
    /// How long a sender may pause in the middle of a file; 60 s by default.
    #[serde(with = "duration")]
    pub progress_timeout: Duration,
    /// Whether the daemon stops when a file has been stored; not by default.
    pub once: bool,
    #[serde(skip)]
    pub(super) store: OnceLock<Arc<Store>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("uploads"),
            on_conflict: OnConflict::default(),
            max_file: ByteSize::gib(4),
            max_total: ByteSize::gib(16),
            max_concurrent: 64,
            progress_timeout: Duration::from_secs(60),
            once: false,
            store: OnceLock::new(),
        }
    }
}

impl Options {
    /// Those of a program that stores for itself, without limits.
    pub(crate) fn unlimited(dir: PathBuf, on_conflict: OnConflict) -> Self {
        let [max_file, max_total] = [ByteSize(u64::MAX); 2];
        Self { dir, on_conflict, max_file, max_total, ..Self::default() }
    }

    /// Where files go.
    pub(crate) fn store(&self) -> &Arc<Store> {
        self.store.get_or_init(|| Arc::new(Store::new(self)))
    }

    /// Makes sure that the options make sense, and removes what a daemon that was killed left behind.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    pub(super) fn prepare(&self) -> Result<(), String> {
        if self.max_concurrent == 0 {
            return Err("max_concurrent = 0 lets no file in; leave the service out instead".to_owned());
        }
        if self.dir.as_os_str().is_empty() {
            return Err("dir is empty; it is a directory such as ./uploads".to_owned());
        }
        if self.dir.exists() && !self.dir.is_dir() {
            return Err(format!("cannot store files in {}: it is no directory", self.dir.display()));
        }
        self.store().clean();
        Ok(())
    }
}
