//! The order in which a listing shows what there is: directories first, then by a column.

use std::cmp::Ordering;

/// What entries are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Size,
    Time,
}

impl Column {
    /// As a query has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Time => "time",
        }
    }
}

/// A column and a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: Column,
    pub(super) is_falling: bool,
}

impl Order {
    /// What a query asks for, as `sort=size&order=desc`; what it does not say, and what makes no sense,
    /// is names from the first to the last.
    pub(super) fn of(query: Option<&[u8]>) -> Self {
        let mut order = Self { column: Column::Name, is_falling: false };
        for part in query.unwrap_or_default().split(|b| *b == b'&') {
            match part {
                b"sort=name" => order.column = Column::Name,
                b"sort=size" => order.column = Column::Size,
                b"sort=time" => order.column = Column::Time,
                b"order=asc" => order.is_falling = false,
                b"order=desc" => order.is_falling = true,
                _ => {}
            }
        }
        order
    }

    /// Which of two entries is shown first. No two are equal that have different names.
    pub(super) fn compare(self, a: &Entry<'_>, b: &Entry<'_>) -> Ordering {
        let by_value = match self.column {
            Column::Name => Ordering::Equal,
            Column::Size => a.size.cmp(&b.size),
            Column::Time => a.modified.cmp(&b.modified),
        };
        let rising = by_value.then_with(|| compare_names(a.name, b.name));
        // Folders come first in either direction.
        a.is_file.cmp(&b.is_file).then(if self.is_falling { rising.reverse() } else { rising })
    }
}

/// What is shown of a file or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    pub(super) is_file: bool,
    /// In bytes; 0 for a directory.
    pub(super) size: u64,
    pub(super) modified: Moment,
}

/// Seconds since 1970, which may be negative, and nanoseconds: as the file system has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

/// Capital and small letters of ASCII stand together, as people look for them.
fn compare_names(a: &[u8], b: &[u8]) -> Ordering {
    let folded = a.iter().map(u8::to_ascii_lowercase);
    folded.cmp(b.iter().map(u8::to_ascii_lowercase)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(query: &str) -> Vec<&'static str> {
        let order = Order::of(Some(query.as_bytes()));
        let mut entries =
            [("b", 1, 30), ("A", 2, -20), ("a", 3, -30), ("C", 3, 40), ("dir", 0, 50), ("Dir2", 0, 5)].map(
                |(name, size, seconds): (&'static str, u64, i64)| Entry {
                    name: name.as_bytes(),
                    is_file: !name.to_ascii_lowercase().starts_with("dir"),
                    size,
                    modified: Moment { seconds, nanoseconds: 0 },
                },
            );
        entries.sort_by(|a, b| order.compare(a, b));
        entries.iter().map(|entry| std::str::from_utf8(entry.name).unwrap()).collect()
    }

    #[test]
    fn directories_come_first_in_every_order() {
        for (query, expected) in [
            ("", "dir Dir2 A a b C"),
            ("order=desc", "Dir2 dir C b a A"),
            ("sort=size", "dir Dir2 b A a C"),
            ("sort=size&order=desc", "Dir2 dir C a A b"),
            ("sort=time&order=asc", "Dir2 dir a A b C"),
            ("sort=time&order=desc", "dir Dir2 C b A a"),
            ("sort=magic&order=sideways&x", "dir Dir2 A a b C"),
        ] {
            assert_eq!(sorted(query).join(" "), expected, "{query}");
        }
    }
}
