//! What an `http` service may be told.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde::Deserialize;

use super::site::Site;
use crate::config::duration;

/// The options of a service; every one has a default.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The directory whose files are served; the current one by default.
    pub root: PathBuf,
    /// The file that stands for its directory, `index.html` by default; none if empty.
    pub index: String,
    /// Whether a directory without an index file is listed, as by default.
    pub listing: bool,
    /// Whether files are served whose names begin with a dot; not by default.
    pub hidden: bool,
    /// Whether symbolic links may lead out of the root; not by default.
    pub follow_symlinks: bool,
    /// A file below the root, by its path from there, that is the body of every 404; none by default.
    pub not_found: Option<PathBuf>,
    /// Whether pages of other origins may read everything here (CORS); not by default.
    pub cors: bool,
    /// The `Cache-Control` field of files; none if empty, as by default.
    pub cache_control: String,
    /// Where a line is written for every request, `-` for stdout; nowhere by default.
    pub access_log: Option<PathBuf>,
    /// How long a connection may say nothing before its first request; 30 s by default.
    #[serde(with = "duration")]
    pub first_byte_timeout: Duration,
    /// How long a request head may take from its first byte to its blank line; 10 s by default.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// How long the body of a request may take; 60 s by default.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// How long a connection may pause between two requests; 75 s by default.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// How long the peer may take no byte of a reply; 60 s by default. How long all of it takes does not
    /// matter.
    #[serde(with = "duration")]
    pub progress_timeout: Duration,
    /// What is not served wherever it is: directories of uploads, logs, transcripts.
    #[serde(skip)]
    pub(super) private: OnceLock<Vec<PathBuf>>,
    /// What is open, once it is.
    #[serde(skip)]
    pub(super) site: OnceLock<Site>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            root: PathBuf::from("."),
            index: "index.html".to_owned(),
            listing: true,
            hidden: false,
            follow_symlinks: false,
            not_found: None,
            cors: false,
            cache_control: String::new(),
            access_log: None,
            first_byte_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
            progress_timeout: Duration::from_secs(60),
            private: OnceLock::new(),
            site: OnceLock::new(),
        }
    }
}

impl Options {
    /// The open root and what belongs to it; opened by [`Options::prepare`], or when first needed.
    ///
    /// # Errors
    /// The root or the access log cannot be opened.
    pub(super) fn site(&self) -> io::Result<&Site> {
        if let Some(site) = self.site.get() {
            return Ok(site);
        }
        let site = Site::open(self)?;
        Ok(self.site.get_or_init(|| site))
    }

    /// What [`Options::site`] opened, if it did.
    #[inline]
    pub(super) fn open_site(&self) -> Option<&Site> {
        self.site.get()
    }

    /// What is not served.
    pub(super) fn private(&self) -> &[PathBuf] {
        self.private.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// Opens everything that is named here.
    ///
    /// # Errors
    /// What cannot be opened or makes no sense, in a few words.
    pub(super) fn prepare(&self) -> Result<(), String> {
        if !self.cache_control.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err("cache_control has characters that no field of HTTP may have".to_owned());
        }
        if self.index.contains('/') {
            return Err(format!("index is the name of a file, without a slash: {:?}", self.index));
        }
        let site = self.site().map_err(|error| explain("serve", &self.root, &error))?;
        if let Some(path) = &self.not_found {
            self.check_page(path, site)?;
        }
        if let Some(path) = &self.access_log {
            site.open_log(path).map_err(|error| explain("write", path, &error))?;
        }
        Ok(())
    }

    /// Makes sure that the page for what is not found can be sent.
    fn check_page(&self, path: &Path, site: &Site) -> Result<(), String> {
        if !is_below(path) {
            let (path, root) = (path.display(), self.root.display());
            return Err(format!(
                "cannot use {path}: it must be below the root ({root}), and named from there"
            ));
        }
        // The whole path: who has named it from somewhere else sees where it was looked for.
        let whole = self.root.join(path);
        site.not_found(self).map_err(|error| match error.raw_os_error() {
            // The sandbox speaks of a file system.
            None if error.kind() == io::ErrorKind::PermissionDenied => {
                format!("cannot use {}: a link leads out of the root", whole.display())
            }
            _ => explain("use", &whole, &error),
        })
    }
}

/// Whether a path names something below where it begins, as far as the path itself tells.
fn is_below(path: &Path) -> bool {
    let mut depth = 0_usize;
    path.components().all(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => depth.checked_sub(1).inspect(|up| depth = *up).is_some(),
        Component::RootDir | Component::Prefix(_) => false,
    })
}

fn explain(what: &str, path: &Path, error: &io::Error) -> String {
    let error = error.to_string();
    let reason = error.split(" (os error").next().unwrap_or_default();
    format!("cannot {what} {}: {reason}", path.display())
}
