//! The comparison as a table for people.

use std::fmt::{Display, Write as _};

use super::report::{Cell, Comparison, MemoryCell, Row};
use crate::load::text::{bytes, rate, time};
use crate::start::Screen;

/// Width of the column of names.
const NAME: usize = 15;
/// Width of each contestant's: at the most, with a ratio and its interval side by side, and at the least.
const WIDE: usize = 22;
const SIDE_BY_SIDE: usize = 18;
const NARROW: usize = 12;

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
    let each = screen.columns.saturating_sub(NAME + 1) / comparison.contestants.len().max(1);
    let mut text = Text {
        out: String::new(),
        notes: Notes::default(),
        colours: screen.colours,
        column: each.clamp(NARROW, WIDE),
    };
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
    if let Some(headline) = comparison.headline() {
        text.line(&headline);
    }
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
    /// Width of a contestant's column.
    column: usize,
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
        let width = self.column;
        let line = cells.iter().fold(format!("{name:NAME$}"), |line, cell| format!("{line}{cell:>width$}"));
        self.line(&line);
    }

    fn row(&mut self, row: &Row, names: &[&str]) {
        self.head(&row.title, names);
        self.cells(&row.unit, &row.cells, |cell, notes| match (&cell.failure, &cell.rate) {
            (Some(why), _) => format!("none [{}]", notes.number(why)),
            (None, Some(estimate)) => rate(estimate.median),
            (None, None) => String::new(),
        });
        if self.column >= SIDE_BY_SIDE {
            self.cells("", &row.cells, |cell, _| ratio(cell));
        } else {
            let part = |at: usize| {
                move |cell: &Cell, _: &mut Notes| {
                    ratio(cell).split(' ').nth(at).unwrap_or_default().trim_matches(['(', ')']).to_owned()
                }
            };
            self.cells("ratio", &row.cells, part(0));
            self.cells("interval", &row.cells, part(1));
        }
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

#[cfg(test)]
mod tests {
    use super::super::report::Contestant;
    use super::super::stats::Estimate;
    use super::*;

    #[test]
    fn four_contestants_fit_on_a_terminal_of_eighty_columns() {
        let names = ["reactor", "threads", "processes", "iterative"];
        let ratio = Estimate { median: 0.5, low: 0.25, high: 0.75, confidence: 0.96, samples: 7 };
        let cells = |name: &str| Cell {
            contestant: name.to_owned(),
            rate: Some(Estimate { median: 1_234_567.0, ..ratio }),
            ratio: Some(ratio),
            ..Cell::default()
        };
        let contestant = |name: &str| Contestant { name: name.to_owned(), ..Contestant::default() };
        let row = Row { unit: "deliveries".to_owned(), cells: names.map(cells).into(), ..Row::default() };
        let contestants = names.map(contestant).into();
        let comparison = Comparison { contestants, rows: vec![row], ..Comparison::default() };
        let screen = |columns| Screen { columns, colours: false };
        let narrow = of(&comparison, &screen(80));
        let table = narrow.lines().skip(3);
        assert!(table.clone().all(|line| line.chars().count() < 80), "{narrow}");
        assert!(narrow.contains("  ratio ") && narrow.contains(" 0.25-0.75"), "{narrow}");
        assert!(of(&comparison, &screen(200)).contains("0.50 (0.25-0.75)"));
    }
}
