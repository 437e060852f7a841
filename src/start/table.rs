//! Aligned columns, as many as fit.

use anstyle::AnsiColor;

use super::Screen;

/// Blanks between columns.
const GAP: usize = 2;

/// How a cell looks where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Name,
    Dim,
    Try,
    Loud,
}

impl Style {
    /// The text in this style.
    pub(super) fn paint(self, text: &str, screen: &Screen) -> String {
        let style = match self {
            Self::Plain => anstyle::Style::new(),
            Self::Name => anstyle::Style::new().bold(),
            Self::Dim => anstyle::Style::new().dimmed(),
            Self::Try => AnsiColor::Cyan.on_default(),
            Self::Loud => AnsiColor::Yellow.on_default().bold(),
        };
        if screen.colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// One cell of a row.
#[derive(Debug)]
pub(super) struct Cell {
    style: Style,
    text: String,
    spanning: bool,
}

impl Cell {
    pub(super) fn new(style: Style, text: impl Into<String>) -> Self {
        Self { style, text: text.into(), spanning: false }
    }

    /// A last cell that takes the rest of the line, whatever the columns are.
    pub(super) fn spanning(self) -> Self {
        Self { spanning: true, ..self }
    }

    fn width(&self) -> usize {
        if self.spanning { 0 } else { self.text.chars().count() }
    }
}

/// The rows of a table.
pub(super) type Rows = Vec<Vec<Cell>>;

/// Lines of aligned cells, each behind `indent`: the first of the layouts that is not too wide for the
/// screen, or else the last.
pub(super) fn render(layouts: impl IntoIterator<Item = Rows>, indent: &str, screen: &Screen) -> String {
    let mut rows = Rows::new();
    for layout in layouts {
        rows = layout;
        if width(&rows) + indent.len() <= screen.columns {
            break;
        }
    }
    let widths = widths(&rows);
    let mut text = String::new();
    for row in &rows {
        text.push_str(indent);
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            text.push_str(&cell.style.paint(&cell.text, screen));
            if at + 1 < row.len() {
                text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + GAP));
            }
        }
        text.push('\n');
    }
    text
}

fn widths(rows: &[Vec<Cell>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(Cell::width).max().unwrap_or(0);
    (0..columns).map(width).collect()
}

fn width(rows: &[Vec<Cell>]) -> usize {
    widths(rows).iter().map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}
