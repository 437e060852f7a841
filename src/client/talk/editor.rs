//! The line editor of a terminal: history, and every key that people know from their shell.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, Config, ExternalPrinter, Helper, Prompt};

use super::super::Error;
use super::gate::Gate;
use super::{Event, signals};

/// Lines remembered.
const HISTORY: usize = 1000;

/// See the module.
pub(super) struct Editor {
    inner: rustyline::Editor<Accepting, MemHistory>,
    gate: Arc<Gate>,
    /// Ctrl-C between two lines.
    interrupted: Arc<AtomicBool>,
}

/// An editor on the terminal, and what prints above the line being typed.
///
/// # Errors
/// The terminal cannot be edited on.
pub(super) fn open(
    colours: bool,
    gate: &Arc<Gate>,
) -> Result<(Editor, Box<dyn ExternalPrinter + Send>), ReadlineError> {
    let mode = if colours { ColorMode::Enabled } else { ColorMode::Disabled };
    let config =
        Config::builder().color_mode(mode).max_history_size(HISTORY)?.history_ignore_space(false).build();
    let mut inner = rustyline::Editor::with_history(config, MemHistory::new())?;
    let printer = inner.create_external_printer()?;
    let interrupted = signals::note_interrupts()?;
    inner.set_helper(Some(Accepting { gate: Arc::clone(gate) }));
    Ok((Editor { inner, gate: Arc::clone(gate), interrupted }, Box::new(printer)))
}

impl Editor {
    /// Reads a line; `None` when it was told to stop.
    pub(super) fn read_line(&mut self) -> Option<Event> {
        if self.interrupted.swap(false, Ordering::Relaxed) && !self.gate.is_stopping() {
            return Some(Event::Interrupted);
        }
        let read = self.inner.readline(&Marker { gate: &self.gate });
        if self.gate.is_stopping() {
            return None;
        }
        Some(match read {
            Ok(typed) => {
                // An empty line or the same one again is not remembered, which is no failure.
                let _ = self.inner.add_history_entry(typed.as_str());
                Event::Typed(typed)
            }
            Err(ReadlineError::Eof) => Event::TypingEnded,
            Err(ReadlineError::Interrupted) => Event::Interrupted,
            Err(ReadlineError::Io(error)) => failed(error),
            Err(error) => failed(io::Error::other(error.to_string())),
        })
    }
}

fn failed(error: io::Error) -> Event {
    Event::TypingFailed(Error::File { what: "reading the terminal".into(), error })
}

/// What stands before the line being typed. The editor asks for it whenever it draws the line: once it has
/// put the terminal into its mode, and after each thing that it has printed.
struct Marker<'a> {
    gate: &'a Gate,
}

impl Prompt for Marker<'_> {
    fn raw(&self) -> &'static str {
        self.gate.drawn();
        "> "
    }

    fn styled(&self) -> &'static str {
        self.gate.drawn();
        "\x1b[1m> \x1b[0m"
    }
}

/// Hears of the Enter key before the editor acts on it.
struct Accepting {
    gate: Arc<Gate>,
}

impl Validator for Accepting {
    fn validate(&self, _: &mut ValidationContext<'_>) -> Result<ValidationResult, ReadlineError> {
        self.gate.accept_line();
        Ok(ValidationResult::Valid(None))
    }
}

impl Helper for Accepting {}
impl Highlighter for Accepting {}
impl Hinter for Accepting {
    type Hint = String;
}
impl Completer for Accepting {
    type Candidate = String;
}
