//! HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112): the files of one directory, and listings of it.
//!
//! A request is found (`head`), taken apart (`request`, `fields`, `target`), its body is dropped
//! (`body`), and it is answered (`serve`, `listing`) before the next one is looked at. Where a
//! request could be read in two ways it is refused and the connection closes, so that nothing behind
//! it is ever taken for a request.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Deserialize;

use self::body::Body;
use self::head::Search;
use self::listing::Listing;
use self::refusal::{Refusal, Status};
use self::request::{Exchange, Framing, Request};
use self::root::Root;
use self::serve::{Served, serve};
use super::{Cx, Flow, Handler, Protocol, Why};
use crate::config::duration;
use crate::out::Front;

mod body;
mod fields;
mod head;
mod listing;
mod mime;
mod page;
mod refusal;
mod reply;
mod request;
mod root;
mod serve;
mod target;
#[cfg(test)]
mod tests;

/// What an `http` service may be told.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The directory whose files are served; the current one by default.
    pub root: PathBuf,
    /// The file that stands for its directory, `index.html` by default; none if empty.
    pub index: String,
    /// Whether a directory without an index file is listed, as by default.
    pub listing: bool,
    /// Whether files are served whose names begin with a dot; not by default.
    pub hidden: bool,
    /// How long a request head may take from its first byte to its blank line; 10 s by default.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// How long a connection may pause before a request, how long the body of one may take, and how long
    /// a reader may take nothing of a reply; 75 s by default.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// The root, once it is open. Files that are not to be served although they lie below it, as the
    /// directory of uploads will be, are for [`Root`] to know.
    #[serde(skip)]
    opened: OnceLock<Root>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            root: PathBuf::from("."),
            index: "index.html".to_owned(),
            listing: true,
            hidden: false,
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            opened: OnceLock::new(),
        }
    }
}

impl Options {
    /// The root; it is opened by [`Protocol::prepare`], or when it is first needed.
    fn opened(&self) -> io::Result<&Root> {
        if let Some(root) = self.opened.get() {
            return Ok(root);
        }
        let root = Root::open(&self.root)?;
        Ok(self.opened.get_or_init(|| root))
    }
}

/// A connection; boxed, so that a session stays small.
#[derive(Debug)]
pub struct Http(Box<State>);

/// Small, as thousands of connections may wait for their next request.
#[derive(Debug)]
struct State {
    options: Arc<Options>,
    /// What the current request still needs; none between requests and within a head.
    work: Option<Box<Work>>,
    /// What was owed when the deadline last passed, to tell slow readers from those that have gone.
    owed: u32,
    search: Search,
    /// A head has begun and its deadline runs.
    has_begun: bool,
    /// The connection ends when what has come is answered.
    ending: Option<Why>,
}

const _: () = assert!(size_of::<State>() <= 32);

#[derive(Debug)]
enum Work {
    /// The rest of the body is to be dropped, then the request answered.
    Body(Body, Request),
    /// The rest of the reply is to be sent.
    Listing(Box<Listing>),
}

impl Protocol for Http {
    type Options = Options;

    fn prepare(options: &Options) -> Result<(), String> {
        let explain = |error: io::Error| {
            let error = error.to_string();
            let reason = error.split(" (os error").next().unwrap_or_default();
            format!("cannot serve {}: {reason}", options.root.display())
        };
        options.opened().map(|_| ()).map_err(explain)
    }

    fn new(options: &Arc<Options>) -> Self {
        Self(Box::new(State {
            options: Arc::clone(options),
            work: None,
            owed: 0,
            search: Search::default(),
            has_begun: false,
            ending: None,
        }))
    }
}

impl Handler for Http {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.pause(cx);
        Flow::Continue
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.run(cx)
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.resume(cx)
    }

    fn eof(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.end(Why::PeerDone, cx)
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.expired(cx)
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.end(Why::Shutdown, cx)
    }
}

impl State {
    /// Answers every request that is complete while the output has room. When it is full, another turn
    /// is asked for, so that the pause before the next request begins when the reply is through.
    fn run(&mut self, cx: &mut Cx<'_>) -> Flow {
        while !cx.out.is_full() {
            let stop = match self.work.as_deref_mut() {
                None => self.next(cx),
                Some(Work::Body(..)) => self.body(cx),
                Some(Work::Listing(_)) => Some(Flow::Yield),
            };
            if let Some(flow) = stop {
                return flow;
            }
        }
        Flow::Yield
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        // There is room in the output: the peer reads.
        self.owed = 0;
        match self.work.as_deref_mut() {
            Some(Work::Listing(listing)) => {
                if !listing.resume(cx) {
                    return Flow::Yield;
                }
                let keep = listing.keep();
                self.work = None;
                if let Some(flow) = self.answered(keep, cx) {
                    return flow;
                }
            }
            None if !self.has_begun => self.pause(cx),
            _ => {}
        }
        self.run(cx)
    }

    /// Looks for a request; says what to return if there is none.
    fn next(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        // An empty line before a request is left over from clients that say too much (RFC 9112, 2.2).
        while !self.has_begun && cx.input.rest().starts_with(b"\r\n") {
            cx.input.take(2);
        }
        let rest = cx.input.rest();
        if rest.is_empty() || rest == b"\r" {
            return Some(self.ending.map_or(Flow::Continue, Flow::Finish));
        }
        match self.search.advance(rest) {
            Err(refusal) => Some(refuse(&refusal, rest, cx)),
            Ok(None) => Some(self.incomplete(cx)),
            Ok(Some(length)) => {
                let line = self.search.request_line();
                self.search = Search::default();
                self.has_begun = false;
                let head = cx.input.take(length);
                match Request::parse(head, line) {
                    Err(refusal) => Some(refuse(&refusal, head, cx)),
                    Ok(request) => self.begin(request, cx),
                }
            }
        }
    }

