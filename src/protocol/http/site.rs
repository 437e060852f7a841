//! A served directory with what is remembered of it; all connections of a service share one.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::io::Errno;

use super::cache::{Cache, Entry, Hit};
use super::options::Options;
use super::reply::DATE;
use super::reserve::Reserve;
use super::resource::{Form, Resource};
use super::root::{Found, Root};
use super::today::Today;
use crate::journal::Journal;
use crate::protocol::Cx;
use crate::shared::Shared;
use crate::time::Time;

/// The name of the page for what is not found; no path has a NUL.
const NOT_FOUND_KEY: &[u8] = b"\0not found";

/// See the module.
#[derive(Debug)]
pub(super) struct Site {
    root: Root,
    /// Under one lock, as nearly every reply needs both.
    kept: Mutex<Kept>,
    log: OnceLock<Arc<Journal>>,
    reserve: Arc<Reserve>,
}

#[derive(Debug, Default)]
struct Kept {
    cache: Cache,
    today: Today,
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
            reserve: Arc::default(),
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

    /// The memory for large listings.
    pub(super) fn reserve(&self) -> &Arc<Reserve> {
        &self.reserve
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
        cx.out.push(self.kept().today.at(cx.now, cx.shared).start());
    }

    /// The date, as `Date` has it, with its line end.
    pub(super) fn date(&self, cx: &Cx<'_>) -> [u8; DATE] {
        self.kept().today.at(cx.now, cx.shared).date()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Site::look`].
#[derive(Debug)]
pub(super) struct Look<'a>(MutexGuard<'a, Kept>);

impl Look<'_> {
    /// The form for a client that accepts these codings, of a file in the cache that was compared with the disk
    /// lately, and the reply with all of that, if it is short.
    #[inline]
    pub(super) fn whole(
        &mut self,
        key: &[u8],
        codings: Option<&[u8]>,
        now: Time,
        shared: &Shared,
    ) -> Option<(&Form, &Arc<[u8]>)> {
        let Kept { cache, today } = &mut *self.0;
        let Entry { resource, wholes, .. } = cache.fresh(key, now)?;
        let form = resource.form(codings);
        Some((form, wholes.get(form, today.at(now, shared))?))
    }
}
