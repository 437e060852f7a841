//! A directory as a page. A huge one is read and sent in slices, so that nobody else waits for it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use askama::Template;
use cap_std::fs::{Dir, DirEntry, Metadata, ReadDir};

use super::Options;
use super::page::{Bottom, Row, Rows, Top};
use super::refusal::Status;
use super::reply::{Head, Length};
use super::request::Exchange;
use super::target::Target;
use crate::limits;
use crate::protocol::Cx;

/// Rows that are made into text at once.
const ROWS: usize = 64;

/// A listing of which something is still to be read or sent.
#[derive(Debug)]
pub(super) struct Listing {
    options: Arc<Options>,
    /// Below the root.
    path: PathBuf,
    /// Not yet exhausted. It holds descriptors.
    reader: Option<ReadDir>,
    /// Sorted as they come, so that no turn has to sort them all; taken from the front as they are sent.
    entries: BTreeMap<Key, Entry>,
    /// There are more than a listing may show.
    is_cut: bool,
    exchange: Exchange,
}

/// Directories come first, then names count.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    is_file: bool,
    name: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    size: u64,
    modified: Option<std::time::SystemTime>,
}

impl Listing {
    /// Answers with a listing of `dir`, at once if it is small; otherwise its head and top are queued, and
    /// what is returned wants [`Listing::resume`].
    ///
    /// # Errors
    /// The directory cannot be read; nothing is queued.
    pub(super) fn begin(
        options: Arc<Options>,
        target: &Target,
        dir: &Dir,
        exchange: Exchange,
        cx: &mut Cx<'_>,
    ) -> io::Result<Option<Box<Self>>> {
        let reader = Some(dir.entries()?);
        let path = target.path().to_path_buf();
        let mut listing = Self { options, path, reader, entries: BTreeMap::new(), is_cut: false, exchange };
        listing.collect();
        let shown = target.shown();
        let top = Top::new(&shown, target.is_root()).render().unwrap_or_default();
        if listing.reader.is_none() {
            listing.whole(top, cx);
            return Ok(None);
        }
        Ok(listing.head_of_many(&top, cx).then(|| Box::new(listing)))
    }

    /// Whether the connection outlives this reply.
    pub(super) fn keep(&self) -> bool {
        self.exchange.keep
    }

    /// Goes on until the output is full or a slice has been read; true when all is queued.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.reader.is_some() {
            self.collect();
            return false;
        }
        while !cx.out.is_full() {
            if self.entries.is_empty() {
                self.chunk(&self.bottom(), cx);
                if self.exchange.minor > 0 {
                    cx.out.push(b"0\r\n\r\n");
                }
                return true;
            }
            let rows = self.rows(ROWS);
            self.chunk(&rows, cx);
        }
        false
    }

    /// The page at once, with its length: everything has been read.
    fn whole(&mut self, top: String, cx: &mut Cx<'_>) {
        let mut page = top;
        page.push_str(&self.rows(usize::MAX));
        page.push_str(&self.bottom());
        self.head(Length::Bytes(page.len() as u64), cx);
        if !self.exchange.head_only {
            cx.out.push(page.as_bytes());
        }
    }

    /// Begins a page whose length is not known; false if the head is all that was asked for.
    fn head_of_many(&mut self, top: &str, cx: &mut Cx<'_>) -> bool {
        let is_chunked = self.exchange.minor > 0;
        self.exchange.keep &= is_chunked;
        self.head(if is_chunked { Length::Chunked } else { Length::UntilClose }, cx);
        if !self.exchange.head_only {
            self.chunk(top, cx);
        }
        !self.exchange.head_only
    }

    /// The page is ours alone: no script, no frame, no resource from anywhere.
    fn head(&self, length: Length, cx: &mut Cx<'_>) {
        const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        let head = Head::new(Status::OK, "text/html; charset=utf-8", length);
        Head { extra: Some(("Content-Security-Policy", POLICY)), ..head }.write(self.exchange, cx);
    }

    /// An empty chunk would be the last one.
    fn chunk(&self, text: &str, cx: &mut Cx<'_>) {
        if self.exchange.minor == 0 || text.is_empty() {
            cx.out.push(text.as_bytes());
        } else {
            cx.out.print(format_args!("{:x}\r\n{text}\r\n", text.len()));
        }
    }

    /// Reads a slice of the directory. An error ends it: what could be read is shown.
    fn collect(&mut self) {
        let Some(mut reader) = self.reader.take() else { return };
        for _ in 0..limits::LISTING_PER_TURN {
            let Some(Ok(entry)) = reader.next() else { return };
            if self.entries.len() >= limits::LISTING_ENTRIES {
                self.is_cut = true;
                return;
            }
            self.add(&entry);
        }
        self.reader = Some(reader);
    }

    /// Hidden and special files are left out, and so are links that lead nowhere or outside.
    fn add(&mut self, entry: &DirEntry) {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") && !self.options.hidden {
            return;
        }
        let Some(metadata) = self.metadata(entry) else { return };
        if metadata.is_file() || metadata.is_dir() {
            let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
            let key = Key { is_file: metadata.is_file(), name: name.into_vec() };
            self.entries.insert(key, Entry { size: metadata.len(), modified });
        }
    }

    fn metadata(&self, entry: &DirEntry) -> Option<Metadata> {
        let metadata = entry.metadata().ok()?;
        if !metadata.is_symlink() {
            return Some(metadata);
        }
        self.options.opened().ok()?.metadata(&self.path.join(entry.file_name())).ok()
    }

    /// The next rows, which are forgotten.
    fn rows(&mut self, max: usize) -> String {
        let entries = std::iter::from_fn(|| self.entries.pop_first()).take(max);
        let rows = entries.map(|(key, entry)| Row::new(&key.name, key.is_file, entry.size, entry.modified));
        Rows { rows: rows.collect() }.render().unwrap_or_default()
    }

    fn bottom(&self) -> String {
        let limit = self.is_cut.then_some(limits::LISTING_ENTRIES);
        Bottom { limit }.render().unwrap_or_default()
    }
}
