//! Files in: a name, a line end, then the content until the sender is done (lab A); or `/put LENGTH NAME`
//! and so many bytes, again and again, for senders that want to be certain.
//!
//! The content is gathered in memory and written by the [`helper`](crate::helper), a bounded piece at a
//! time; while it writes, nothing is read, so that TCP tells the sender to wait. A file gets its name when
//! it is whole and safe on the disk, never before (`transfer`).

use std::path::Path;
use std::sync::Arc;

use memchr::memchr;

use self::line::{Command, Line};
use self::store::Permit;
use self::transfer::{Refusal, Stored, Transfer};
use super::collect::connected_by;
use super::{Cx, Flow, Handler, Protocol, Why};
use crate::escape::Escaped;
use crate::helper::{Job, Promise};
use crate::limits;
use crate::time::Time;

mod line;
pub(crate) mod name;
mod options;
mod store;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;

pub use options::{OnConflict, Options};

/// A connection; boxed, so that a session stays small.
#[derive(Debug)]
pub struct Upload(Box<State>);

#[derive(Debug)]
struct State {
    options: Arc<Options>,
    stage: Stage,
    /// Bytes of the waiting input known to hold no line end.
    scanned: usize,
    /// A `/put` has come: from here on there are commands only.
    has_put: bool,
    /// Nothing more will come, or nothing more is to be begun.
    ending: Option<Why>,
}

#[derive(Debug)]
enum Stage {
    /// The next line is awaited.
    Line,
    /// Content comes.
    Content(Incoming),
    /// The helper is at work for it.
    Waiting(Promise<Outcome>, About),
    /// So much is to be dropped of a file that was refused: `None` for all that comes.
    Skip(Option<u64>),
}

/// The file that comes.
#[derive(Debug)]
struct Incoming {
    about: About,
    buffer: Vec<u8>,
    to: Destination,
}

/// What is known of a file without looking at the disk.
#[derive(Debug)]
struct About {
    name: String,
    /// Bytes that are still to come; `None` if the end of the input ends it.
    left: Option<u64>,
    /// Bytes that came.
    size: u64,
}

/// Where content goes; a file is made only when there is something to write.
#[derive(Debug)]
enum Destination {
    Allowed(Permit),
    Begun(Box<Transfer>),
}

/// What the helper has done.
#[derive(Debug)]
enum Outcome {
    /// All is written; the buffer can be used again.
    Written(Box<Transfer>, Vec<u8>),
    Stored(Stored),
    Refused(Refusal),
}

impl Protocol for Upload {
    type Options = Options;

    fn prepare(options: &Options) -> Result<(), String> {
        options.prepare()
    }

    fn private(options: &Options) -> Option<&Path> {
        Some(&options.dir)
    }

    fn is_once(options: &Options) -> bool {
        options.once
    }

    fn new(options: &Arc<Options>) -> Self {
        let options = Arc::clone(options);
        Self(Box::new(State { options, stage: Stage::Line, scanned: 0, has_put: false, ending: None }))
    }
}

impl Handler for Upload {
    fn turn_away(&mut self, refusal: crate::access::Refusal, cx: &mut Cx<'_>) -> Flow {
        super::line::refuse(refusal, cx)
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.run(cx)
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.job_done(cx).unwrap_or_else(|| self.0.run(cx))
    }

    fn eof(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.ending = Some(Why::PeerDone);
        self.0.run(cx)
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.expired(cx)
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.drain(cx)
    }

    fn left_over(&mut self) -> Option<Job> {
        match std::mem::replace(&mut self.0.stage, Stage::Line) {
            Stage::Content(Incoming { to: Destination::Begun(transfer), .. }) => {
                Some(Job::of(move || drop(transfer)))
            }
            Stage::Waiting(promise, _) => Some(Job::of(move || drop(promise))),
            _ => None,
        }
    }
}

