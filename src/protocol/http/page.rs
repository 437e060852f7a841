//! What stands on the page of a directory; the template escapes it.

use askama::Template;
use jiff::Timestamp;
use percent_encoding::percent_encode;

use super::order::{Column, Entry, Moment, Order};
use super::target::{NAME, Target};
use crate::escape::is_hidden;
use crate::limits;

/// The page up to its first row.
#[derive(Debug, Template)]
#[template(path = "listing.html", block = "top")]
pub(super) struct Top {
    title: String,
    crumbs: Vec<Crumb>,
    /// The directory itself; the root has no name.
    here: String,
    columns: Vec<Heading>,
}

/// A directory above this one.
#[derive(Debug)]
struct Crumb {
    href: String,
    name: String,
}

/// The heading of a column: a link that sorts by it, the other way if it is sorted by it already.
#[derive(Debug)]
struct Heading {
    label: &'static str,
    column: &'static str,
    order: &'static str,
    /// For `aria-sort`; empty if the page is sorted by another column.
    sorted: &'static str,
}

impl Top {
    /// The top of the page of a directory.
    pub(super) fn new(target: &Target, order: Order) -> Self {
        let names: Vec<&[u8]> = target.names().collect();
        let up = |levels: usize| "../".repeat(levels);
        let (here, above) =
            names.split_last().map_or((String::new(), &[][..]), |(last, above)| (shown(last), above));
        let crumb = |(at, name): (usize, &&[u8])| Crumb { href: up(above.len() - at), name: shown(name) };
        let mut crumbs = Vec::with_capacity(names.len());
        if !names.is_empty() {
            crumbs.push(Crumb { href: up(names.len()), name: "Home".to_owned() });
        }
        crumbs.extend(above.iter().enumerate().map(crumb));
        let columns = [(Column::Name, "Name"), (Column::Size, "Size"), (Column::Time, "Modified")];
        Self {
            title: shown(&target.shown()),
            crumbs,
            here,
            columns: columns.map(|(column, label)| Heading::new(column, label, order)).into(),
        }
    }

    /// Where one level up is; none at the root.
    fn parent(&self) -> bool {
        !self.crumbs.is_empty()
    }
}

impl Heading {
    fn new(column: Column, label: &'static str, order: Order) -> Self {
        let is_sorted = column == order.column;
        let sorted = match (is_sorted, order.is_falling) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        };
        // The largest and the latest are what people look for first.
        let falls = if is_sorted { !order.is_falling } else { column != Column::Name };
        Self { label, column: column.name(), order: if falls { "desc" } else { "asc" }, sorted }
    }
}

/// Some rows of the page.
#[derive(Debug, Template)]
#[template(path = "listing.html", block = "rows")]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
}

/// The page from its last row on.
#[derive(Debug, Template)]
#[template(path = "listing.html", block = "bottom")]
pub(super) struct Bottom {
    pub(super) sums: Summary,
}

/// What a directory has in all.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) directories: usize,
    pub(super) files: usize,
    /// In all files.
    pub(super) bytes: u64,
    /// There are more entries than are shown.
    pub(super) is_cut: bool,
}

impl Sums {
    /// Counts an entry.
    pub(super) fn add(&mut self, is_file: bool, size: u64) {
        let count = if is_file { &mut self.files } else { &mut self.directories };
        *count += 1;
        self.bytes = self.bytes.saturating_add(size);
    }

    /// How many entries there are.
    pub(super) fn entries(&self) -> usize {
        self.directories + self.files
    }
}

/// The same in words.
#[derive(Debug)]
pub(super) struct Summary {
    text: String,
    /// How many entries are shown, if there are more.
    limit: Option<usize>,
    /// There are times on the page.
    has_times: bool,
}

impl Summary {
    /// `1 folder, 3 files, 1.5 MiB`.
    pub(super) fn of(sums: &Sums) -> Self {
        let count = |n: usize, word: &str| match n {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        };
        let size = (sums.files > 0).then(|| human(sums.bytes));
        let parts = [count(sums.directories, "folder"), count(sums.files, "file"), size];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let text = if text.is_empty() { "This folder is empty".to_owned() } else { text };
        Self { text, limit: sums.is_cut.then_some(limits::LISTING_ENTRIES), has_times: sums.entries() > 0 }
    }
}

