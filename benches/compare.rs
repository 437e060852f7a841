//! The comparison of the engines, and the part of docs/performance.md that is made from it: the tables
//! between the markers, and the plots. No figure there is typed by hand.
//!
//! `cargo bench --bench compare` (a few minutes); `cargo bench --bench compare -- --quick` is coarser. What
//! follows `--` is given to `switchboard compare`. `-- --results FILE` takes what `switchboard compare --json
//! FILE --svg docs/compare` has measured before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use switchboard::load::compare::report::{Cell, Comparison, MemoryCell, Row};
use switchboard::load::compare::stats::Estimate;
use switchboard::load::text::{bytes, rate, time};

const BEGIN: &str = "<!-- compare: made by cargo bench --bench compare -->";
const END: &str = "<!-- compare: end -->";

fn main() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    // Cargo itself adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [flag, file] = arguments.as_slice()
        && flag == "--results"
    {
        return fill(&docs, Path::new(file));
    }
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.arg("compare").args(&arguments);
    command.arg("--svg").arg(docs.join("compare")).arg("--json").arg(&json);
    assert!(command.status().unwrap().success(), "the comparison failed");
    fill(&docs, &json);
}

/// Writes what was measured between the markers.
fn fill(docs: &Path, json: &Path) {
    let comparison: Comparison = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert!(!comparison.interrupted, "it was interrupted: docs/performance.md is as it was");
    let path = docs.join("performance.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the marker where the tables begin");
    let (_, after) = rest.split_once(END).expect("the marker where they end");
    fs::write(path, format!("{before}{BEGIN}\n{}{END}{after}", section(&comparison))).unwrap();
}

fn section(comparison: &Comparison) -> String {
    let (mut text, machine) = (String::new(), &comparison.machine);
    let _ = writeln!(
        text,
        "{}: {}, {} cores, {}; scheduling {}; load before {:.2}. Made by `{}`.\n",
        comparison.began,
        machine.cpu,
        machine.cores,
        machine.kernel,
        machine.scheduling,
        machine.load,
        comparison.command
    );
    for name in ["rate", "memory", "latency", "cpu"] {
        let _ = writeln!(text, "![{name}](compare/{name}.svg)\n");
    }
    if let Some(headline) = comparison.headline() {
        let _ = writeln!(text, "{headline}\n");
    }
    let mut notes = Vec::new();
    let names: Vec<&str> = comparison.contestants.iter().map(|one| one.name.as_str()).collect();
    let _ = writeln!(
        text,
        "Rates are medians; below them their ratios to the first column, with the interval (coverage {}).\n",
        comparison.coverage_text()
    );
    head(&mut text, "load", &names);
    comparison
        .rows
        .iter()
        .for_each(|row| line(&mut text, &row.title, &row.cells, |cell| figure(cell, &mut notes)));
    text.push('\n');
    head(&mut text, "p50, p99", &names);
    comparison.rows.iter().for_each(|row| line(&mut text, &row.title, &row.cells, latency));
    text.push('\n');
    head(&mut text, "CPU of the server, switches, each", &names);
    comparison.rows.iter().for_each(|row: &Row| line(&mut text, &row.title, &row.cells, costs));
    text.push('\n');
    if !comparison.memory.is_empty() {
        head(&mut text, "an idle connection: server (PSS), kernel", &names);
    }
    for row in &comparison.memory {
        line(&mut text, &format!("{} held", row.connections), &row.cells, |cell| memory(cell, &mut notes));
    }
    text.push('\n');
    notes.iter().enumerate().for_each(|(at, note)| {
        let _ = writeln!(text, "{}. {note}", at + 1);
    });
    comparison.warnings.iter().for_each(|warning| {
        let _ = writeln!(text, "\n{warning}");
    });
    text
}

fn head(text: &mut String, first: &str, names: &[&str]) {
    let _ = writeln!(text, "| {first} | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
}

fn line<T>(text: &mut String, title: &str, cells: &[T], mut say: impl FnMut(&T) -> String) {
    let cells: Vec<String> = cells.iter().map(&mut say).collect();
    let _ = writeln!(text, "| {title} | {} |", cells.join(" | "));
}

/// Refers to a note that says why there is no figure.
fn none(why: &str, notes: &mut Vec<String>) -> String {
    let known = notes.iter().position(|note| note == why);
    let at = known.unwrap_or_else(|| {
        notes.push(why.to_owned());
        notes.len() - 1
    });
    format!("none ({})", at + 1)
}

fn figure(cell: &Cell, notes: &mut Vec<String>) -> String {
    if let Some(why) = &cell.failure {
        return none(why, notes);
    }
    let ratio = |e: Estimate| {
        let is_itself = (e.low - 1.0).abs() + (e.high - 1.0).abs() < f64::EPSILON;
        if is_itself { String::new() } else { format!("<br>{:.2} ({:.2}-{:.2})", e.median, e.low, e.high) }
    };
    cell.rate.map_or_else(String::new, |e| rate(e.median)) + &cell.ratio.map_or_else(String::new, ratio)
}

fn latency(cell: &Cell) -> String {
    let both = cell.p50_us.zip(cell.p99_us);
    both.map_or_else(String::new, |(p50, p99)| format!("{}, {}", time(p50.median), time(p99.median)))
}

fn costs(cell: &Cell) -> String {
    if cell.failure.is_some() {
        return String::new();
    }
    let cpu = cell.cpu_us.map_or_else(String::new, time);
    cpu + &cell.switches.map_or_else(String::new, |n| format!(", {n:.2}"))
}

fn memory(cell: &MemoryCell, notes: &mut Vec<String>) -> String {
    match (&cell.failure, cell.pss.zip(cell.kernel)) {
        (Some(why), _) => none(why, notes),
        (None, Some((pss, kernel))) => format!("{}, {}", bytes(pss), bytes(kernel)),
        (None, None) => String::new(),
    }
}
