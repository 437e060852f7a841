//! HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112): the files of one directory, and listings of it.
//!
//! A request is found (`head`), taken apart (`request`, `fields`, `target`), its body is dropped
//! (`body`), and it is answered (`serve`) before the next one is looked at: with a file (`resource`,
//! `send`), most often from the `cache`, or with a `listing`. Where a request could be read in two ways it
//! is refused and the connection closes, so that nothing behind it is ever taken for a request.

use std::sync::Arc;
use std::time::Duration;

use self::access::Said;
use self::body::Body;
use self::head::{Found, Search};
use self::listing::Listing;
use self::refusal::{Refusal, Status};
use self::reply::Sent;
use self::request::{Exchange, Framing, Request};
use self::serve::{Served, again, serve};
use super::{Cx, Flow, Handler, Protocol, Why};
use crate::limits;

mod access;
mod body;
mod cache;
mod coding;
mod conditions;
mod fields;
mod head;
mod json;
mod listing;
mod mime;
mod options;
mod order;
mod page;
mod ranges;
mod refusal;
mod repeat;
mod reply;
mod request;
mod resource;
mod root;
mod send;
mod serve;
mod site;
mod target;
#[cfg(test)]
mod tests;
mod validators;

pub use options::Options;

/// A connection; boxed, so that a session stays small.
#[derive(Debug)]
pub struct Http(Box<State>);

/// Small, as thousands of connections may wait for their next request.
#[derive(Debug)]
struct State {
    options: Arc<Options>,
    /// What the current request still needs; none between requests and within a head.
    work: Option<Box<Work>>,
    search: Search,
    /// A head has begun and its deadline runs.
    has_begun: bool,
    /// The deadline that runs is that of a reply.
    is_replying: bool,
    /// The connection ends when what has come is answered.
    ending: Option<Why>,
}

const _: () = assert!(size_of::<State>() <= 32);

#[derive(Debug)]
enum Work {
    /// The rest of the body is to be dropped, then the request answered.
    Body(Body, Waiting),
    /// The rest of the reply is to be sent, then what was asked noted.
    Listing(Box<Listing>, Option<Said<'static>>),
}

/// A request that waits for the end of its body: its head, to be taken apart again.
#[derive(Debug)]
struct Waiting {
    head: Box<[u8]>,
    /// Length of the request line.
    line: usize,
    exchange: Exchange,
}

impl Protocol for Http {
    type Options = Options;

    fn prepare(options: &Options) -> Result<(), String> {
        options.prepare()
    }

    fn new(options: &Arc<Options>) -> Self {
        Self(Box::new(State {
            options: Arc::clone(options),
            work: None,
            search: Search::default(),
            has_begun: false,
            is_replying: false,
            ending: None,
        }))
    }
}

impl Handler for Http {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        *cx.deadline = cx.now.after(self.0.options.first_byte_timeout);
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

    fn patience(&self) -> Duration {
        self.0.options.progress_timeout
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.end(Why::Shutdown, cx)
    }

