//! The directory that uploads go to: opened when the first one comes, and accounted for.
//!
//! Everything here may wait for the disk, so that it belongs into a [`Job`](crate::helper::Job);
//! [`Store::admit`] alone is for the handler.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::options::{OnConflict, Options};

use crate::mutation::{Mutant, is_planted};

/// How names begin and end that a file has only until it is complete, where it needs one at all. They
/// begin with a dot, which no upload may.
const TEMPORARY: (&str, &str) = (".switchboard-", ".part");

/// See the module.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    pub(crate) on_conflict: OnConflict,
    max_total: u64,
    max_concurrent: usize,
    active: AtomicUsize,
    state: Mutex<State>,
    next_temporary: AtomicU32,
    /// Files have a name from the start, as on file systems that know no others.
    is_named: bool,
}

#[derive(Debug, Default)]
struct State {
    dir: Option<Arc<OwnedFd>>,
    /// Bytes of the files that are there and of those that are coming; not counted yet if `None`.
    used: Option<u64>,
    /// Bytes of those that are coming.
    coming: u64,
}

/// The right to send a file; gone, another may come.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Store>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, SeqCst);
    }
}

impl Permit {
    pub(crate) fn store(&self) -> &Store {
        &self.0
    }
}

/// A file that has no final name.
#[derive(Debug)]
pub(crate) struct Unnamed {
    pub(crate) file: File,
    /// The name that it has meanwhile; most file systems can do without.
    pub(crate) temporary: Option<String>,
}

impl Store {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            path: options.dir.clone(),
            on_conflict: options.on_conflict,
            max_total: options.max_total.as_u64(),
            max_concurrent: options.max_concurrent,
            active: AtomicUsize::new(0),
            state: Mutex::default(),
            next_temporary: AtomicU32::new(0),
            is_named: false,
        }
    }

    /// A store on a file system that knows no files without a name.
    #[cfg(test)]
    pub(crate) fn named(options: &Options) -> Self {
        Self { is_named: true, ..Self::new(options) }
    }

    /// Lets one more file in, if there are not as many as may be.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Permit> {
        let enter = |active| (active < self.max_concurrent).then_some(active + 1);
        self.active.fetch_update(SeqCst, SeqCst, enter).ok()?;
        Some(Permit(Arc::clone(self)))
    }

    /// The directory, made if need be; made anew if somebody has removed it.
    ///
    /// # Errors
    /// It cannot be made or opened.
    pub(crate) fn dir(&self) -> io::Result<Arc<OwnedFd>> {
        let mut state = self.state();
        if let Some(dir) = &state.dir
            && rustix::fs::fstat(dir).is_ok_and(|stat| stat.st_nlink > 0)
        {
            return Ok(Arc::clone(dir));
        }
        fs::create_dir_all(&self.path)?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let dir = Arc::new(rustix::fs::open(&self.path, flags, Mode::empty())?);
        state.dir = Some(Arc::clone(&dir));
        state.used = None;
        Ok(dir)
    }

    /// Makes room for `n` bytes more; false if that would be too many.
    pub(crate) fn reserve(&self, n: u64) -> bool {
        if self.max_total == u64::MAX {
            return true;
        }
        let mut state = self.state();
        let fits = |used: u64| used.checked_add(n).is_some_and(|sum| sum <= self.max_total);
        if !state.used.is_some_and(fits) {
            // Somebody may have removed files.
            state.used = Some(self.bytes_stored().saturating_add(state.coming));
        }
        let used = state.used.filter(|used| fits(*used));
        if let Some(used) = used {
            state.used = Some(used.saturating_add(n));
            state.coming = state.coming.saturating_add(n);
        }
        used.is_some()
    }

    /// Ends the reservation of `n` bytes; `is_stored` says whether they are there now.
    pub(crate) fn settle(&self, n: u64, is_stored: bool) {
        let mut state = self.state();
        state.coming = state.coming.saturating_sub(n);
        if !is_stored {
            state.used = state.used.map(|used| used.saturating_sub(n));
        }
    }

    /// Makes a file that nobody can see, or that nobody takes for an upload.
    ///
    /// # Errors
    /// The disk or the directory takes no file.
    pub(crate) fn create(&self, dir: &OwnedFd) -> io::Result<Unnamed> {
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, ".", flags, mode) {
            Ok(fd) if !self.is_named && !is_planted(Mutant::NamedTooEarly) => {
                return Ok(Unnamed { file: fd.into(), temporary: None });
            }
            // What file systems and old kernels say that have no such files.
            Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let name = self.temporary_name();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(dir, &name, flags, mode)?;
        // For as long as it is locked it is not stale.
        let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(Unnamed { file: file.into(), temporary: Some(name) })
    }

    /// A name that no other file of any daemon has now.
    pub(crate) fn temporary_name(&self) -> String {
        let n = self.next_temporary.fetch_add(1, SeqCst);
        let time = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        format!("{}{}-{time:x}-{n}{}", TEMPORARY.0, std::process::id(), TEMPORARY.1)
    }

    /// Removes the files that a daemon left behind which was killed while they came. Those of one that
    /// runs are locked.
    pub(crate) fn clean(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            if is_temporary(&entry) && is_stale(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn bytes_stored(&self) -> u64 {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let files = entries
            .filter(|entry| !is_temporary(entry))
            .filter_map(|entry| entry.metadata().ok().filter(fs::Metadata::is_file));
        files.map(|metadata| metadata.len()).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_temporary(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    name.to_str().is_some_and(|name| name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1))
}

fn is_stale(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty());
    file.is_ok_and(|file| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok())
}

/// Removes a name; that it is not there is as good.
pub(crate) fn remove(dir: &OwnedFd, name: &str) {
    let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
}
