//! What tells one state of a file from another (RFC 9110, section 8.8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::{Metadata, MetadataExt};

/// Until a file has been left alone for so long, another change could leave all its times as they are.
const YOUTH: Duration = Duration::from_secs(2);

/// Everything of a file's metadata that changes when its content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    /// In bytes.
    pub(super) size: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    /// As `modified`, but the kernel's own: no program can set it back.
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a file that has this metadata.
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The moment of the last modification, to the second as HTTP counts; none before 1970.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.modified.0).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// Whether this was modified in a second before that of the other.
    pub(super) fn is_older_than(&self, other: &Self) -> bool {
        self.modified.0 < other.modified.0
    }

    /// Whether the file may still change without a trace in its times.
    pub(super) fn is_young(&self, now: SystemTime) -> bool {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = i128::from(self.changed.0) * 1_000_000_000 + i128::from(self.changed.1);
        i128::try_from(since.as_nanos()).unwrap_or(i128::MAX) < changed + YOUTH.as_nanos().cast_signed()
    }

    /// The entity tag: a digest, so that it does not tell what the file system looks like inside.
    pub(super) fn etag(&self, is_weak: bool) -> String {
        let numbers = [
            self.device,
            self.inode,
            self.size,
            self.modified.0.cast_unsigned(),
            self.modified.1.cast_unsigned(),
            self.changed.0.cast_unsigned(),
            self.changed.1.cast_unsigned(),
        ];
        let digest = fnv(numbers.iter().flat_map(|number| number.to_le_bytes()));
        format!("{}\"{digest:032x}\"", if is_weak { "W/" } else { "" })
    }
}

/// FNV-1a of 128 bits: the same on every machine and in every run.
fn fnv(bytes: impl Iterator<Item = u8>) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.fold(OFFSET, |digest, byte| (digest ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { device: 1, inode: 2, size: 3, modified: (4, 5), changed: (100, 7) };

    #[test]
    fn the_digest_is_that_of_the_specification() {
        assert_eq!(fnv(b"a".iter().copied()), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn every_part_counts() {
        let others = [
            Stamp { device: 9, ..STAMP },
            Stamp { inode: 9, ..STAMP },
            Stamp { size: 9, ..STAMP },
            Stamp { modified: (9, 5), ..STAMP },
            Stamp { modified: (4, 9), ..STAMP },
            Stamp { changed: (9, 7), ..STAMP },
            Stamp { changed: (100, 9), ..STAMP },
        ];
        for other in others {
            assert_ne!(other.etag(false), STAMP.etag(false), "{other:?}");
        }
        assert!(STAMP.etag(true).starts_with("W/\"") && STAMP.etag(false).len() == 34);
    }

    #[test]
    fn youth_ends_two_seconds_after_the_last_change() {
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        assert!(STAMP.is_young(at(0)) && STAMP.is_young(at(102_000)));
        assert!(!STAMP.is_young(at(102_001)));
    }
}
