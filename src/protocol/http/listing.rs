//! A directory as a page or as JSON. A huge one is read and sent in slices, so that nobody else waits.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use askama::Template;
use cap_std::fs::{Dir, DirEntry, Metadata, ReadDir};

use super::coding::elements;
use super::options::Options;
use super::order::{Key, Place};
use super::page::{Bottom, Row, Rows, Sums, Top};
use super::refusal::Status;
use super::reply::{Head, Length, Sent};
use super::request::{Exchange, Request};
use super::target::Target;
use super::{json, page};
use crate::limits;
use crate::protocol::Cx;

pub(super) use super::order::Order;

/// Rows that are made into text at once.
const ROWS: usize = 64;

/// The page is ours alone: no script, no frame, no resource from anywhere.
const POLICY: &str = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    Referrer-Policy: same-origin\r\n";

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
    order: Order,
    is_json: bool,
    /// No entry has been sent.
    is_fresh: bool,
    sums: Sums,
    exchange: Exchange,
    sent: Sent,
}

/// What is known of an entry besides its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) size: u64,
    pub(super) modified: Option<std::time::SystemTime>,
}

/// What has become of a listing at first.
#[derive(Debug)]
pub(super) enum Begun {
    /// It was small, or only its head was asked for: all is queued.
    Done(Sent),
    /// It wants [`Listing::resume`].
    More(Box<Listing>),
}

impl Listing {
    /// Answers with a listing of `dir`, at once if it is small; otherwise its head and top are queued.
    ///
    /// # Errors
    /// The directory cannot be read; nothing is queued.
    pub(super) fn begin(
        options: Arc<Options>,
        (target, dir): (&Target, &Dir),
        order: Order,
        request: &Request<'_>,
        cx: &mut Cx<'_>,
    ) -> io::Result<Begun> {
        let is_json = wants_json(request.accepts.types.as_deref());
        let mut listing = Self {
            options,
            path: target.path().to_path_buf(),
            reader: Some(dir.entries()?),
            entries: BTreeMap::new(),
            order,
            is_json,
            is_fresh: true,
            sums: Sums::default(),
            exchange: request.exchange,
            sent: Sent { status: Status::OK.0, bytes: 0 },
        };
        listing.collect();
        let top =
            if is_json { json::top(target) } else { Top::new(target, order).render().unwrap_or_default() };
        if listing.reader.is_none() {
            return Ok(Begun::Done(listing.whole(top, cx)));
        }
        listing.head_of_many(&top, cx);
        let is_more = !listing.exchange.head_only;
        Ok(if is_more { Begun::More(Box::new(listing)) } else { Begun::Done(listing.sent) })
    }

    /// Whether the connection outlives this reply.
    pub(super) fn keep(&self) -> bool {
        self.exchange.keep
    }

    /// What has been sent of it so far.
    pub(super) fn sent(&self) -> Sent {
        self.sent
    }

    /// Goes on until the output is full or a slice has been read; true when all is queued.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.reader.is_some() {
            self.collect();
            return false;
        }
        while !cx.out.is_full() {
            if self.entries.is_empty() {
                let bottom = self.bottom();
                self.chunk(&bottom, cx);
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
    fn whole(&mut self, top: String, cx: &mut Cx<'_>) -> Sent {
        let mut page = top;
        page.push_str(&self.rows(usize::MAX));
        page.push_str(&self.bottom());
        let sent = self.head(Length::Bytes(page.len() as u64), cx);
        if !self.exchange.head_only {
            cx.out.push(page.as_bytes());
        }
        sent
    }

    /// Begins a page whose length is not known.
    fn head_of_many(&mut self, top: &str, cx: &mut Cx<'_>) {
        let is_chunked = self.exchange.minor > 0;
        self.exchange.keep &= is_chunked;
        self.head(if is_chunked { Length::Chunked } else { Length::UntilClose }, cx);
        if !self.exchange.head_only {
            self.chunk(top, cx);
        }
    }

    fn head(&self, length: Length, cx: &mut Cx<'_>) -> Sent {
        let (media_type, policy) =
            if self.is_json { ("application/json", "") } else { ("text/html; charset=utf-8", POLICY) };
        // It changes with every file: a cache must ask each time, and there is no tag to ask with.
        let extra = format!("{policy}Vary: Accept\r\nCache-Control: no-cache\r\n");
        Head { extra: &extra, ..Head::new(Status::OK, media_type, length) }.write(self.exchange, cx)
    }

    /// An empty chunk would be the last one.
    fn chunk(&mut self, text: &str, cx: &mut Cx<'_>) {
        self.sent.bytes += text.len() as u64;
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
                self.sums.is_cut = true;
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
        if self.hides(entry) {
            return;
        }
        let Some(metadata) = self.metadata(entry) else { return };
        let is_file = metadata.is_file();
        if is_file || metadata.is_dir() {
            let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
            let entry = Entry { size: if is_file { metadata.len() } else { 0 }, modified };
            self.sums.add(is_file, entry.size);
            let key = Key::new(is_file, Place::of(&entry, name.into_vec(), self.order), self.order);
            self.entries.insert(key, entry);
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

    /// The next rows, which are forgotten.
    fn rows(&mut self, max: usize) -> String {
        let entries = std::iter::from_fn(|| self.entries.pop_first()).take(max);
        if self.is_json {
            let is_fresh = &mut self.is_fresh;
            return entries.map(|(key, entry)| json::row(&key, entry, std::mem::take(is_fresh))).collect();
        }
        let rows = entries.map(|(key, entry)| Row::new(key.name(), key.is_file(), entry));
        Rows { rows: rows.collect() }.render().unwrap_or_default()
    }

    fn bottom(&self) -> String {
        if self.is_json {
            return json::bottom(self.sums.is_cut);
        }
        Bottom { sums: page::Summary::of(&self.sums) }.render().unwrap_or_default()
    }
}

/// Whether JSON is preferred to a page.
fn wants_json(accept: Option<&[u8]>) -> bool {
    let quality = |wanted: &[u8]| {
        let found = elements(accept?).find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, quality)| quality)
    };
    quality(b"application/json").is_some_and(|json| json > 0 && json >= quality(b"text/html").unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for (accept, expected) in [
            ("application/json", true),
            ("Application/JSON; q=0.5, */*;q=0.1", true),
            ("text/html, application/json;q=0.9", false),
            ("text/html;q=0.8, application/json;q=0.9", true),
            ("application/json;q=0", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
        ] {
            assert_eq!(wants_json(Some(accept.as_bytes())), expected, "{accept}");
        }
        assert!(!wants_json(None));
    }
}
