//! Where a conversation is shown and typed: a terminal with a line editor, or a pipe.
//!
//! On a terminal what is heard is printed above the line being typed, by the editor itself, so that neither
//! can garble the other. The [`Gate`] says when.

use std::io::{BufRead, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::ExternalPrinter;

use super::super::Error;
use super::super::output::Output;
use super::editor::{self, Editor};
use super::gate::Gate;
use super::quiet::Quiet;
use super::{Event, Tell};
use crate::start;

/// Longest line read from a pipe, in bytes; a longer one is said in pieces.
const LONGEST: u64 = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Screen {
    colours: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Plain,
    Edited(Box<Edited>),
}

struct Edited {
    gate: Arc<Gate>,
    /// Until the editing ends.
    quiet: Mutex<Option<Quiet>>,
    editor: Mutex<Option<Editor>>,
    printer: Mutex<Box<dyn ExternalPrinter + Send>>,
}

impl std::fmt::Debug for Edited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edited").field("gate", &self.gate).finish_non_exhaustive()
    }
}

impl Screen {
    /// A line editor where both input and output are a terminal that can have one, else plain lines.
    pub fn open() -> Self {
        let colours = start::Screen::of(&std::io::stdout()).colours;
        let both = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let gate = Arc::default();
        let edited = if both { editor::open(colours, &gate).ok() } else { None };
        let kind = edited.map_or(Kind::Plain, |(editor, printer)| {
            let (editor, printer) = (Mutex::new(Some(editor)), Mutex::new(printer));
            let quiet = Mutex::new(Quiet::begin());
            Kind::Edited(Box::new(Edited { gate, quiet, editor, printer }))
        });
        Self { colours, kind }
    }

    /// Whether what is typed is edited and stays on the screen.
    pub fn is_edited(&self) -> bool {
        matches!(self.kind, Kind::Edited(_))
    }

    /// Whether text may have colours.
    pub fn has_colours(&self) -> bool {
        self.colours
    }

    /// Tells a person, and no pipe, what is going on.
    pub(super) fn announce(&self, text: &str) {
        if self.is_edited() {
            let style = if self.colours { anstyle::Style::new().dimmed() } else { anstyle::Style::new() };
            // A terminal that is gone ends the conversation in another way.
            let _ = self.print(format!("{style}{text}{style:#}\n"));
        }
    }

    /// The last thing that is announced, unless whoever types has left already; whatever was printed before
    /// is on the screen when this returns.
    pub(super) fn say_farewell(&self, text: &str) {
        if let Kind::Edited(edited) = &self.kind
            && !edited.gate.has_ended()
        {
            self.announce(text);
            edited.gate.wait_until_seen();
        }
    }

    /// Shows lines, each with its line feed.
    ///
    /// # Errors
    /// Nobody reads them any more, or the disk is full.
    pub(super) fn print(&self, lines: String) -> Result<(), Error> {
        let lines = match &self.kind {
            Kind::Plain => lines,
            Kind::Edited(edited) => match edited.print(lines) {
                None => return Ok(()),
                Some(lines) => lines,
            },
        };
        Output::new().write(lines.as_bytes())
    }

    /// Reads what is typed until it ends, a quit word is typed, or nobody wants to know any more.
    pub(super) fn read(&self, is_quit: &dyn Fn(&str) -> bool, tell: &mut Tell<'_>) {
        match &self.kind {
            Kind::Plain => read_lines(tell),
            Kind::Edited(edited) => edited.read(is_quit, tell),
        }
    }

    /// Ends the editing, whatever has been typed so far, and gives the terminal back as it was. What is
    /// printed from now on is written at once.
    pub(super) fn stop_editing(&self) {
        if let Kind::Edited(edited) = &self.kind {
            edited.gate.stop();
            edited.quiet.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

/// Reads lines of a pipe, or of a terminal that has no editor.
fn read_lines(tell: &mut Tell<'_>) {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let event = match std::io::Read::take(&mut input, LONGEST).read_until(b'\n', &mut line) {
            Ok(0) => Event::TypingEnded,
            Ok(_) => {
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                Event::Typed(String::from_utf8_lossy(line).into_owned())
            }
            Err(error) => Event::TypingFailed(Error::File { what: "reading the input".into(), error }),
        };
        let over = !matches!(event, Event::Typed(_));
        if !tell(event) || over {
            return;
        }
    }
}

impl Edited {
    fn read(&self, is_quit: &dyn Fn(&str) -> bool, tell: &mut Tell<'_>) {
        let editor = self.editor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut editor) = editor {
            while self.gate.begin_line() {
                let event = editor.read_line();
                self.gate.end_line();
                let over = !matches!(&event, Some(Event::Typed(typed)) if !typed.lines().any(is_quit));
                let heard = event.is_none_or(&mut *tell);
                if over || !heard {
                    break;
                }
            }
        }
        self.gate.end();
    }

    /// Has the editor print; gives back what it cannot print any more.
    fn print(&self, lines: String) -> Option<String> {
        if !self.gate.enter() {
            return Some(lines);
        }
        let mut printer = self.printer.lock().unwrap_or_else(PoisonError::into_inner);
        // It fails when the editor has ended meanwhile; then it has not taken the lines.
        let taken = printer.print(lines.clone()).is_ok();
        drop(printer);
        self.gate.leave();
        if taken {
            return None;
        }
        self.gate.wait_until_done();
        Some(lines)
    }
}
