//! HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112): the files of one directory, and listings of it.
//!
//! A request is found (`head`), taken apart (`request`, `fields`, `target`), its body is dropped
//! (`body`), and it is answered (`serve`) before the next one is looked at: with a file (`resource`,
//! `send`), most often from the `cache`, or with a `listing`. Where a request could be read in two ways it
//! is refused and the connection closes, so that nothing behind it is ever taken for a request.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::access::Said;
use self::body::Body;
use self::head::{Found, Search};
use self::refusal::{Refusal, Status};
use self::reply::Sent;
use self::request::{Exchange, Framing, Request};
use self::serve::{AtOnce, Served, at_once, serve};
use self::stage::{Marks, Stage, Waiting, Work};
use super::{Cx, Flow, Handler, Protocol, Why};
use crate::journal::is_stdout;
use crate::limits;

mod accept;
mod access;
mod body;
mod cache;
mod coding;
mod conditions;
mod contents;
mod fields;
mod head;
mod json;
mod listing;
mod mime;
mod options;
mod order;
mod ordinary;
mod page;
pub(in crate::protocol) mod plain;
mod ranges;
mod refusal;
pub(in crate::protocol) mod reply;
mod request;
mod reserve;
mod resource;
mod root;
mod runs;
mod send;
mod serve;
mod site;
mod stage;
mod target;
#[cfg(test)]
mod tests;
mod today;
mod validators;
mod whole;
mod words;

pub use options::Options;
pub(super) use root::{Found as FoundFile, Root};

/// A connection.
#[derive(Debug)]
pub struct Http(Stage);

/// Takes the head apart that `bytes` begin with, as a connection does, and gives its length; none if it is not
/// whole or would be refused. For benches: what the parser costs alone.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    if let Some((length, _)) = ordinary::parse(bytes, &mut fields::Fields::default()) {
        return Some(length);
    }
    let found = Search::default().advance(bytes).ok()??;
    Request::parse(bytes.get(..found.length)?, found.line, found.parsed).ok()?;
    Some(found.length)
}

impl Protocol for Http {
    type Options = Options;

    fn prepare(options: &Options) -> Result<(), String> {
        options.prepare()
    }

    fn private(options: &Options) -> Option<&Path> {
        options.access_log.as_deref().filter(|path| !is_stdout(path))
    }

    fn keep_out(options: &Options, private: &[PathBuf]) {
        let _ = options.private.set(private.to_vec());
    }

    fn takes_banner() -> bool {
        false
    }

    fn does(options: &Options) -> Option<&'static str> {
        (!options.listing).then_some("files of a directory, without listings")
    }

    fn new(options: &Arc<Options>) -> Self {
        Self(Stage::new(options))
    }
}

impl Handler for Http {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        *cx.deadline = cx.now.after(self.0.options().first_byte_timeout);
        Flow::Continue
    }

    fn turn_away(&mut self, refusal: crate::access::Refusal, cx: &mut Cx<'_>) -> Flow {
        reply::turn_away(refusal, cx)
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.run(cx)
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Some(Work::Listing(listing, _)) = self.0.work() {
            let is_through = listing.resume(cx);
            self.reply(cx);
            if !is_through {
                return Flow::Yield;
            }
            if let Some(flow) = self.listed(cx) {
                return flow;
            }
        } else if !self.has_begun() && self.0.work().is_none() {
            self.pause(cx);
        }
        self.run(cx)
    }

    fn eof(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.end(Why::PeerDone, cx)
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        if !cx.out.is_empty() {
            return self.slow_reader(cx);
        }
        let has_begun = self.has_begun();
        match self.0.work() {
            Some(Work::Listing(..)) => {
                self.reply(cx);
                Flow::Continue
            }
            Some(Work::Body(..)) => {
                let refusal = timeout("the body of the request has not come");
                self.refuse_body(&refusal, Why::TimedOut, cx)
            }
            None if has_begun => {
                self.refuse(&timeout(NO_BLANK_LINE), cx.input.rest(), cx);
                Flow::Finish(Why::TimedOut)
            }
            None => Flow::Finish(Why::TimedOut),
        }
    }

    fn patience(&self) -> Duration {
        self.0.options().progress_timeout
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.end(Why::Shutdown, cx)
    }

    fn holds(&self) -> usize {
        self.0.holds()
    }

    fn closed(&mut self, cx: &mut Cx<'_>, _why: Why) {
        // Its reader has gone in the middle of it.
        if let Some(Work::Listing(listing, Some(said))) = self.0.finish() {
            said.note(listing.sent(), self.0.options(), cx);
        }
    }
}