    fn closed(&mut self, cx: &mut Cx<'_>, _why: Why) {
        // Its reader has gone in the middle of it.
        if let Some(Work::Listing(listing, Some(said))) = self.0.work.as_deref() {
            said.note(listing.sent(), &self.0.options, cx);
        }
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
                Some(Work::Listing(..)) => Some(Flow::Yield),
            };
            if let Some(flow) = stop {
                return flow;
            }
        }
        Flow::Yield
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        match self.work.as_deref_mut() {
            Some(Work::Listing(listing, _)) => {
                let is_through = listing.resume(cx);
                self.reply(cx);
                if !is_through {
                    return Flow::Yield;
                }
                if let Some(flow) = self.listed(cx) {
                    return flow;
                }
            }
            None if !self.has_begun => self.pause(cx),
            _ => {}
        }
        self.run(cx)
    }

    /// A listing is queued to its end.
    fn listed(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        let Some(Work::Listing(listing, said)) = self.work.take().map(|work| *work) else { return None };
        if let Some(said) = said {
            said.note(listing.sent(), &self.options, cx);
        }
        self.answered(listing.keep(), cx)
    }

    /// Looks for a request; says what to return if there is none.
    fn next(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        // An empty line before a request is left over from clients that say too much (RFC 9112, 2.2).
        while !self.has_begun && matches!(cx.input.rest(), [b'\r', b'\n', ..]) {
            cx.input.take(2);
        }
        let rest = cx.input.rest();
        if matches!(rest, [] | [b'\r']) {
            return Some(self.ending.map_or(Flow::Continue, Flow::Finish));
        }
        if !self.has_begun
            && let Some((length, sent)) = again(&self.options, rest, cx)
        {
            let head = cx.input.take(length);
            self.note(head, sent, cx);
            return self.answered(true, cx);
        }
        match self.search.advance(rest) {
            Err(refusal) => Some(self.refuse(&refusal, rest, cx)),
            Ok(None) => Some(self.incomplete(cx)),
            Ok(Some(Found { length, line, parsed })) => {
                self.search = Search::default();
                self.has_begun = false;
                let head = cx.input.take(length);
                match Request::parse(head, line, parsed) {
                    Err(refusal) => Some(self.refuse(&refusal, head, cx)),
                    Ok(mut request) => self.begin((head, line), &mut request, cx),
                }
            }
        }
    }

    fn incomplete(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Some(why) = self.ending {
            if why == Why::PeerDone {
                self.refuse(&Refusal::bad(NO_BLANK_LINE), cx.input.rest(), cx);
            }
            return Flow::Finish(why);
        }
        if !self.has_begun {
            self.has_begun = true;
            self.is_replying = false;
            *cx.deadline = cx.now.after(self.options.header_timeout);
        }
        Flow::Continue
    }

    fn begin(
        &mut self,
        (head, line): (&[u8], usize),
        request: &mut Request<'_>,
        cx: &mut Cx<'_>,
    ) -> Option<Flow> {
        request.exchange.cors = self.options.cors;
        if request.framing == Framing::Length(0) {
            return self.answer(head, request, cx);
        }
        if request.expects_continue {
            // Whoever is told no may leave the body out: where the next request begins is not certain.
            if request.wanted().is_err() {
                request.exchange.keep = false;
                return self.answer(head, request, cx);
            }
            cx.out.push(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.is_replying = false;
        *cx.deadline = cx.now.after(self.options.body_timeout);
        let waiting = Waiting { head: head.into(), line, exchange: request.exchange };
        self.work = Some(Box::new(Work::Body(Body::new(request.framing), waiting)));
        None
    }

    fn body(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        let mut work = self.work.take()?;
        let Work::Body(body, waiting) = &mut *work else { return None };
        match body.drop_from(&mut cx.input) {
            Err(refusal) => Some(self.refuse_body(&refusal, waiting, Why::BadInput, cx)),
            Ok(false) if self.ending == Some(Why::PeerDone) => {
                let refusal = Refusal::bad("the body of the request is shorter than announced");
                Some(self.refuse_body(&refusal, waiting, Why::PeerDone, cx))
            }
            Ok(false) => {
                self.work = Some(work);
                Some(self.ending.map_or(Flow::Continue, Flow::Finish))
            }
            Ok(true) => match Request::parse(&waiting.head, waiting.line, None) {
                Ok(mut request) => {
                    request.exchange = waiting.exchange;
                    self.answer(&waiting.head, &request, cx)
                }
                Err(refusal) => Some(self.refuse_body(&refusal, waiting, Why::BadInput, cx)),
            },
        }
    }

    fn answer(&mut self, head: &[u8], request: &Request<'_>, cx: &mut Cx<'_>) -> Option<Flow> {
        match serve(&self.options, head, request, cx) {
            Served::Answered { keep, sent } => {
                self.note(head, sent, cx);
                self.answered(keep, cx)
            }
            Served::Listing(listing) => {
                let said = access::is_on(&self.options).then(|| Said::by(head).kept());
                self.reply(cx);
                self.work = Some(Box::new(Work::Listing(listing, said)));
                Some(Flow::Yield)
            }
        }
    }

    /// Writes a line into the access log, if there is one.
    fn note(&self, head: &[u8], sent: Sent, cx: &Cx<'_>) {
        if access::is_on(&self.options) {
            Said::by(head).note(sent, &self.options, cx);
        }
    }

    fn answered(&mut self, keep: bool, cx: &mut Cx<'_>) -> Option<Flow> {
        self.reply(cx);
        (!keep).then_some(Flow::Finish(Why::Complete))
    }

    /// Nothing more will come, or nothing more is to be begun: what has come is still answered.
    fn end(&mut self, why: Why, cx: &mut Cx<'_>) -> Flow {
        self.ending = Some(why);
        self.run(cx)
    }

    /// The pause before a request begins.
    fn pause(&mut self, cx: &mut Cx<'_>) {
        self.is_replying = false;
        *cx.deadline = cx.now.after(self.options.keep_alive);
    }

    /// A reply is being sent. Nearly all are through before anything else happens: then the deadline is
    /// that of the pause.
    fn reply(&mut self, cx: &mut Cx<'_>) {
        if !cx.out.is_full() && self.work.is_none() {
            return self.pause(cx);
        }
        self.is_replying = true;
        cx.out.mark();
        *cx.deadline = cx.now.after(self.options.progress_timeout);
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        if !cx.out.is_empty() {
            return self.slow_reader(cx);
        }
        let rest = cx.input.rest();
        match self.work.as_deref() {
            Some(Work::Listing(..)) => {
                self.reply(cx);
                Flow::Continue
            }
            Some(Work::Body(_, waiting)) => {
                let refusal = timeout("the body of the request has not come");
                self.refuse_body(&refusal, waiting, Why::TimedOut, cx)
            }
            None if self.has_begun => {
                self.refuse(&timeout(NO_BLANK_LINE), rest, cx);
                Flow::Finish(Why::TimedOut)
            }
            None => Flow::Finish(Why::TimedOut),
        }
    }

    /// A reply takes as long as it takes, if enough of it is taken between two deadlines. One that fits
    /// into the output was not expected to wait, so that it gets one such time first.
    fn slow_reader(&mut self, cx: &mut Cx<'_>) -> Flow {
        let has_progressed = cx.out.has_progressed(limits::PROGRESS);
        if self.is_replying && !has_progressed {
            return Flow::Abort(Why::TimedOut);
        }
        self.is_replying = true;
        *cx.deadline = cx.now.after(self.options.progress_timeout);
        Flow::Continue
    }

    /// Refuses what `head`, perhaps only the beginning of one, asks for, and closes.
    fn refuse(&self, refusal: &Refusal, head: &[u8], cx: &mut Cx<'_>) -> Flow {
        let head_only = head.starts_with(b"HEAD ");
        let exchange = Exchange { head_only, minor: 1, keep: false, cors: self.options.cors };
        let sent = reply::refuse(refusal, exchange, cx);
        self.note(head, sent, cx);
        Flow::Finish(Why::BadInput)
    }

    /// Refuses a request whose body is not as it should be, and closes.
    fn refuse_body(&self, refusal: &Refusal, waiting: &Waiting, why: Why, cx: &mut Cx<'_>) -> Flow {
        let sent = reply::refuse(refusal, Exchange { keep: false, ..waiting.exchange }, cx);
        self.note(&waiting.head, sent, cx);
        Flow::Finish(why)
    }
}

const NO_BLANK_LINE: &str = "the blank line that ends the request is missing";

fn timeout(text: &'static str) -> Refusal {
    Refusal::closing(Status::TIMEOUT, text)
}
