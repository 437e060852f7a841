//! A directory as JSON: `{"path", "entries": [{"name", "href", "type", "size", "modified"}], "complete"}`.

use percent_encoding::percent_encode;
use serde_json::{Value, json};

use super::order::Entry;
use super::page::second;
use super::target::{NAME, Target};

/// All up to the first entry.
pub(super) fn top(target: &Target) -> String {
    let path = Value::from(String::from_utf8_lossy(&target.shown()));
    format!("{{\"path\":{path},\"entries\":[")
}

/// An entry. The name of a file need not be UTF-8: `href` has it exactly.
pub(super) fn row(entry: &Entry<'_>, is_first: bool) -> String {
    let (comma, slash) = (if is_first { "" } else { "," }, if entry.is_file { "" } else { "/" });
    let row = json!({
        "name": String::from_utf8_lossy(entry.name),
        "href": format!("{}{slash}", percent_encode(entry.name, NAME)),
        "type": if entry.is_file { "file" } else { "directory" },
        "size": entry.is_file.then_some(entry.size),
        "modified": second(entry.modified),
    });
    format!("{comma}\n{row}")
}

/// All behind the last entry.
pub(super) fn bottom(is_cut: bool) -> String {
    format!("\n],\"complete\":{}}}\n", !is_cut)
}
