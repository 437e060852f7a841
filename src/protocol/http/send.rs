//! Answering with a file: all of it, parts of it, or only what its conditions come to.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use super::conditions::{Verdict, evaluate};
use super::fields::Accepts;
use super::ranges::{self, Wanted};
use super::refusal::Status;
use super::reply::{self, Head, Length, Sent};
use super::request::{Exchange, Request};
use super::resource::{Content, Form};
use super::site::{Look, Site};
use crate::out::FileRange;
use crate::protocol::Cx;

/// Answers a GET or HEAD with a form of a file (RFC 9110, sections 13.2.2 and 14.2).
pub(super) fn file(form: &Form, request: &Request<'_>, site: &Site, cx: &mut Cx<'_>) -> Sent {
    let exchange = request.exchange;
    match evaluate(request.conditions(), form.validators()) {
        Verdict::Failed => {
            let text = "the file is not in the state that the request wants";
            reply::text(Status::PRECONDITION_FAILED, text, "", exchange, cx)
        }
        Verdict::NotModified => {
            let head = Head::new(Status::NOT_MODIFIED, "", Length::None);
            Head { extra: &form.telling, ..head }.write(exchange, cx)
        }
        Verdict::Whole => whole(form, exchange, site, cx),
        Verdict::Ranged => match request.conditions().range.get() {
            // HEAD has no ranges (section 14.2).
            Some(field) if !exchange.head_only => ranged(form, field, exchange, site, cx),
            _ => whole(form, exchange, site, cx),
        },
    }
}

/// All of it.
pub(super) fn whole(form: &Form, exchange: Exchange, site: &Site, cx: &mut Cx<'_>) -> Sent {
    let bytes = if exchange.head_only { 0 } else { form.size() };
    site.push_start(cx);
    cx.out.push(form.fields.as_bytes());
    reply::end(exchange, cx);
    if !exchange.head_only {
        push(form, 0..form.size(), cx);
    }
    Sent { status: Status::OK.0, bytes }
}

/// All of a short file, if the cache has it and it was compared with the disk lately, to a usual request
/// without conditions, whose `head` the input begins with and which is taken from there. Nothing is formatted,
/// copied or counted here.
///
/// In a pipeline, those behind it that are the same to the byte are answered with it, if `again`: in one moment
/// the same request has the same reply.
#[inline]
pub(super) fn at_once(
    head: &[u8],
    (key, accepts): (&[u8], &Accepts<'_>),
    look: &mut Look<'_>,
    again: bool,
    cx: &mut Cx<'_>,
) -> Option<Sent> {
    let (form, whole) = look.whole(key, accepts.codings.as_deref(), cx.now, cx.shared)?;
    loop {
        cx.input.take(head.len());
        cx.out.share(whole);
        if !again || cx.out.is_full() || !cx.input.rest().starts_with(head) {
            return Some(Sent { status: Status::OK.0, bytes: form.size() });
        }
    }
}

/// All of it, as the page for what is not found.
pub(super) fn not_found(form: &Form, exchange: Exchange, cx: &mut Cx<'_>) -> Sent {
    let sent =
        Head::new(Status::NOT_FOUND, &form.content_type, Length::Bytes(form.size())).write(exchange, cx);
    if !exchange.head_only {
        push(form, 0..form.size(), cx);
    }
    sent
}

fn ranged(form: &Form, field: &[u8], exchange: Exchange, site: &Site, cx: &mut Cx<'_>) -> Sent {
    match ranges::parse(field, form.size()) {
        Wanted::Everything => whole(form, exchange, site, cx),
        Wanted::Nothing => {
            let extra = format!("Content-Range: bytes */{}\r\n", form.size());
            reply::text(Status::NOT_SATISFIABLE, "the file has no such bytes", &extra, exchange, cx)
        }
        Wanted::Parts(parts) => match parts.as_slice() {
            [part] => one_part(form, part, exchange, cx),
            parts => several_parts(form, parts, exchange, site, cx),
        },
    }
}

fn one_part(form: &Form, part: &Range<u64>, exchange: Exchange, cx: &mut Cx<'_>) -> Sent {
    let extra = format!("{}{}{}", content_range(part, form), accept_ranges(form), form.telling);
    let length = Length::Bytes(part.end - part.start);
    let sent =
        Head { extra: &extra, ..Head::new(Status::PARTIAL, &form.content_type, length) }.write(exchange, cx);
    push(form, part.clone(), cx);
    sent
}

/// `multipart/byteranges` (section 14.6), unless all of the file is shorter.
fn several_parts(
    form: &Form,
    parts: &[Range<u64>],
    exchange: Exchange,
    site: &Site,
    cx: &mut Cx<'_>,
) -> Sent {
    let boundary = boundary();
    let head_of = |part: &Range<u64>| {
        let range = content_range(part, form);
        format!("\r\n--{boundary}\r\nContent-Type: {}\r\n{range}\r\n", form.content_type)
    };
    let end = format!("\r\n--{boundary}--\r\n");
    let length = |part: &Range<u64>| head_of(part).len() as u64 + part.end - part.start;
    let total = parts.iter().map(length).sum::<u64>() + end.len() as u64;
    if total > form.size() {
        return whole(form, exchange, site, cx);
    }
    let content_type = format!("multipart/byteranges; boundary={boundary}");
    let extra = format!("{}{}", accept_ranges(form), form.telling);
    let head = Head::new(Status::PARTIAL, &content_type, Length::Bytes(total));
    let sent = Head { extra: &extra, ..head }.write(exchange, cx);
    for part in parts {
        cx.out.push(head_of(part).as_bytes());
        push(form, part.clone(), cx);
    }
    cx.out.push(end.as_bytes());
    sent
}

/// What separates the parts of a reply: drawn anew each time, so that whoever writes a file cannot put
/// it there.
fn boundary() -> String {
    let draw = || RandomState::new().hash_one(0);
    format!("switchboard-{:016x}{:016x}", draw(), draw())
}

fn content_range(part: &Range<u64>, form: &Form) -> String {
    format!("Content-Range: bytes {}-{}/{}\r\n", part.start, part.end.saturating_sub(1), form.size())
}

/// What describes the content, but for what every head has.
fn accept_ranges(form: &Form) -> &str {
    form.describing.strip_prefix("X-Content-Type-Options: nosniff\r\n").unwrap_or_default()
}

/// Queues bytes of a file: a copy, or a range of it that the engine sends.
fn push(form: &Form, range: Range<u64>, cx: &mut Cx<'_>) {
    match &form.content {
        Content::Bytes(bytes) => {
            let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            cx.out.push(bytes.get(at(range.start)..at(range.end)).unwrap_or_default());
        }
        Content::File(file) => {
            let len = range.end - range.start;
            cx.out.push_file(FileRange { file: Arc::clone(file), offset: range.start, len });
        }
    }
}