    fn incomplete(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Some(why) = self.ending {
            if why == Why::PeerDone {
                refuse(&Refusal::bad(NO_BLANK_LINE), cx.input.rest(), cx);
            }
            return Flow::Finish(why);
        }
        if !self.has_begun {
            self.has_begun = true;
            *cx.deadline = cx.now.after(self.options.header_timeout);
        }
        Flow::Continue
    }

    fn begin(&mut self, request: Request, cx: &mut Cx<'_>) -> Option<Flow> {
        if request.framing == Framing::Length(0) {
            return self.answer(request, cx);
        }
        if request.expects_continue {
            // Whoever is told no may leave the body out: where the next request begins is not certain.
            if request.wanted.is_err() {
                let exchange = Exchange { keep: false, ..request.exchange };
                return self.answer(Request { exchange, ..request }, cx);
            }
            cx.out.push(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.pause(cx);
        self.work = Some(Box::new(Work::Body(Body::new(request.framing), request)));
        None
    }

    fn body(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        let mut work = self.work.take()?;
        let Work::Body(body, request) = &mut *work else { return None };
        match body.drop_from(&mut cx.input) {
            Err(refusal) => Some(refuse_body(&refusal, request, Why::BadInput, cx)),
            Ok(false) if self.ending == Some(Why::PeerDone) => {
                let refusal = Refusal::bad("the body of the request is shorter than announced");
                Some(refuse_body(&refusal, request, Why::PeerDone, cx))
            }
            Ok(false) => {
                self.work = Some(work);
                Some(self.ending.map_or(Flow::Continue, Flow::Finish))
            }
            Ok(true) => match *work {
                Work::Body(_, request) => self.answer(request, cx),
                Work::Listing(_) => None,
            },
        }
    }

    fn answer(&mut self, request: Request, cx: &mut Cx<'_>) -> Option<Flow> {
        match serve(&self.options, request, cx) {
            Served::Answered { keep } => self.answered(keep, cx),
            Served::Listing(listing) => {
                self.pause(cx);
                self.work = Some(Box::new(Work::Listing(listing)));
                Some(Flow::Yield)
            }
        }
    }

    fn answered(&mut self, keep: bool, cx: &mut Cx<'_>) -> Option<Flow> {
        self.owed = 0;
        self.pause(cx);
        (!keep).then_some(Flow::Finish(Why::Complete))
    }

    /// Nothing more will come, or nothing more is to be begun: what has come is still answered.
    fn end(&mut self, why: Why, cx: &mut Cx<'_>) -> Flow {
        self.ending = Some(why);
        self.run(cx)
    }

    fn pause(&mut self, cx: &mut Cx<'_>) {
        *cx.deadline = cx.now.after(self.options.keep_alive);
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        if !cx.out.is_empty() {
            return self.slow_reader(cx);
        }
        let rest = cx.input.rest();
        match self.work.as_deref() {
            Some(Work::Listing(_)) => {
                self.pause(cx);
                Flow::Continue
            }
            Some(Work::Body(_, request)) => {
                let refusal = timeout("the body of the request has not come");
                refuse_body(&refusal, request, Why::TimedOut, cx)
            }
            None if self.has_begun => {
                refuse(&timeout(NO_BLANK_LINE), rest, cx);
                Flow::Finish(Why::TimedOut)
            }
            None => Flow::Finish(Why::TimedOut),
        }
    }

    /// A reply takes as long as it takes, if anything of it is taken between two deadlines.
    fn slow_reader(&mut self, cx: &mut Cx<'_>) -> Flow {
        let owed = match cx.out.front(&[]) {
            Front::File(range) => range.len,
            Front::Empty | Front::Bytes(..) => cx.out.len() as u64,
        };
        // The lowest bits tell: between two deadlines nobody takes exactly 4 GiB.
        let owed = u32::try_from(owed & u64::from(u32::MAX)).unwrap_or_default();
        if std::mem::replace(&mut self.owed, owed) == owed {
            return Flow::Abort(Why::TimedOut);
        }
        self.pause(cx);
        Flow::Continue
    }
}

const NO_BLANK_LINE: &str = "the blank line that ends the request is missing";

fn timeout(text: &'static str) -> Refusal {
    Refusal::closing(Status::TIMEOUT, text)
}

/// Refuses what `head`, perhaps only the beginning of one, asks for, and closes.
fn refuse(refusal: &Refusal, head: &[u8], cx: &mut Cx<'_>) -> Flow {
    let exchange = Exchange { head_only: head.starts_with(b"HEAD "), minor: 1, keep: false };
    reply::refuse(refusal, exchange, cx);
    Flow::Finish(Why::BadInput)
}

/// Refuses a request whose body is not as it should be, and closes.
fn refuse_body(refusal: &Refusal, request: &Request, why: Why, cx: &mut Cx<'_>) -> Flow {
    reply::refuse(refusal, Exchange { keep: false, ..request.exchange }, cx);
    Flow::Finish(why)
}
