//! Files out: a name in, the whole content out, then the end (lab B); or `/get NAME`, answered with the
//! length first, again and again, for receivers that want to be certain.
//!
//! Names are looked up in the sandbox of `http`, and the kernel sends the content. `/list` reads a directory
//! in slices; `/sum` has the [`helper`](crate::helper) read the file, also in slices.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Deserialize;

use self::listing::Listing;
use self::place::{Place, Problem};
use self::sum::Sum;
use super::http::{FoundFile as Found, Root};
use super::line::{Line, LineProtocol, Rules};
use super::{Cx, Flow, Protocol, Why};
use crate::config::duration;
use crate::escape::Escaped;
use crate::framing::{End, Message};
use crate::helper::{Job, Promise};
use crate::limits;
use crate::out::FileRange;

mod listing;
mod place;
mod sum;
#[cfg(test)]
mod tests;

const COMMANDS: &str = "there are /get NAME, /sum NAME and /list [DIRECTORY]";

/// What a `download` service may be told.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The directory whose files are sent; the current one by default.
    pub root: PathBuf,
    /// Whether files are sent whose names begin with a dot; not by default.
    pub hidden: bool,
    /// Whether symbolic links may lead out of the root; not by default.
    pub follow_symlinks: bool,
    /// How long the peer may take no byte of a file; 60 s by default.
    #[serde(with = "duration")]
    pub progress_timeout: Duration,
    #[serde(skip)]
    private: OnceLock<Vec<PathBuf>>,
    #[serde(skip)]
    open: OnceLock<Root>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            root: PathBuf::from("."),
            hidden: false,
            follow_symlinks: false,
            progress_timeout: Duration::from_secs(60),
            private: OnceLock::new(),
            open: OnceLock::new(),
        }
    }
}

impl Options {
    /// The open root.
    fn root(&self) -> std::io::Result<&Root> {
        if let Some(root) = self.open.get() {
            return Ok(root);
        }
        let private = self.private.get().map(Vec::as_slice).unwrap_or_default();
        let root = Root::open(&self.root, self.follow_symlinks, private)?;
        Ok(self.open.get_or_init(|| root))
    }

    fn find(&self, place: &Place) -> Result<Found, Problem> {
        self.root().and_then(|root| root.find(place.path())).map_err(|error| Problem::of(&error))
    }
}

/// The conversation.
#[derive(Debug)]
pub struct Download {
    options: Arc<Options>,
    work: Option<Work>,
    /// Something is being sent, so that the peer must take it in time.
    is_sending: bool,
    /// A command has come: an empty line is no name then.
    has_commands: bool,
}

/// An answer that is not complete.
#[derive(Debug)]
enum Work {
    Listing(Box<Listing>),
    /// Until the helper has read a slice of the file; and what the answer ends with.
    Sum(Promise<Sum>, End),
}

impl Protocol for Line<Download> {
    type Options = Options;

    fn prepare(options: &Options) -> Result<(), String> {
        let explain = |error: std::io::Error| {
            let error = error.to_string();
            let reason = error.split(" (os error").next().unwrap_or_default();
            format!("cannot serve {}: {reason}", options.root.display())
        };
        options.root().map(drop).map_err(explain)
    }

    fn keep_out(options: &Options, private: &[PathBuf]) {
        let _ = options.private.set(private.to_vec());
    }

    fn new(options: &Arc<Options>) -> Self {
        let options = Arc::clone(options);
        Self::new(Download { options, work: None, is_sending: false, has_commands: false })
    }
}

impl LineProtocol for Download {
    fn holds(&self) -> usize {
        if let Some(Work::Listing(listing)) = &self.work { listing.holds() } else { 0 }
    }

    fn rules(&self) -> Rules {
        let quiet = self.is_sending.then_some(self.options.progress_timeout);
        Rules { max_line: limits::DOWNLOAD_LINE, quiet, ..Rules::default() }
    }

    fn message(&mut self, message: &Message<'_>, cx: &mut Cx<'_>) -> Flow {
        let text = &*message.text;
        if text.starts_with(b"/") {
            self.has_commands = true;
            return self.command(text, message.end, cx);
        }
        if text.is_empty() && self.has_commands {
            return Flow::Continue;
        }
        match self.file(text) {
            Ok(range) => {
                self.send(range, cx);
                Flow::Finish(Why::Complete)
            }
            Err(problem) => {
                refuse(text, problem, message.end, cx);
                Flow::Finish(Why::Complete)
            }
        }
    }

    fn is_working(&self) -> bool {
        self.work.is_some()
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        match self.work.take() {
            None => Flow::Continue,
            Some(Work::Listing(listing)) => self.list(listing, cx),
            Some(Work::Sum(promise, end)) => self.summed(&promise, end, cx),
        }
    }