impl Http {
    /// Answers every request that is complete while the output has room. When it is full, another turn
    /// is asked for, so that the pause before the next request begins when the reply is through.
    fn run(&mut self, cx: &mut Cx<'_>) -> Flow {
        while !cx.out.is_full() {
            let stop = match self.0.work() {
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

    /// A listing is queued to its end.
    fn listed(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        let Some(Work::Listing(listing, said)) = self.0.finish() else { return None };
        if let Some(said) = said {
            said.note(listing.sent(), self.0.options(), cx);
        }
        self.answered(listing.keep(), cx)
    }

    /// Looks for a request; says what to return if there is none.
    fn next(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        // An empty line before a request is left over from clients that say too much (RFC 9112, 2.2).
        while !self.has_begun() && matches!(cx.input.rest(), [b'\r', b'\n', ..]) {
            cx.input.take(2);
        }
        let rest = cx.input.rest();
        if matches!(rest, [] | [b'\r']) {
            return Some(self.0.progress().ending.map_or(Flow::Continue, Flow::Finish));
        }
        if !self.has_begun() {
            let AtOnce { answered, more } = at_once(self.0.options(), cx);
            if let Some((head, sent)) = answered {
                self.note(head, sent, cx);
                self.reply(cx);
            }
            if let Some((head, mut request)) = more {
                return self.begin(head, &mut request, cx);
            }
            if answered.is_some() {
                return None;
            }
        }
        match self.0.progress().search.advance(rest) {
            Err(refusal) => Some(self.refuse(&refusal, rest, cx)),
            Ok(None) => Some(self.incomplete(cx)),
            Ok(Some(Found { length, line, parsed })) => {
                self.0.progress().search = Search::default();
                self.mark(Marks::BEGUN, false);
                let head = cx.input.take(length);
                match Request::parse(head, line, parsed) {
                    Err(refusal) => Some(self.refuse(&refusal, head, cx)),
                    Ok(mut request) => self.begin(head, &mut request, cx),
                }
            }
        }
    }

    fn incomplete(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Some(why) = self.0.progress().ending {
            if why == Why::PeerDone {
                self.refuse(&Refusal::bad(NO_BLANK_LINE), cx.input.rest(), cx);
            }
            return Flow::Finish(why);
        }
        if !self.has_begun() {
            self.mark(Marks::BEGUN, true);
            self.mark(Marks::REPLYING, false);
            *cx.deadline = cx.now.after(self.0.options().header_timeout);
        }
        Flow::Continue
    }

    fn begin(&mut self, head: &[u8], request: &mut Request<'_>, cx: &mut Cx<'_>) -> Option<Flow> {
        request.exchange.cors = self.0.options().cors;
        if request.framing == Framing::Length(0) {
            request.exchange.keep &= !is_last(cx);
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
        self.mark(Marks::REPLYING, false);
        *cx.deadline = cx.now.after(self.0.options().body_timeout);
        let waiting = Waiting { head: head.into(), exchange: request.exchange };
        self.0.begin(Work::Body(Body::new(request.framing), waiting));
        None
    }

    fn body(&mut self, cx: &mut Cx<'_>) -> Option<Flow> {
        let Some(Work::Body(body, _)) = self.0.work() else { return None };
        let dropped = body.drop_from(&mut cx.input);
        let ending = self.0.progress().ending;
        match dropped {
            Err(refusal) => Some(self.refuse_body(&refusal, Why::BadInput, cx)),
            Ok(false) if ending == Some(Why::PeerDone) => {
                let refusal = Refusal::bad("the body of the request is shorter than announced");
                Some(self.refuse_body(&refusal, Why::PeerDone, cx))
            }
            Ok(false) => Some(ending.map_or(Flow::Continue, Flow::Finish)),
            Ok(true) => {
                let Some(Work::Body(_, waiting)) = self.0.finish() else { return None };
                match waiting.request() {
                    Ok(mut request) => {
                        request.exchange = waiting.exchange;
                        request.exchange.keep &= !is_last(cx);
                        self.answer(&waiting.head, &request, cx)
                    }
                    Err(refusal) => Some(self.refuse(&refusal, &waiting.head, cx)),
                }
            }
        }
    }

    fn answer(&mut self, head: &[u8], request: &Request<'_>, cx: &mut Cx<'_>) -> Option<Flow> {
        match serve(self.0.options(), request, cx) {
            Served::Answered { keep, sent } => {
                self.note(head, sent, cx);
                self.answered(keep, cx)
            }
            Served::Listing(listing) => {
                let said = access::is_on(self.0.options()).then(|| Said::by(head).kept());
                self.reply(cx);
                self.0.begin(Work::Listing(listing, said));
                Some(Flow::Yield)
            }
        }
    }

    /// Writes a line into the access log, if there is one.
    fn note(&self, head: &[u8], sent: Sent, cx: &Cx<'_>) {
        if access::is_on(self.0.options()) {
            Said::by(head).note(sent, self.0.options(), cx);
        }
    }

    fn answered(&mut self, keep: bool, cx: &mut Cx<'_>) -> Option<Flow> {
        self.reply(cx);
        (!keep).then_some(Flow::Finish(Why::Complete))
    }

    /// Nothing more will come, or nothing more is to be begun: what has come is still answered.
    fn end(&mut self, why: Why, cx: &mut Cx<'_>) -> Flow {
        self.0.progress().ending = Some(why);
        self.run(cx)
    }

    /// The pause before a request begins.
    fn pause(&mut self, cx: &mut Cx<'_>) {
        self.mark(Marks::REPLYING, false);
        *cx.deadline = cx.now.after(self.0.options().keep_alive);
    }

    /// A reply is being sent. Nearly all are through before anything else happens: then the deadline is
    /// that of the pause.
    fn reply(&mut self, cx: &mut Cx<'_>) {
        if !cx.out.is_full() && self.0.work().is_none() {
            return self.pause(cx);
        }
        self.mark(Marks::REPLYING, true);
        cx.out.mark();
        *cx.deadline = cx.now.after(self.0.options().progress_timeout);
    }

    /// A reply takes as long as it takes, if enough of it is taken between two deadlines. One that fits
    /// into the output was not expected to wait, so that it gets one such time first.
    fn slow_reader(&mut self, cx: &mut Cx<'_>) -> Flow {
        let has_progressed = cx.out.has_progressed(limits::PROGRESS);
        if self.0.progress().marks.contains(Marks::REPLYING) && !has_progressed {
            return Flow::Abort(Why::TimedOut);
        }
        self.mark(Marks::REPLYING, true);
        *cx.deadline = cx.now.after(self.0.options().progress_timeout);
        Flow::Continue
    }

    /// Refuses what `head`, perhaps only the beginning of one, asks for, and closes.
    fn refuse(&self, refusal: &Refusal, head: &[u8], cx: &mut Cx<'_>) -> Flow {
        let head_only = head.starts_with(b"HEAD ");
        let exchange = Exchange { head_only, minor: 1, keep: false, cors: self.0.options().cors };
        let sent = reply::refuse(refusal, exchange, cx);
        self.note(head, sent, cx);
        Flow::Finish(Why::BadInput)
    }

    /// Refuses a request whose body is not as it should be, and closes.
    fn refuse_body(&mut self, refusal: &Refusal, why: Why, cx: &mut Cx<'_>) -> Flow {
        if let Some(Work::Body(_, waiting)) = self.0.finish() {
            let sent = reply::refuse(refusal, Exchange { keep: false, ..waiting.exchange }, cx);
            self.note(&waiting.head, sent, cx);
        }
        Flow::Finish(why)
    }

    fn has_begun(&mut self) -> bool {
        self.0.progress().marks.contains(Marks::BEGUN)
    }

    fn mark(&mut self, mark: Marks, yes: bool) {
        self.0.progress().marks.set(mark, yes);
    }
}

/// Whether the connection ends with the reply: the daemon is leaving, and nothing more has come.
fn is_last(cx: &Cx<'_>) -> bool {
    cx.shared.is_leaving() && cx.input.rest().is_empty()
}

const NO_BLANK_LINE: &str = "the blank line that ends the request is missing";

fn timeout(text: &'static str) -> Refusal {
    Refusal::closing(Status::TIMEOUT, text)
}
