//! The comparison as a table for people.

use std::fmt::{Display, Write as _};

use super::report::{Cell, Comparison, MemoryCell, Row};
use crate::load::text::{bytes, rate, time};
use crate::start::Screen;

/// Width of the column of names, and of each contestant's.
const NAME: usize = 14;
const COLUMN: usize = 22;

/// Notes: why cells have no figure, each said once.
#[derive(Debug, Default)]
pub(super) struct Notes(pub(super) Vec<String>);

impl Notes {
    /// The number of a note.
    pub(super) fn number(&mut self, note: &str) -> usize {
        let known = self.0.iter().position(|old| old == note);
        known.unwrap_or_else(|| {
            self.0.push(note.to_owned());
            self.0.len() - 1
        }) + 1
    }
}

/// Writes it all down.
pub(super) fn of(comparison: &Comparison, screen: &Screen) -> String {
    let mut text = Text { out: String::new(), notes: Notes::default(), colours: screen.colours };
    let machine = &comparison.machine;
    text.line(&format!(
        "{} cores, {}, {}; {}; {:.0} s",
        machine.cores, machine.cpu, machine.kernel, comparison.began, comparison.seconds
    ));
    text.line(&format!(
        "Medians; below a rate, its ratio to the first and the ratio's interval (coverage {}).",
        comparison.coverage_text()
    ));
    let names: Vec<&str> = comparison.contestants.iter().map(|contestant| contestant.name.as_str()).collect();
    comparison.rows.iter().for_each(|row| text.row(row, &names));
    for row in &comparison.memory {
        text.head(
            &format!("memory of {} idle connections, each", crate::start::grouped(row.connections.into())),
            &names,
        );
        text.cells("server, PSS", &row.cells, |cell, notes| memory(cell, cell.pss, notes));
        text.cells("kernel", &row.cells, |cell, notes| memory(cell, cell.kernel, notes));
    }
    text.end(comparison);
    text.out
}

fn memory(cell: &MemoryCell, value: Option<f64>, notes: &mut Notes) -> String {
    cell.failure
        .as_ref()
        .map_or_else(|| value.map_or_else(String::new, bytes), |why| format!("none [{}]", notes.number(why)))
}

/// The ratio and its interval.
pub(super) fn ratio(cell: &Cell) -> String {
    cell.ratio.map_or_else(String::new, |ratio| {
        let is_itself = [ratio.median, ratio.low, ratio.high].iter().all(|x| (x - 1.0).abs() < f64::EPSILON);
        let all = format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.low, ratio.high);
        if is_itself { "1".to_owned() } else { all }
    })
}

struct Text {
    out: String,
    notes: Notes,
    colours: bool,
}

impl Text {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.out, "{}", line.trim_end());
    }

    fn head(&mut self, title: &str, names: &[&str]) {
        let (on, off) = if self.colours { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let _ = writeln!(self.out, "\n{on}{title}{off}");
        self.columns("", names);
    }

    fn cells<T>(&mut self, name: &str, cells: &[T], say: impl Fn(&T, &mut Notes) -> String) {
        let said: Vec<String> = cells.iter().map(|cell| say(cell, &mut self.notes)).collect();
        if said.iter().any(|cell| !cell.is_empty()) {
            self.columns(&format!("  {name}"), &said);
        }
    }

    fn columns(&mut self, name: &str, cells: &[impl Display]) {
        let line = cells.iter().fold(format!("{name:NAME$}"), |line, cell| format!("{line}{cell:>COLUMN$}"));
        self.line(&line);
    }

    fn row(&mut self, row: &Row, names: &[&str]) {
        self.head(&row.title, names);
        self.cells(&row.unit, &row.cells, |cell, notes| match (&cell.failure, &cell.rate) {
            (Some(why), _) => format!("none [{}]", notes.number(why)),
            (None, Some(estimate)) => rate(estimate.median),
            (None, None) => String::new(),
        });
        self.cells("", &row.cells, |cell, _| ratio(cell));
        let estimate =
            |value: Option<super::stats::Estimate>| value.map_or_else(String::new, |e| time(e.median));
        self.cells("p50", &row.cells, |cell, _| estimate(cell.p50_us));
        self.cells("p99", &row.cells, |cell, _| estimate(cell.p99_us));
        let shown = |cell: &Cell, value: Option<f64>| value.filter(|_| cell.failure.is_none());
        self.cells("CPU each", &row.cells, |cell, _| shown(cell, cell.cpu_us).map_or_else(String::new, time));
        self.cells("switches each", &row.cells, |cell, _| {
            shown(cell, cell.switches).map_or_else(String::new, |n| format!("{n:.2}"))
        });
    }

    fn end(&mut self, comparison: &Comparison) {
        let notes = std::mem::take(&mut self.notes.0);
        if !notes.is_empty() {
            self.line("");
        }
        for (at, note) in notes.iter().enumerate() {
            self.line(&format!("[{}] {note}", at + 1));
        }
        for warning in &comparison.warnings {
            self.line(&format!("\nnote: {warning}"));
        }
    }
}
