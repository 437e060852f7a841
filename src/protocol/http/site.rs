//! A served directory with what is remembered of it; all connections of a service share one.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use rustix::io::Errno;

use super::cache::{Cache, Hit};
use super::options::Options;
use super::reply::{self, DATE};
use super::resource::Resource;
use super::root::{Found, Root};
use crate::journal::Journal;
use crate::protocol::Cx;
use crate::shared::Shared;
use crate::time::Time;

/// The name of the page for what is not found; no path has a NUL.
const NOT_FOUND_KEY: &[u8] = b"\0not found";

/// How most replies begin; the date, at its end, is that of another day.
const START: &[u8; 75] = b"HTTP/1.1 200 OK\r\nServer: switchboard\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

/// See the module.
#[derive(Debug)]
pub(super) struct Site {
    root: Root,
    /// Under one lock, as nearly every reply needs both.
    kept: Mutex<Kept>,
    log: OnceLock<Arc<Journal>>,
}

#[derive(Debug, Default)]
struct Kept {
    cache: Cache,
    today: Today,
}

/// How replies begin at a moment: the clock is looked at once a turn, the date is written once a second.
#[derive(Debug)]
struct Today {
    at: Time,
    second: u64,
    start: [u8; START.len()],
}

impl Default for Today {
    fn default() -> Self {
        Self { at: Time::NEVER, second: u64::MAX, start: *START }
    }
}

impl Today {
    fn start(&mut self, now: Time, shared: &Shared) -> &[u8; START.len()] {
        if self.at != now {
            self.at = now;
            self.renew(shared.wall_clock());
        }
        &self.start
    }

    fn renew(&mut self, now: SystemTime) {
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.second != second {
            self.second = second;
            let place = self.start.iter_mut().skip(START.len() - DATE);
            place.zip(reply::date_bytes(now)).for_each(|(to, from)| *to = from);
        }
    }
}

impl Site {
    /// Opens the root.
    ///
    /// # Errors
    /// It is no directory that can be read.
    pub(super) fn open(options: &Options) -> io::Result<Self> {
        Ok(Self {
            root: Root::open(&options.root, options.follow_symlinks, options.private())?,
            kept: Mutex::default(),
            log: OnceLock::new(),
        })
    }

    /// Opens the access log.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn open_log(&self, path: &Path) -> io::Result<()> {
        if self.log.get().is_none() {
            let journal = Arc::new(Journal::open(path)?);
            let _ = self.log.set(journal);
        }
        Ok(())
    }

    /// Where requests are noted, if they are.
    pub(super) fn log(&self) -> Option<&Arc<Journal>> {
        self.log.get()
    }

    /// The sandbox itself.
    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// What the cache has under a key, compared with the disk if that was not done lately.
    pub(super) fn cached(&self, key: &[u8], cx: &Cx<'_>) -> Option<Arc<Resource>> {
        let Hit { resource, is_due } = self.kept().cache.get(key, cx.now)?;
        // A young file is read again: it could have changed without a trace. And its tag becomes strong.
        if is_due && (resource.is_young || !resource.is_current(&self.root)) {
            self.kept().cache.remove(key);
            return None;
        }
        Some(resource)
    }

    /// Forgets what turned out to be outdated.
    pub(super) fn forget(&self, key: &[u8]) {
        self.kept().cache.remove(key);
    }

    /// Makes a resource of an open file, and keeps it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn load(
        &self,
        key: &[u8],
        path: &Path,
        opened: (std::fs::File, cap_std::fs::Metadata),
        options: &Options,
        cx: &Cx<'_>,
    ) -> io::Result<Arc<Resource>> {
        let now = cx.shared.wall_clock();
        let resource = Arc::new(Resource::load(path, opened, &self.root, options, now)?);
        self.kept().cache.put(key, Arc::clone(&resource), cx.now);
        Ok(resource)
    }

    /// Opens what a path names. When descriptors have run out, those of the cache are given up for it.
    ///
    /// # Errors
    /// See [`Root::find`].
    pub(super) fn find(&self, path: &Path) -> io::Result<Found> {
        let found = self.root.find(path);
        let is_short =
            |error: &io::Error| matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
        if found.as_ref().is_err_and(is_short) {
            self.kept().cache.close_files();
            return self.root.find(path);
        }
        found
    }

    /// The page for what is not found, if there is one.
    ///
    /// # Errors
    /// There is to be one, and it cannot be read.
    pub(super) fn not_found_page(&self, options: &Options, cx: &Cx<'_>) -> io::Result<Option<Arc<Resource>>> {
        let Some(path) = &options.not_found else { return Ok(None) };
        if let Some(resource) = self.cached(NOT_FOUND_KEY, cx).filter(|it| it.is_intact(it.plain(), cx.now)) {
            return Ok(Some(resource));
        }
        match self.find(path)? {
            Found::File(file, metadata) => {
                self.load(NOT_FOUND_KEY, path, (file, metadata), options, cx).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Makes sure that the page for what is not found is there.
    ///
    /// # Errors
    /// It is not, or it is no file.
    pub(super) fn not_found(&self, options: &Options) -> io::Result<()> {
        let Some(path) = &options.not_found else { return Ok(()) };
        match self.find(path)? {
            Found::File(..) => Ok(()),
            _ => Err(io::Error::other("it is not a file")),
        }
    }

    /// What is remembered, for whoever answers several requests at once. Nobody else uses it meanwhile.
    #[inline]
    pub(super) fn look(&self) -> Look<'_> {
        Look(self.kept())
    }

    /// Queues the beginning of a reply with a file, its date included.
    pub(super) fn push_start(&self, cx: &mut Cx<'_>) {
        cx.out.push(self.kept().today.start(cx.now, cx.shared));
    }

    /// The date, as `Date` has it, with its line end.
    pub(super) fn date(&self, cx: &Cx<'_>) -> [u8; DATE] {
        let mut date = [b' '; DATE];
        let mut kept = self.kept();
        let start = kept.today.start(cx.now, cx.shared);
        date.iter_mut().zip(start.iter().skip(START.len() - DATE)).for_each(|(to, from)| *to = *from);
        date
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Site::look`].
#[derive(Debug)]
pub(super) struct Look<'a>(MutexGuard<'a, Kept>);

impl Look<'_> {
    /// A file in the cache that was compared with the disk lately, and how replies begin now.
    #[inline]
    pub(super) fn at(&mut self, key: &[u8], now: Time, shared: &Shared) -> Option<(&Resource, &[u8])> {
        let Kept { cache, today } = &mut *self.0;
        Some((cache.fresh(key, now)?, today.start(now, shared)))
    }
}
