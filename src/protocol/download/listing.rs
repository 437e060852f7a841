//! The names in a directory, a line each, sorted. A huge one is read and sent in slices, so that nobody
//! else waits.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use cap_std::fs::{Dir, DirEntry, Metadata, ReadDir};

use super::Options;
use super::place::{Place, Problem};
use crate::framing::End;
use crate::limits;
use crate::protocol::Cx;
use crate::ration::Claim;

/// See the module.
#[derive(Debug)]
pub(super) struct Listing {
    options: Arc<Options>,
    place: Place,
    /// Not yet exhausted. It holds descriptors.
    reader: Option<ReadDir>,
    /// Names with sizes; directories have none.
    entries: BTreeMap<Vec<u8>, Option<u64>>,
    /// Bytes of memory in them.
    held: usize,
    count: usize,
    is_cut: bool,
    end: End,
    claim: Claim,
}

impl Listing {
    /// Begins to read.
    pub(super) fn begin(options: Arc<Options>, place: Place, dir: &Dir, end: End) -> Result<Self, Problem> {
        let reader = Some(dir.entries().map_err(|error| Problem::of(&error))?);
        let (entries, claim) = (BTreeMap::new(), Claim::default());
        Ok(Self { options, place, reader, entries, held: 0, count: 0, is_cut: false, end, claim })
    }

    /// Goes on until the output is full or a slice has been read; true when all is queued.
    pub(super) fn go_on(&mut self, cx: &mut Cx<'_>) -> bool {
        if self.reader.is_some() {
            self.read(cx);
        }
        if self.reader.is_some() {
            return false;
        }
        while !cx.out.is_full() {
            let first = self.entries.pop_first();
            self.held = self.held.saturating_sub(first.as_ref().map_or(0, |(name, _)| weight(name)));
            let Some((name, size)) = first else {
                let more = if self.is_cut { " and there are more" } else { "" };
                cx.out.print(format_args!("end {}{more}", self.count));
                cx.out.push(self.end.or_lf());
                return true;
            };
            match size {
                Some(size) => cx.out.print(format_args!("{size} ")),
                None => cx.out.push(b"- "),
            }
            cx.out.push(&name);
            if size.is_none() {
                cx.out.push(b"/");
            }
            cx.out.push(self.end.or_lf());
        }
        false
    }

    /// Bytes of memory that it takes.
    pub(super) fn holds(&self) -> usize {
        self.held
    }

    /// Reads a slice of the directory, as large as its part of the turn. An error ends it: what could be read is
    /// shown.
    fn read(&mut self, cx: &Cx<'_>) {
        let Some(mut reader) = self.reader.take() else { return };
        for _ in 0..cx.shared.ration.part(&mut self.claim) {
            let Some(Ok(entry)) = reader.next() else { return };
            if self.count >= limits::LISTING_ENTRIES {
                self.is_cut = true;
                return;
            }
            self.add(&entry);
        }
        self.reader = Some(reader);
    }

    /// Leaves out what cannot be asked for: what is hidden or special, what leads nowhere or outside, and
    /// names that would not fit into a line.
    fn add(&mut self, entry: &DirEntry) {
        let name = entry.file_name().into_vec();
        let is_hidden = name.starts_with(b".") && !self.options.hidden;
        if is_hidden || name.iter().any(u8::is_ascii_control) {
            return;
        }
        let Some(metadata) = self.metadata(entry) else { return };
        let size = metadata.is_file().then_some(metadata.len());
        if size.is_some() || metadata.is_dir() {
            self.count += 1;
            self.held += weight(&name);
            self.entries.insert(name, size);
        }
    }

    fn metadata(&self, entry: &DirEntry) -> Option<Metadata> {
        let metadata = entry.metadata().ok()?;
        let root = self.options.root().ok()?;
        let path = self.place.path().join(entry.file_name());
        if root.hides(&path, metadata.is_symlink()) {
            return None;
        }
        if metadata.is_symlink() { root.metadata(&path).ok() } else { Some(metadata) }
    }
}

/// What a name takes: itself, its place in the tree, which is not quite full, and what the allocator adds.
fn weight(name: &[u8]) -> usize {
    name.len() + 2 * size_of::<(Vec<u8>, Option<u64>)>() + 16
}
