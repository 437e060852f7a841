//! HTTP for the services that answer a few pages of their own: the framing of requests, its checks and its
//! limits are those of `http`, and so are the replies. A request with a body is refused.

use std::time::SystemTime;

use httparse::{EMPTY_HEADER, Header, Status as Parsed, parse_headers};

use super::conditions::{Validators, Verdict, evaluate};
use super::head::{Found, Search};
use super::refusal::{Refusal, Status};
use super::reply::{self, Head, Length};
use super::request::{Exchange, Framing, Method, Request, Wanted};
use crate::protocol::Cx;

/// Fields of a request: one that has more was refused before it is looked at here.
const MAX_FIELDS: usize = 100;

/// A status code with its phrase, and what is wrong in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol) struct Problem {
    pub(in crate::protocol) code: u16,
    pub(in crate::protocol) phrase: &'static str,
    pub(in crate::protocol) text: String,
    /// More fields, each with its line end.
    pub(in crate::protocol) fields: String,
}

/// What is sent, and what is said about it.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Page<'a> {
    pub(in crate::protocol) body: &'a [u8],
    pub(in crate::protocol) content_type: &'a str,
    /// The entity tag, with its quotation marks.
    pub(in crate::protocol) etag: &'a str,
    /// More fields, each with its line end.
    pub(in crate::protocol) fields: &'a str,
}

/// The search for requests in what a connection brings.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Requests(Search);

/// What the search has found.
#[derive(Debug)]
pub(in crate::protocol) enum Next<'a> {
    /// No whole request; whether one has begun.
    Incomplete(bool),
    /// What is no request, or one that is not allowed; that is answered. The connection must close.
    Refused,
    /// A request.
    Asked(Box<Asked<'a>>),
}

/// A request without a body.
#[derive(Debug)]
pub(in crate::protocol) struct Asked<'a> {
    request: Request<'a>,
    fields: Vec<Header<'a>>,
}

impl Requests {
    /// The next request.
    pub(in crate::protocol) fn next<'a>(&mut self, cx: &mut Cx<'a>) -> Next<'a> {
        // An empty line before a request is left over from clients that say too much (RFC 9112, 2.2).
        while matches!(cx.input.rest(), [b'\r', b'\n', ..]) {
            cx.input.take(2);
        }
        let rest = cx.input.rest();
        if matches!(rest, [] | [b'\r']) {
            return Next::Incomplete(false);
        }
        let asked = match self.0.advance(rest) {
            Ok(None) => return Next::Incomplete(true),
            Ok(Some(Found { length, line, parsed })) => {
                self.0 = Search::default();
                let head = cx.input.take(length);
                let leaves = cx.shared.is_leaving() && cx.input.rest().is_empty();
                let asked =
                    Request::parse(head, line, parsed).and_then(|request| Asked::new(request, head, line));
                asked.map(|mut asked| {
                    asked.request.exchange.keep &= !leaves;
                    asked
                })
            }
            Err(refusal) => Err(refusal),
        };
        match asked {
            Ok(asked) => Next::Asked(Box::new(asked)),
            Err(refusal) => {
                refuse(&refusal, rest, cx);
                Next::Refused
            }
        }
    }

    /// Answers a request that has not come to its end.
    pub(in crate::protocol) fn refuse_incomplete(cx: &mut Cx<'_>) {
        let refusal = Refusal::closing(Status::TIMEOUT, "the blank line that ends the request is missing");
        refuse(&refusal, cx.input.rest(), cx);
    }
}

fn refuse(refusal: &Refusal, head: &[u8], cx: &mut Cx<'_>) {
    let head_only = head.starts_with(b"HEAD ");
    reply::refuse(refusal, Exchange { head_only, minor: 1, keep: false, cors: false }, cx);
}

impl<'a> Asked<'a> {
    fn new(request: Request<'a>, head: &'a [u8], line: usize) -> Result<Self, Refusal> {
        if request.framing != Framing::Length(0) {
            return Err(Refusal::closing(Status::TOO_LARGE, "a request may have no body here"));
        }
        let mut fields = vec![EMPTY_HEADER; MAX_FIELDS];
        let count = match parse_headers(head.get(line..).unwrap_or_default(), &mut fields) {
            Ok(Parsed::Complete((_, parsed))) => parsed.len(),
            _ => 0,
        };
        fields.truncate(count);
        Ok(Self { request, fields })
    }

    /// The path, decoded, without the first slash.
    ///
    /// # Errors
    /// The method is not for reading, or the target makes no sense; that is answered.
    pub(in crate::protocol) fn path(&self, cx: &mut Cx<'_>) -> Option<String> {
        let exchange = self.request.exchange;
        let refusal = match self.request.wanted() {
            Ok(Wanted::At(target)) => {
                let path = target.path().to_string_lossy().into_owned();
                let path = if path == "." { String::new() } else { path };
                return Some(if target.is_directory && !path.is_empty() { path + "/" } else { path });
            }
            Ok(Wanted::Methods) => {
                reply::methods(exchange, cx);
                return None;
            }
            Err(Refusal { status: Status::METHOD_NOT_ALLOWED, .. }) => {
                Refusal::new(Status::METHOD_NOT_ALLOWED, "the pages here can be read, not changed")
            }
            Err(refusal) => refusal,
        };
        reply::refuse(&refusal, exchange, cx);
        None
    }

    /// Whether it is a GET.
    pub(in crate::protocol) fn is_get(&self) -> bool {
        self.request.line.method == Method::Get
    }

    /// 0 for HTTP/1.0, 1 for what came later.
    pub(in crate::protocol) fn minor(&self) -> u8 {
        self.request.line.minor
    }

    /// Whether another request may follow.
    pub(in crate::protocol) fn keeps(&self) -> bool {
        self.request.exchange.keep
    }

    /// Names and values of all fields.
    pub(in crate::protocol) fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// The values of a field.
    pub(in crate::protocol) fn all(&self, name: &str) -> Vec<&'a [u8]> {
        let named = self.fields().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).collect()
    }

    /// Answers with a page, or with 304 to who has it.
    pub(in crate::protocol) fn answer(&self, page: &Page<'_>, cx: &mut Cx<'_>) {
        let exchange = self.request.exchange;
        let validators = Validators { etag: Some(page.etag), modified: None::<SystemTime> };
        let fields = format!("ETag: {}\r\n{}", page.etag, page.fields);
        match evaluate(self.request.conditions(), validators) {
            Verdict::NotModified => {
                let head = Head::new(Status::NOT_MODIFIED, "", Length::None);
                Head { extra: &fields, ..head }.write(exchange, cx);
            }
            Verdict::Failed => {
                let text = "the page is not in the state that the request wants";
                reply::text(Status::PRECONDITION_FAILED, text, page.fields, exchange, cx);
            }
            Verdict::Whole | Verdict::Ranged => {
                let length = Length::Bytes(page.body.len() as u64);
                let head = Head::new(Status::OK, page.content_type, length);
                Head { extra: &fields, ..head }.write(exchange, cx);
                if !exchange.head_only {
                    cx.out.push(page.body);
                }
            }
        }
    }

    /// Answers with a line of text that says what is wrong.
    pub(in crate::protocol) fn refuse(&self, problem: &Problem, cx: &mut Cx<'_>) {
        let status = Status(problem.code, problem.phrase);
        reply::text(status, &problem.text, &problem.fields, self.request.exchange, cx);
    }
}
