//! A served directory with what is remembered of it; all connections of a service share one.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use rustix::io::Errno;

use super::cache::{Cache, Hit};
use super::options::Options;
use super::repeat::Repeats;
use super::reply::{self, DATE};
use super::request::Request;
use super::resource::Resource;
use super::root::{Found, Root};
use crate::journal::Journal;
use crate::protocol::Cx;

/// The name of the page for what is not found; no path has a NUL.
const NOT_FOUND_KEY: &[u8] = b"\0not found";

/// A request that came again: its length, its file, and the codings it accepts.
type Repeated = (usize, Arc<Resource>, Option<Box<[u8]>>);

/// How most replies begin; the date, at its end, is that of another day.
const START: &[u8; 75] = b"HTTP/1.1 200 OK\r\nServer: switchboard\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

/// See the module.
#[derive(Debug)]
pub(super) struct Site {
    root: Root,
    cache: Mutex<Cache>,
    repeats: Mutex<Repeats>,
    /// The second in which the last reply was sent, and how replies of that second begin.
    today: Mutex<(u64, [u8; START.len()])>,
    log: OnceLock<Arc<Journal>>,
}

impl Site {
    /// Opens the root.
    ///
    /// # Errors
    /// It is no directory that can be read.
    pub(super) fn open(options: &Options) -> io::Result<Self> {
        Ok(Self {
            root: Root::open(&options.root, options.follow_symlinks, options.private())?,
            cache: Mutex::default(),
            repeats: Mutex::default(),
            today: Mutex::new((u64::MAX, *START)),
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
        let Hit { resource, is_due } = self.cache().get(key, cx.now)?;
        // A young file is read again: it could have changed without a trace. And its tag becomes strong.
        if is_due && (resource.is_young || !resource.is_current(&self.root)) {
            self.cache().remove(key);
            return None;
        }
        Some(resource)
    }

    /// The file of a request that came before byte by byte and stands at the start of `bytes`: the length
    /// of the request, the file if the cache has it, and the codings accepted.
    pub(super) fn repeated(&self, bytes: &[u8], cx: &Cx<'_>) -> Option<Repeated> {
        let repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        let head = repeats.find(bytes)?;
        let resource = self.cached(head.key(), cx)?;
        Some((head.len(), resource, head.accepts().map(Into::into)))
    }

    /// Remembers the head of a request that the cache has just answered under this key.
    pub(super) fn remember(&self, head: &[u8], key: &[u8], request: &Request<'_>) {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner).remember(head, key, request);
    }

    /// Forgets what turned out to be outdated.
    pub(super) fn forget(&self, key: &[u8]) {
        self.cache().remove(key);
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
        self.cache().put(key, Arc::clone(&resource), cx.now);
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
            self.cache().close_files();
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

    /// How a reply with a file begins, its date included: made once a second.
    pub(super) fn today(&self, now: SystemTime) -> [u8; START.len()] {
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if today.0 != second {
            let date = reply::date_bytes(now);
            let place = today.1.iter_mut().skip(START.len() - DATE);
            place.zip(date).for_each(|(to, from)| *to = from);
            today.0 = second;
        }
        today.1
    }

    /// The date, as `Date` has it, with its line end.
    pub(super) fn date(&self, now: SystemTime) -> [u8; DATE] {
        let mut date = [b' '; DATE];
        let today = self.today(now);
        date.iter_mut().zip(today.iter().skip(START.len() - DATE)).for_each(|(to, from)| *to = *from);
        date
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
