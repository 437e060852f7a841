//! Files that were asked for lately, so that the next reply needs no system call but its own.
//!
//! Bounded in memory, in entries and in open files. What has not been used since the hand of the clock
//! last came by makes room first.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::resource::Resource;
use super::whole::Wholes;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::time::Time;

/// See the module. A key is the decoded path of a target: see [`super::target::plain_key`].
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Only names of files that exist get into it, so that no stranger can fill it with such as collide.
    entries: FxHashMap<Arc<[u8]>, Entry>,
    /// All keys, in the order in which they are looked at when room is needed.
    clock: VecDeque<Arc<[u8]>>,
    bytes: usize,
    files: usize,
}

/// A file that is known.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) resource: Arc<Resource>,
    /// What was sent of it lately.
    pub(super) wholes: Wholes,
    /// When it was last compared with the disk.
    checked: Time,
    /// It was asked for since the hand of the clock last came by.
    is_used: bool,
}

impl Entry {
    fn is_due(&self, now: Time) -> bool {
        now >= self.checked.after(limits::HTTP_CACHE_TRUST) && !is_planted(Mutant::FilesTrusted)
    }
}

/// What the cache has.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) resource: Arc<Resource>,
    /// Compare it with the disk now; nobody else will for a while.
    pub(super) is_due: bool,
}

impl Cache {
    /// What is known under a key, if it need not be compared with the disk.
    #[inline]
    pub(super) fn fresh(&mut self, key: &[u8], now: Time) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(key).filter(|entry| !entry.is_due(now))?;
        entry.is_used = true;
        Some(entry)
    }

    /// What is known under a key.
    pub(super) fn get(&mut self, key: &[u8], now: Time) -> Option<Hit> {
        let entry = self.entries.get_mut(key)?;
        entry.is_used = true;
        let is_due = entry.is_due(now);
        if is_due {
            entry.checked = now;
        }
        Some(Hit { resource: Arc::clone(&entry.resource), is_due })
    }

    /// Keeps a resource, unless it is larger than everything that may be kept.
    pub(super) fn put(&mut self, key: &[u8], resource: Arc<Resource>, now: Time) {
        self.remove(key);
        if cost(key, &resource) > limits::HTTP_CACHE_BYTES / 4 {
            return;
        }
        self.bytes += cost(key, &resource);
        self.files += resource.files();
        let key: Arc<[u8]> = key.into();
        self.clock.push_back(Arc::clone(&key));
        let wholes = Wholes::default();
        self.entries.insert(key, Entry { resource, wholes, checked: now, is_used: false });
        self.make_room();
    }

    /// Forgets what is known under a key.
    pub(super) fn remove(&mut self, key: &[u8]) {
        if self.forget(key) {
            self.clock.retain(|known| **known != *key);
        }
    }

    /// Forgets everything that holds a descriptor.
    pub(super) fn close_files(&mut self) {
        while self.files > 0 && self.pass_hand(true) {}
    }

    fn make_room(&mut self) {
        loop {
            let too_many =
                self.bytes > limits::HTTP_CACHE_BYTES || self.entries.len() > limits::HTTP_CACHE_ENTRIES;
            let only_files = !too_many;
            if !(too_many || self.files > limits::HTTP_CACHE_FILES) || !self.pass_hand(only_files) {
                return;
            }
        }
    }

    /// Looks at the next entry, and drops it if it has not been used; false if there are none.
    fn pass_hand(&mut self, only_files: bool) -> bool {
        let Some(key) = self.clock.pop_front() else { return false };
        let Some(entry) = self.entries.get_mut(&key) else { return true };
        let is_spared = only_files && entry.resource.files() == 0;
        if std::mem::take(&mut entry.is_used) || is_spared {
            self.clock.push_back(key);
        } else {
            self.forget(&key);
        }
        true
    }

    fn forget(&mut self, key: &[u8]) -> bool {
        let Some(entry) = self.entries.remove(key) else { return false };
        self.bytes -= cost(key, &entry.resource);
        self.files -= entry.resource.files();
        true
    }
}

fn cost(key: &[u8], resource: &Resource) -> usize {
    // The key is shared by the table and the clock; the rest is what both of them need for it.
    key.len() + resource.cost() + 128
}