impl State {
    /// Goes on until it must wait for something. When the output is full, another turn is asked for.
    fn run(&mut self, cx: &mut Cx<'_>) -> Flow {
        while !cx.out.is_full() {
            let stop = match &mut self.stage {
                Stage::Line => self.line(cx),
                Stage::Content(_) => self.content(cx),
                Stage::Skip(_) => self.skip(cx),
                Stage::Waiting(..) => Some(Flow::Continue),
            };
            if let Some(flow) = stop {
                return flow;
            }
        }
        Flow::Yield
    }

    /// Looks for a line: a name, or a command.
    fn line(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        // Who types has ended the content with a line end, perhaps.
        while self.has_put && matches!(cx.input.rest(), [b'\n', ..] | [b'\r', b'\n', ..]) {
            let length = cx.input.rest().iter().position(|b| *b == b'\n').map_or(1, |at| at + 1);
            cx.input.take(length);
            self.scanned = 0;
        }
        let rest = cx.input.rest();
        let found = memchr(b'\n', rest.get(self.scanned..).unwrap_or_default());
        let Some(at) = found.map(|at| at + self.scanned) else { return Some(self.no_line(cx)) };
        self.scanned = 0;
        let line = cx.input.take(at + 1);
        self.act_on(line, cx)
    }

    fn act_on(&mut self, line: &[u8], cx: &mut Cx<'_>) -> Option<Flow> {
        match Line::read(line) {
            Line::Http => Some(super::line::refuse_http(cx)),
            Line::Command(Ok(put)) => {
                self.has_put = true;
                self.put(&put, cx)
            }
            Line::Command(Err(problem)) => Some(complain(problem, cx)),
            Line::Name(_) if self.has_put => Some(complain(
                "behind the content of a /put comes another /put or the end; is LENGTH right?",
                cx,
            )),
            Line::Name(name) => {
                self.begin(name, None, cx);
                None
            }
        }
    }

    /// A file of a length that is known: whoever announces too much is not listened to.
    fn put(&mut self, put: &Command<'_>, cx: &mut Cx<'_>) -> Option<Flow> {
        let max = self.options.max_file;
        if put.length > max.as_u64() {
            let name = Escaped::bounded(put.name, name::LONGEST);
            cx.out.print(format_args!(
                "error: {name}: a file may have {} bytes at the most; closing\n",
                max.as_u64()
            ));
            return Some(Flow::Finish(Why::BadInput));
        }
        self.begin(put.name, Some(put.length), cx);
        None
    }

    fn begin(&mut self, name: &[u8], left: Option<u64>, cx: &mut Cx<'_>) {
        self.keep_going(cx);
        let store = self.options.store();
        let admitted = match (name::problem(name), std::str::from_utf8(name)) {
            (None, Ok(name)) => store
                .admit()
                .map(|permit| (name, permit))
                .ok_or("as many files are coming as may at once (max_concurrent); try again later"),
            (problem, _) => Err(problem.unwrap_or_default()),
        };
        match admitted {
            Ok((name, permit)) => {
                let about = About { name: name.to_owned(), left, size: 0 };
                let to = Destination::Allowed(permit);
                self.stage = Stage::Content(Incoming { about, buffer: Vec::new(), to });
            }
            Err(problem) => {
                self.refuse(&Escaped::bounded(name, name::LONGEST).to_string(), problem, left, cx);
            }
        }
    }