/// A row: a file or a directory.
#[derive(Debug)]
pub(super) struct Row {
    href: String,
    name: String,
    is_file: bool,
    size: String,
    modified: String,
    /// For machines; empty if it has none that can be said.
    datetime: String,
}

impl Row {
    /// The row of an entry.
    pub(super) fn new(entry: &Entry<'_>) -> Self {
        let Entry { name, is_file, size, modified } = *entry;
        let slash = if is_file { "" } else { "/" };
        let datetime = second(modified).unwrap_or_default();
        Self {
            href: format!("{}{slash}", percent_encode(name, NAME)),
            name: format!("{}{slash}", shown(name)),
            is_file,
            size: if is_file { human(size) } else { String::new() },
            modified: datetime.get(..16).unwrap_or_default().replace('T', " "),
            datetime,
        }
    }
}

impl Row {
    /// `2026-11-21`.
    fn day(&self) -> &str {
        self.modified.get(..10).unwrap_or_default()
    }

    /// `01:07`; a phone has no room for it.
    fn clock(&self) -> &str {
        self.modified.get(11..).unwrap_or_default()
    }
}

/// A name as it can be shown: neither control characters nor such as turn or hide text.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.chars().map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `2026-11-21T01:07:09Z`; none for a year that does not have four digits, or that HTML does not know (0).
pub(super) fn second(moment: Moment) -> Option<String> {
    /// The year 1 begins.
    const YEAR_1: i64 = -62_135_596_800;
    let moment = Timestamp::from_second(moment.seconds).ok().filter(|moment| moment.as_second() >= YEAR_1)?;
    Some(moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// `512 B`, `1.5 KiB`, `20.0 GiB`.
fn human(size: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let (mut tenths, mut unit) = (size.saturating_mul(10) / 1024, "KiB");
    for larger in UNITS.into_iter().skip(1) {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (size, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024, "1.0 MiB"),
            (20 * 1024 * 1024 * 1024, "20.0 GiB"),
        ] {
            assert_eq!(human(size), expected);
        }
        assert!(human(u64::MAX).ends_with("PiB"));
    }

    #[test]
    fn links_cannot_leave_their_place() {
        let modified = Moment { seconds: -1, nanoseconds: 0 };
        let entry = |name, is_file| Entry { name, is_file, size: 1, modified };
        let row = Row::new(&entry(b"javascript:a?b#c%2f\xff\\ d", true));
        assert_eq!(row.href, "javascript%3Aa%3Fb%23c%252f%FF%5C%20d");
        assert_eq!((row.size.as_str(), row.modified.as_str()), ("1 B", "1969-12-31 23:59"));
        assert_eq!(Row::new(&entry("a\u{202e}b\n".as_bytes(), false)).name, "a\u{fffd}b\u{fffd}/");
    }

    #[test]
    fn moments_are_said_as_far_as_they_can_be() {
        for (seconds, expected) in [
            (0, Some("1970-01-01T00:00:00Z")),
            (-1, Some("1969-12-31T23:59:59Z")),
            (-62_135_596_800, Some("0001-01-01T00:00:00Z")),
            (-62_135_596_801, None),
            (253_402_207_200, Some("9999-12-30T22:00:00Z")),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(second(Moment { seconds, nanoseconds: 0 }).as_deref(), expected, "{seconds}");
        }
    }

    #[test]
    fn crumbs_lead_up() {
        let order = Order::of(None);
        let top = Top::new(&Target::parse(b"/a/b%20b/c/").unwrap(), order);
        let crumbs: Vec<_> =
            top.crumbs.iter().map(|crumb| (crumb.href.as_str(), crumb.name.as_str())).collect();
        assert_eq!(crumbs, [("../../../", "Home"), ("../../", "a"), ("../", "b b")]);
        assert_eq!(top.here, "c");
        assert!(Top::new(&Target::default(), order).crumbs.is_empty());
    }

    #[test]
    fn sums_are_said_in_words() {
        let text =
            |directories, files, bytes| Summary::of(&Sums { directories, files, bytes, is_cut: false }).text;
        assert_eq!(text(0, 0, 0), "This folder is empty");
        assert_eq!(text(1, 2, 1536), "1 folder, 2 files, 1.5 KiB");
        assert_eq!(text(2, 0, 0), "2 folders");
    }
}
