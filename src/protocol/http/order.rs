//! The order in which a listing shows what there is: directories first, then by a column.

use std::cmp::{Ordering, Reverse};
use std::time::{SystemTime, UNIX_EPOCH};

use super::listing::Entry;

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
}

/// Where an entry stands among its kind: by the column's value, then by name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    value: u128,
    name: Name,
}

impl Place {
    /// The place of an entry of this name.
    pub(super) fn of(entry: &Entry, name: Vec<u8>, order: Order) -> Self {
        let since = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        let value = match order.column {
            Column::Name => 0,
            Column::Size => entry.size.into(),
            Column::Time => entry.modified.map(|moment| since(moment).as_nanos()).unwrap_or_default(),
        };
        Self { value, name: Name(name) }
    }
}

/// Capital and small letters of ASCII stand together, as people look for them.
#[derive(Debug, PartialEq, Eq)]
struct Name(Vec<u8>);

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let folded = self.0.iter().map(u8::to_ascii_lowercase);
        let by_letters = folded.cmp(other.0.iter().map(u8::to_ascii_lowercase));
        by_letters.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A key that sorts as an order wants.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Directory(Directed),
    File(Directed),
}

/// A place, seen from the front or from the back.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Directed {
    Rising(Place),
    Falling(Reverse<Place>),
}

impl Key {
    /// The key of an entry.
    pub(super) fn new(is_file: bool, place: Place, order: Order) -> Self {
        let directed =
            if order.is_falling { Directed::Falling(Reverse(place)) } else { Directed::Rising(place) };
        if is_file { Self::File(directed) } else { Self::Directory(directed) }
    }

    /// The name of the entry.
    pub(super) fn name(&self) -> &[u8] {
        let (Self::Directory(directed) | Self::File(directed)) = self;
        match directed {
            Directed::Rising(place) | Directed::Falling(Reverse(place)) => &place.name.0,
        }
    }

    /// Whether it is a file.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn sorted(query: &str) -> Vec<String> {
        let order = Order::of(Some(query.as_bytes()));
        let entries =
            [("b", 1, 30), ("A", 2, 20), ("a", 3, 10), ("C", 3, 40), ("dir", 0, 50), ("Dir2", 0, 5)];
        let keys: BTreeSet<Key> = entries
            .into_iter()
            .map(|(name, size, time)| {
                let entry = Entry { size, modified: Some(UNIX_EPOCH + Duration::from_secs(time)) };
                let place = Place::of(&entry, name.into(), order);
                Key::new(!name.to_ascii_lowercase().starts_with("dir"), place, order)
            })
            .collect();
        keys.iter().map(|key| String::from_utf8(key.name().to_vec()).unwrap()).collect()
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