    /// Takes content; hands it to the helper when there is enough of it, or no more.
    fn content(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        let Stage::Content(incoming) = &mut self.stage else { return None };
        let max_file = self.options.max_file.as_u64();
        incoming.take(cx);
        let about = &incoming.about;
        if about.size > max_file {
            let problem = format!("a file may have {max_file} bytes at the most");
            let (name, left) = (about.name.clone(), about.left);
            let flow = self.give_up(cx);
            self.refuse(&name, &problem, left, cx);
            return flow;
        }
        let at_end = cx.input.rest().is_empty().then_some(self.ending).flatten();
        match (about.left, at_end) {
            (Some(0), _) | (None, Some(Why::PeerDone)) => Some(self.write(true, cx)),
            (Some(left), Some(Why::PeerDone)) => {
                let (all, came) = (about.size + left, about.size);
                let problem = format!("only {came} of {all} bytes came; nothing is saved");
                Some(self.end_early(&problem, Why::PeerDone, cx))
            }
            (None, Some(why)) => Some(self.end_early("the server is stopping; nothing is saved", why, cx)),
            _ if incoming.buffer.len() >= limits::UPLOAD_CHUNK => Some(self.write(false, cx)),
            _ => {
                self.keep_going(cx);
                Some(Flow::Continue)
            }
        }
    }

    /// Has the helper write what came, and give the file its name if that was all.
    fn write(&mut self, is_last: bool, cx: &mut Cx<'_>) -> Flow {
        let Stage::Content(incoming) = std::mem::replace(&mut self.stage, Stage::Line) else {
            return Flow::Continue;
        };
        let Incoming { about, buffer, to } = incoming;
        let name = about.name.clone();
        let (job, promise) = Job::new(move || store(to, buffer, &name, is_last));
        self.stage = Stage::Waiting(promise, about);
        // However slow the disk is, that is not the sender's fault.
        *cx.deadline = Time::NEVER;
        Flow::Wait(job)
    }

    /// The helper is done: goes on with the same file, or answers.
    fn job_done(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        if !matches!(self.stage, Stage::Waiting(..)) {
            return None;
        }
        let Stage::Waiting(promise, about) = std::mem::replace(&mut self.stage, Stage::Line) else {
            return None;
        };
        match promise.take() {
            Some(Outcome::Written(transfer, buffer)) => {
                let to = Destination::Begun(transfer);
                self.stage = Stage::Content(Incoming { about, buffer, to });
                self.keep_going(cx);
                None
            }
            Some(Outcome::Stored(stored)) => self.stored(&about, &stored, cx),
            Some(Outcome::Refused(problem)) => {
                self.refuse(&about.name, &problem, about.left, cx);
                None
            }
            None => Some(complain("the server could not store the file", cx)),
        }
    }

    fn stored(&self, about: &About, stored: &Stored, cx: &mut Cx<'_>) -> Option<Flow> {
        let Stored { size, sum, name } = stored;
        cx.out.print(format_args!("stored {size} {sum} {name}"));
        if *name != about.name {
            cx.out.print(format_args!("\t({} was there already)", about.name));
        }
        cx.out.push(b"\n");
        cx.shared.show(&format!("Stored {name}, {size} bytes, from {}", cx.peer), b"");
        if self.options.once {
            cx.shared.stop();
        }
        about.left.is_none().then_some(Flow::Finish(Why::Complete))
    }

    /// Says why a file is not stored. What is still to come of it is dropped, so that what comes behind it
    /// is understood, and so that who sends it gets to the answer.
    fn refuse(&mut self, name: &str, problem: &str, left: Option<u64>, cx: &mut Cx<'_>) {
        cx.out.print(format_args!("error: {name}: {problem}\n"));
        self.stage = Stage::Skip(left);
    }

    fn skip(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        let Stage::Skip(left) = &mut self.stage else { return None };
        let length = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let dropped = cx.input.take(length).len() as u64;
        *left = left.map(|left| left.saturating_sub(dropped));
        if *left == Some(0) {
            *cx.deadline = Time::NEVER;
            self.stage = Stage::Line;
            return None;
        }
        self.keep_going(cx);
        Some(self.ending.map_or(Flow::Continue, |_| Flow::Finish(Why::BadInput)))
    }