    fn left_over(&mut self) -> Option<Job> {
        match self.work.take() {
            Some(Work::Sum(promise, _)) => Some(Job::of(move || drop(promise))),
            _ => None,
        }
    }

    fn patience(&self) -> Duration {
        self.options.progress_timeout
    }

    /// As long as something of a file is taken between two looks, it may take as long as it takes.
    fn quiet(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.is_sending = !cx.out.is_empty();
        if self.is_sending && !cx.out.has_progressed(limits::PROGRESS) {
            return Flow::Abort(Why::TimedOut);
        }
        Flow::Continue
    }
}

impl Download {
    fn command(&mut self, text: &[u8], end: End, cx: &mut Cx<'_>) -> Flow {
        let blank = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
        let (word, rest) = text.split_at(blank);
        let name = rest.get(1..).unwrap_or_default();
        match word {
            b"/get" => self.get(name, end, cx),
            b"/sum" => return self.sum(name, end, cx),
            b"/list" => return self.begin_list(name, end, cx),
            _ => {
                let word = Escaped::bounded(word, 60);
                cx.out.print(format_args!("error: {word}: no such command; {COMMANDS}"));
                cx.out.push(end.or_lf());
            }
        }
        Flow::Continue
    }

    fn get(&mut self, name: &[u8], end: End, cx: &mut Cx<'_>) {
        match self.file(name) {
            Ok(range) => {
                cx.out.print(format_args!("ok {}", range.len));
                cx.out.push(end.or_lf());
                self.send(range, cx);
            }
            Err(problem) => refuse(name, problem, end, cx),
        }
    }

    fn sum(&mut self, name: &[u8], end: End, cx: &mut Cx<'_>) -> Flow {
        match self.file(name) {
            Ok(range) => self.go_on_with(Sum::new(range), end),
            Err(problem) => {
                refuse(name, problem, end, cx);
                Flow::Continue
            }
        }
    }

    fn go_on_with(&mut self, sum: Sum, end: End) -> Flow {
        let (job, promise) = Job::new(move || sum.read_on());
        self.work = Some(Work::Sum(promise, end));
        Flow::Wait(job)
    }

    fn summed(&mut self, promise: &Promise<Sum>, end: End, cx: &mut Cx<'_>) -> Flow {
        match promise.take() {
            Some(sum) if !sum.is_over() => return self.go_on_with(sum, end),
            Some(sum) => match sum.result() {
                Ok((length, digits)) => cx.out.print(format_args!("ok {length} {digits}")),
                Err(problem) => cx.out.print(format_args!("error: {problem}")),
            },
            None => cx.out.print(format_args!("error: the file could not be read")),
        }
        cx.out.push(end.or_lf());
        Flow::Continue
    }

    fn begin_list(&mut self, name: &[u8], end: End, cx: &mut Cx<'_>) -> Flow {
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let found = if name.is_empty() { Ok(Place::root()) } else { Place::of(name, self.options.hidden) };
        let begun = found.and_then(|place| match self.options.find(&place)? {
            Found::Directory(dir) => Listing::begin(Arc::clone(&self.options), place, &dir, end),
            Found::File(..) | Found::Special => Err(Problem::NO_DIRECTORY),
        });
        match begun {
            Ok(listing) => self.list(Box::new(listing), cx),
            Err(problem) => {
                refuse(name, problem, end, cx);
                Flow::Continue
            }
        }
    }

    fn list(&mut self, mut listing: Box<Listing>, cx: &mut Cx<'_>) -> Flow {
        let is_through = listing.go_on(cx);
        self.starts_sending(cx);
        if is_through {
            return Flow::Continue;
        }
        self.work = Some(Work::Listing(listing));
        Flow::Yield
    }

    fn file(&self, name: &[u8]) -> Result<FileRange, Problem> {
        match self.options.find(&Place::of(name, self.options.hidden)?)? {
            Found::File(file, metadata) => {
                Ok(FileRange { file: Arc::new(file), offset: 0, len: metadata.len() })
            }
            Found::Directory(_) => Err(Problem::DIRECTORY),
            Found::Special => Err(Problem::SPECIAL),
        }
    }

    fn send(&mut self, range: FileRange, cx: &mut Cx<'_>) {
        cx.out.push_file(range);
        self.starts_sending(cx);
    }

    fn starts_sending(&mut self, cx: &mut Cx<'_>) {
        self.is_sending = cx.out.is_full();
        cx.out.mark();
    }
}

fn refuse(name: &[u8], problem: Problem, end: End, cx: &mut Cx<'_>) {
    let name = Escaped::bounded(name, 200);
    cx.out.print(format_args!("error: {name}: {problem}"));
    cx.out.push(end.or_lf());
}
