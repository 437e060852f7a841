//! The daemon's own web face: a front page that names every service, the chat for browsers, and an echo
//! over WebSocket for who tests a client.
//!
//! A page on the web can make a browser connect to this machine. So a request is answered only if it was
//! sent to a name of this machine, and a WebSocket is opened only for a page that came from here.

use std::sync::Arc;

use self::hosts::is_same_origin;
use super::http::plain::{Asked, Next, Problem, Requests};
use super::websocket::handshake::{self, Refused};
use super::{Cx, Flow, Handler, Protocol, Session, Why};
use crate::escape::Escaped;
use crate::limits;

pub mod chat;
pub mod echo;
mod front;
mod hosts;
mod options;
mod pages;

pub use options::Options;

/// A connection; boxed, so that a session stays small.
#[derive(Debug)]
pub struct Console(Box<State>);

#[derive(Debug)]
struct State {
    options: Arc<Options>,
    requests: Requests,
    /// A request has begun and its deadline runs.
    has_begun: bool,
    /// A reply waited for its reader when the deadline passed.
    is_slow: bool,
    /// The connection ends when what has come is answered.
    ending: Option<Why>,
}

impl Protocol for Console {
    type Options = Options;

    fn takes_banner() -> bool {
        false
    }

    fn prepare(options: &Options) -> Result<(), String> {
        options.prepare()
    }

    fn new(options: &Arc<Options>) -> Self {
        Self(Box::new(State {
            options: Arc::clone(options),
            requests: Requests::default(),
            has_begun: false,
            is_slow: false,
            ending: None,
        }))
    }
}

impl Handler for Console {
    fn open(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.wait(cx);
        Flow::Continue
    }

    fn turn_away(&mut self, refusal: crate::access::Refusal, cx: &mut Cx<'_>) -> Flow {
        super::http::reply::turn_away(refusal, cx)
    }

    fn input(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.run(cx)
    }

    fn resume(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.run(cx)
    }

    fn eof(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.ending = Some(Why::PeerDone);
        self.0.run(cx)
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.expired(cx)
    }

    fn drain(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.ending = Some(Why::Shutdown);
        self.0.run(cx)
    }
}

impl State {
    /// Answers every request that is complete while the output has room.
    fn run(&mut self, cx: &mut Cx<'_>) -> Flow {
        while !cx.out.is_full() {
            match self.requests.next(cx) {
                Next::Refused => return Flow::Finish(Why::BadInput),
                Next::Incomplete(has_begun) => {
                    if let Some(why) = self.ending {
                        return Flow::Finish(why);
                    }
                    // From its first byte to its last, a request has one deadline.
                    if has_begun && !std::mem::replace(&mut self.has_begun, true) {
                        self.wait(cx);
                    }
                    return Flow::Continue;
                }
                Next::Asked(asked) => {
                    self.has_begun = false;
                    self.wait(cx);
                    match self.answer(&asked, cx) {
                        Flow::Continue if asked.keeps() => {}
                        Flow::Continue => return Flow::Finish(Why::Complete),
                        flow => return flow,
                    }
                }
            }
        }
        Flow::Continue
    }

    fn answer(&mut self, asked: &Asked<'_>, cx: &mut Cx<'_>) -> Flow {
        if let Some(problem) = self.is_misdirected(asked) {
            asked.refuse(&problem, cx);
            return Flow::Continue;
        }
        let Some(path) = asked.path(cx) else { return Flow::Continue };
        match path.as_str() {
            "ws/echo" | "ws/chat" => match handshake(asked) {
                Ok(accept) => self.upgrade(&path, &accept, cx),
                Err(problem) => {
                    asked.refuse(&problem, cx);
                    Flow::Continue
                }
            },
            path => {
                pages::answer(path, asked, cx);
                Flow::Continue
            }
        }
    }

    /// Whether a request was meant for another machine; what to say then.
    fn is_misdirected(&self, asked: &Asked<'_>) -> Option<Problem> {
        let field = asked.all("host").first().copied()?;
        let host = hosts::host(field);
        let shown = Escaped::bounded(host.as_bytes(), 60);
        let text = || {
            format!(
                "{shown} is not known as a name of this machine; use its address, or start switchboard \
                 with --host {shown}"
            )
        };
        (!hosts::is_ours(&host, self.options.machine(), &self.options.host)).then(|| Problem {
            code: 421,
            phrase: "Misdirected Request",
            text: text(),
            fields: pages::FIELDS.to_owned(),
        })
    }

    fn upgrade(&self, path: &str, accept: &str, cx: &mut Cx<'_>) -> Flow {
        cx.out.print(format_args!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ));
        let session = match path {
            "ws/echo" => Session::WebEcho(echo::WebEcho::session(&self.options)),
            _ => Session::WebChat(chat::WebChat::session(&self.options)),
        };
        Flow::Become(Box::new(session))
    }

    /// The next request, or the rest of this one, is waited for.
    fn wait(&mut self, cx: &mut Cx<'_>) {
        self.is_slow = false;
        *cx.deadline = cx.now.after(self.options.request_timeout);
    }

    fn expired(&mut self, cx: &mut Cx<'_>) -> Flow {
        if cx.out.is_empty() {
            if self.has_begun {
                Requests::refuse_incomplete(cx);
            }
            return Flow::Finish(Why::TimedOut);
        }
        // A reply takes as long as it takes, if some of it is taken between two deadlines.
        if self.is_slow && !cx.out.has_progressed(limits::PROGRESS) {
            return Flow::Abort(Why::TimedOut);
        }
        cx.out.mark();
        self.wait(cx);
        self.is_slow = true;
        Flow::Continue
    }
}

/// What to say in `Sec-WebSocket-Accept`, or what is wrong.
fn handshake(asked: &Asked<'_>) -> Result<String, Problem> {
    let problem = |code, phrase, text: &str, fields: &str| Problem {
        code,
        phrase,
        text: text.to_owned(),
        fields: fields.to_owned() + pages::FIELDS,
    };
    if !asked.is_get() {
        return Err(problem(405, "Method Not Allowed", "a handshake is a GET", "Allow: GET\r\n"));
    }
    let host = asked.all("host").first().copied().unwrap_or_default();
    if !is_same_origin(&asked.all("origin"), host) {
        return Err(problem(403, "Forbidden", "pages of other sites may not connect here", ""));
    }
    let mut fields = handshake::Asked::default();
    asked.fields().for_each(|(name, value)| fields.add(name, value));
    let upgrade = |text: &str| {
        let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        problem(426, "Upgrade Required", text, fields)
    };
    fields.accept(asked.minor()).map_err(|refused| match refused {
        Refused::NotAsked => upgrade("this is a WebSocket: connect with ws://"),
        Refused::Version => upgrade("the version of WebSocket spoken here is 13"),
        Refused::Bad(text) => problem(400, "Bad Request", text, ""),
    })
}