    /// There is no line end so far: that is fine, unless it goes on for ever or nothing more will come.
    fn no_line(&mut self, cx: &mut Cx<'_>) -> Flow {
        let rest = cx.input.rest();
        self.scanned = rest.len();
        if rest.len() > limits::UPLOAD_LINE {
            return complain("the first line is the file's name, and this one has no end", cx);
        }
        match self.ending {
            None => Flow::Continue,
            Some(why) if rest.is_empty() || why == Why::Shutdown => Flow::Finish(why),
            Some(_) if self.has_put => complain("the last line has no end", cx),
            Some(why) => {
                show_message(cx);
                Flow::Finish(why)
            }
        }
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        match self.stage {
            Stage::Content(_) | Stage::Skip(_) => {
                let pause = self.options.progress_timeout;
                self.end_early(&format!("nothing came for {pause:?}; nothing is saved"), Why::TimedOut, cx)
            }
            Stage::Line | Stage::Waiting(..) => Flow::Continue,
        }
    }

    /// What has a length may still come, within the grace. What only the end of the input could end may
    /// not: an engine may have to make such an end to stop.
    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.ending = self.ending.or(Some(Why::Shutdown));
        self.run(cx)
    }

    /// The connection ends before its file does.
    fn end_early(&mut self, problem: &str, why: Why, cx: &mut Cx<'_>) -> Flow {
        if let Stage::Content(incoming) = &self.stage {
            cx.out.print(format_args!("error: {}: {problem}\n", incoming.about.name));
        }
        Flow::Finish(why)
    }

    /// Lets go of a file whose content still comes.
    fn give_up(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        let job = match std::mem::replace(&mut self.stage, Stage::Line) {
            Stage::Content(Incoming { to: Destination::Begun(transfer), .. }) => {
                Job::of(move || drop(transfer))
            }
            _ => return None,
        };
        *cx.deadline = Time::NEVER;
        Some(Flow::Wait(job))
    }

    /// The sender has a while to say more.
    fn keep_going(&self, cx: &mut Cx<'_>) {
        *cx.deadline = cx.now.after(self.options.progress_timeout);
    }
}

impl Incoming {
    /// Takes as much of the input as belongs to the file and fits.
    fn take(&mut self, cx: &mut Cx<'_>) {
        let room = limits::UPLOAD_CHUNK.saturating_sub(self.buffer.len());
        let left = self.about.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = cx.input.take(room.min(left));
        self.buffer.extend_from_slice(bytes);
        self.about.size += bytes.len() as u64;
        self.about.left = self.about.left.map(|left| left.saturating_sub(bytes.len() as u64));
    }
}

/// What the helper does: makes the file if that was not done, writes, and gives it its name at the end.
fn store(to: Destination, mut buffer: Vec<u8>, name: &str, is_last: bool) -> Outcome {
    let begun = match to {
        Destination::Allowed(permit) => Transfer::begin(permit, name).map(Box::new),
        Destination::Begun(transfer) => Ok(transfer),
    };
    let written = begun.and_then(|mut transfer| transfer.write(&buffer).map(|()| transfer));
    match written {
        Ok(transfer) if is_last => transfer.publish(name).map_or_else(Outcome::Refused, Outcome::Stored),
        Ok(transfer) => {
            buffer.clear();
            Outcome::Written(transfer, buffer)
        }
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// All that came has no line end: a message of a lab, or a file whose name nobody can tell from its content.
fn show_message(cx: &mut Cx<'_>) {
    let message = cx.input.take_all();
    cx.shared.show(&connected_by(cx.peer), message);
    cx.out.print(format_args!(
        "shown, not saved: {} bytes without a line end are a message; a file is its name, a line end, its content\n",
        message.len()
    ));
}

/// Says what is wrong, and closes: what comes next cannot be told for certain.
fn complain(problem: &str, cx: &mut Cx<'_>) -> Flow {
    cx.out.print(format_args!("error: {problem}; closing\n"));
    Flow::Finish(Why::BadInput)
}
