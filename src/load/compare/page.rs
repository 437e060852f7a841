//! The comparison as one page: nothing in it is from elsewhere.

use askama::Template;

use super::plot::{self, Plot};
use super::report::{Cell, Comparison, MemoryCell};
use super::text::{Notes, ratio};
use crate::load::text::{bytes, rate, time};
use crate::start::grouped;

#[derive(Template)]
#[template(path = "compare.html")]
struct Page<'a> {
    comparison: &'a Comparison,
    plots: Vec<Plot>,
    style: &'static str,
    facts: Vec<(&'static str, String)>,
    tables: Vec<Table>,
    notes: Vec<String>,
}

/// A table with a column for each contestant.
struct Table {
    title: String,
    /// A name, and what is in its cells.
    rows: Vec<(String, Vec<Shown>)>,
}

/// What is in a cell.
#[derive(Default)]
struct Shown {
    figure: String,
    beside: String,
    /// The number of a note; 0: none.
    note: usize,
}

impl Shown {
    fn plain(figure: Option<String>) -> Self {
        Self { figure: figure.unwrap_or_default(), ..Self::default() }
    }
}

/// Writes the page.
///
/// # Errors
/// None that are known: it is written to memory.
pub(super) fn of(comparison: &Comparison) -> Result<String, askama::Error> {
    let mut notes = Notes::default();
    let mut tables: Vec<Table> = comparison.rows.iter().map(|row| load(row, &mut notes)).collect();
    tables.extend(comparison.memory.iter().map(|row| {
        let title = format!("Memory of {} idle connections, each", grouped(row.connections.into()));
        let mut column = |value: fn(&MemoryCell) -> Option<f64>| {
            row.cells.iter().map(|cell| held(cell, value(cell), &mut notes)).collect()
        };
        let rows = vec![
            ("server".to_owned(), column(|cell| cell.pss)),
            ("kernel".to_owned(), column(|cell| cell.kernel)),
        ];
        Table { title, rows }
    }));
    let page = Page {
        comparison,
        plots: plot::all(comparison),
        style: plot::STYLE,
        facts: facts(comparison),
        tables,
        notes: notes.0,
    };
    page.render()
}

fn held(cell: &MemoryCell, value: Option<f64>, notes: &mut Notes) -> Shown {
    match &cell.failure {
        Some(why) => Shown { note: notes.number(why), ..Shown::default() },
        None => Shown::plain(value.map(bytes)),
    }
}

fn load(row: &super::report::Row, notes: &mut Notes) -> Table {
    let figures = row.cells.iter().map(|cell| match &cell.failure {
        Some(why) => Shown { note: notes.number(why), ..Shown::default() },
        None => Shown {
            figure: cell.rate.map_or_else(String::new, |r| rate(r.median)),
            beside: ratio(cell),
            note: 0,
        },
    });
    let mut rows = vec![(row.unit.clone(), figures.collect())];
    let mut add = |name: &str, say: &dyn Fn(&Cell) -> Option<String>| {
        let cells = row.cells.iter().map(|cell| Shown::plain(say(cell).filter(|_| cell.failure.is_none())));
        let cells: Vec<Shown> = cells.collect();
        if cells.iter().any(|cell| !cell.figure.is_empty()) {
            rows.push((name.to_owned(), cells));
        }
    };
    add("p50", &|cell| cell.p50_us.map(|estimate| time(estimate.median)));
    add("p99", &|cell| cell.p99_us.map(|estimate| time(estimate.median)));
    add("CPU each", &|cell| cell.cpu_us.map(time));
    add("switches each", &|cell| cell.switches.map(|n| format!("{n:.2}")));
    let mut title = row.title.clone();
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Table { title, rows }
}

fn facts(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let machine = &comparison.machine;
    vec![
        ("Processor", machine.cpu.clone()),
        ("Cores", machine.cores.to_string()),
        ("Kernel", machine.kernel.clone()),
        ("Memory", bytes(crate::load::session::to_f64(machine.memory))),
        ("Files per process", grouped(machine.descriptors)),
        ("Ports to connect from", grouped(machine.ports)),
        ("Threads per user", machine.tasks.map_or_else(|| "any number".to_owned(), grouped)),
        ("Load before", format!("{:.2}", machine.load)),
        ("Scheduling", machine.scheduling.clone()),
        ("Began", format!("{}, took {:.0} s", comparison.began, comparison.seconds)),
        ("Program", comparison.program.clone()),
    ]
}
