//! The entries of a directory, sorted without a moment in which all of them are sorted: they come in runs of a
//! few hundred, each is sorted when it is complete, and what is taken is the least of the first of all runs.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::order::{Entry, Moment, Order};

/// Entries of a run: so few that it is sorted at once, so many that there are not too many runs.
pub(super) const RUN: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Runs {
    order: Order,
    /// Not complete, nor sorted.
    open: Run,
    /// None is exhausted.
    sorted: BinaryHeap<Run>,
    /// Bytes of memory in those.
    held: usize,
    len: usize,
}

/// Some entries. Names lie in one piece: two allocations for a run, and none for an entry.
#[derive(Debug)]
struct Run {
    order: Order,
    rows: Vec<Row>,
    names: Vec<u8>,
    /// How many were taken.
    taken: usize,
}

/// An entry, whose name lies elsewhere.
#[derive(Debug, Clone, Copy)]
struct Row {
    size: u64,
    seconds: i64,
    nanoseconds: u32,
    name_at: u32,
    name_len: u16,
    is_file: bool,
}

/// There are many of them.
const _: () = assert!(size_of::<Row>() == 32);

impl Runs {
    /// None yet; they will be taken in this order.
    pub(super) fn new(order: Order) -> Self {
        Self { order, open: Run::new(order), sorted: BinaryHeap::new(), held: 0, len: 0 }
    }

    /// Whether [`Runs::sort`] is due before the next entry.
    pub(super) fn is_full(&self) -> bool {
        self.open.rows.len() >= RUN
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &Entry<'_>) {
        self.open.add(entry);
        self.len += 1;
    }

    /// Sorts those that came since this was last called: before any is taken.
    pub(super) fn sort(&mut self) {
        let mut run = std::mem::replace(&mut self.open, Run::new(self.order));
        if !run.rows.is_empty() {
            run.sort();
            self.held += run.held();
            self.sorted.push(run);
        }
    }

    /// Takes the entry that comes first.
    pub(super) fn take<T>(&mut self, with: impl FnOnce(&Entry<'_>) -> T) -> Option<T> {
        let mut run = self.sorted.peek_mut()?;
        let made = with(&run.first()?);
        self.len -= 1;
        run.taken += 1;
        if run.first().is_none() {
            self.held -= PeekMut::pop(run).held();
        }
        Some(made)
    }

    /// How many there are to be taken.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many of them are not sorted.
    pub(super) fn unsorted(&self) -> usize {
        self.open.rows.len()
    }

    /// Bytes of memory that they take. It becomes less while they are taken.
    pub(super) fn held(&self) -> usize {
        self.held + self.open.held() + self.sorted.capacity() * size_of::<Run>()
    }
}

impl Run {
    fn new(order: Order) -> Self {
        Self { order, rows: Vec::new(), names: Vec::new(), taken: 0 }
    }

    fn add(&mut self, entry: &Entry<'_>) {
        let Entry { name, is_file, size, modified: Moment { seconds, nanoseconds } } = *entry;
        // The kernel has no names longer than 255 bytes, so that neither is ever cut.
        let name_at = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
        self.names.extend_from_slice(name);
        self.rows.push(Row { size, seconds, nanoseconds, name_at, name_len, is_file });
    }

    fn sort(&mut self) {
        let Self { order, rows, names, .. } = self;
        names.shrink_to_fit();
        rows.shrink_to_fit();
        rows.sort_unstable_by(|a, b| order.compare(&a.entry(names), &b.entry(names)));
    }

    fn first(&self) -> Option<Entry<'_>> {
        Some(self.rows.get(self.taken)?.entry(&self.names))
    }

    fn held(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.names.capacity()
    }
}

impl Row {
    fn entry<'a>(&self, names: &'a [u8]) -> Entry<'a> {
        let start = self.name_at as usize;
        Entry {
            name: names.get(start..start + usize::from(self.name_len)).unwrap_or_default(),
            is_file: self.is_file,
            size: self.size,
            modified: Moment { seconds: self.seconds, nanoseconds: self.nanoseconds },
        }
    }
}

/// The greatest is the one whose first entry comes first: a heap gives its greatest.
impl Ord for Run {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.first(), other.first()) {
            (Some(a), Some(b)) => self.order.compare(&b, &a),
            (a, b) => a.is_some().cmp(&b.is_some()),
        }
    }
}

impl PartialOrd for Run {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Run {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Owned = (Vec<u8>, bool, u64, Moment);

    fn entry((name, is_file, size, modified): &Owned) -> Entry<'_> {
        Entry { name, is_file: *is_file, size: *size, modified: *modified }
    }

    /// Names that are all different and share much, few sizes and times, so that many are equal.
    fn entries() -> impl Strategy<Value = Vec<Owned>> {
        let moment = (-2..3_i64, 0..2_u32).prop_map(|(seconds, nanoseconds)| Moment { seconds, nanoseconds });
        let names =
            prop::collection::btree_map("[aAbB\u{e9}_]{1,9}", (any::<bool>(), 0..4_u64, moment), 0..900);
        names.prop_map(|all: BTreeMap<String, _>| {
            let owned =
                |(name, (is_file, size, modified)): (String, _)| (name.into_bytes(), is_file, size, modified);
            all.into_iter().map(owned).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn runs_come_out_as_if_all_had_been_sorted_at_once(all in entries(), seed: u64) {
            let mut shuffled = all;
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            for query in ["", "order=desc", "sort=size", "sort=size&order=desc", "sort=time", "sort=time&order=desc"] {
                let order = Order::of(Some(query.as_bytes()));
                let mut runs = Runs::new(order);
                for owned in &shuffled {
                    if runs.is_full() {
                        runs.sort();
                    }
                    runs.add(&entry(owned));
                }
                runs.sort();
                prop_assert_eq!(runs.len(), shuffled.len());
                prop_assert!(runs.sorted.len() >= shuffled.len() / RUN);
                let mut expected: Vec<_> = shuffled.iter().map(entry).collect();
                expected.sort_by(|a, b| order.compare(a, b));
                for wanted in expected {
                    prop_assert_eq!(runs.take(|got| *got == wanted), Some(true));
                }
                prop_assert_eq!(runs.take(|_| ()), None);
                prop_assert_eq!((runs.len(), runs.held), (0, 0));
            }
        }
    }

    #[test]
    fn an_entry_takes_little_and_leaves_with_its_run() {
        let order = Order::of(None);
        let mut runs = Runs::new(order);
        for i in 0..40 * RUN {
            let name = format!("file {i:06}");
            let modified = Moment { seconds: 1, nanoseconds: 2 };
            runs.add(&Entry { name: name.as_bytes(), is_file: true, size: 1, modified });
            if runs.is_full() {
                runs.sort();
            }
        }
        assert!(runs.held() / runs.len() < 50, "{} bytes for {}", runs.held(), runs.len());
        let all = runs.held();
        for _ in 0..20 * RUN {
            runs.take(|_| ());
        }
        assert!(runs.held() < all * 6 / 10);
    }
}
