//! A directory as a page or as JSON. However large, it takes a part of a turn at a time, together with all other
//! listings, and a bounded part of memory: see [`crate::ration`] and [`super::reserve`].

use std::io;
use std::sync::Arc;

use askama::Template;
use cap_std::fs::Dir;

use super::accept::prefers_json;
use super::contents::Contents;
use super::json;
use super::options::Options;
use super::page::{Bottom, Row, Rows, Summary, Top};
use super::refusal::Status;
use super::reply::{self, Head, Length, Sent};
use super::request::{Exchange, Request};
use super::target::Target;
use crate::protocol::Cx;
use crate::ration::Claim;

pub(super) use super::order::Order;

/// The page is ours alone: no script, no frame, no resource from anywhere.
const POLICY: &str = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    Referrer-Policy: same-origin\r\n";

/// It changes with every file: a cache must ask each time, and there is no tag to ask with.
pub(super) const CACHING: &str = "Vary: Accept\r\nCache-Control: no-cache\r\n";

/// A listing of which something is still to be read or sent. Nothing is sent before all has been read: until
/// then it can be refused.
#[derive(Debug)]
pub(super) struct Listing {
    contents: Contents,
    /// What stands before the first entry, until it is sent.
    top: Option<String>,
    /// What there is by now of a page that is sent at once, with its length.
    page: String,
    is_json: bool,
    /// No entry has been made into text.
    is_fresh: bool,
    exchange: Exchange,
    sent: Sent,
    claim: Claim,
}

/// What has become of a listing at first.
#[derive(Debug)]
pub(super) enum Begun {
    /// It was small, and all is queued.
    Done(Sent),
    /// It wants [`Listing::resume`].
    More(Box<Listing>),
}

impl Listing {
    /// Answers with a listing of `dir`, at once if it is small and nobody else has more to do.
    ///
    /// # Errors
    /// The directory cannot be read; nothing is queued.
    pub(super) fn begin(
        options: Arc<Options>,
        (target, dir): (&Target, &Dir),
        order: Order,
        request: &Request<'_>,
        cx: &mut Cx<'_>,
    ) -> io::Result<Begun> {
        let is_json = prefers_json(request.accepts.types.as_deref());
        let top =
            if is_json { json::top(target) } else { Top::new(target, order).render().unwrap_or_default() };
        let mut listing = Self {
            contents: Contents::of(dir, target.path().to_path_buf(), options, order)?,
            top: Some(top),
            page: String::new(),
            is_json,
            is_fresh: true,
            exchange: request.exchange,
            sent: Sent { status: Status::OK.0, bytes: 0 },
            claim: Claim::default(),
        };
        let is_through = listing.resume(cx);
        Ok(if is_through { Begun::Done(listing.sent) } else { Begun::More(Box::new(listing)) })
    }

    /// Whether the connection outlives this reply.
    pub(super) fn keep(&self) -> bool {
        self.exchange.keep
    }

    /// What has been sent of it so far.
    pub(super) fn sent(&self) -> Sent {
        self.sent
    }

    /// Bytes of memory that it takes.
    pub(super) fn holds(&self) -> usize {
        let top = self.top.as_ref().map_or(0, String::capacity);
        size_of::<Self>() + self.contents.held() + top + self.page.capacity()
    }

    /// Goes on until the output is full or its part of the turn is used; true when all is queued.
    pub(super) fn resume(&mut self, cx: &mut Cx<'_>) -> bool {
        let mut units = cx.shared.ration.part(&mut self.claim);
        let is_through = units > 0 && self.work(&mut units, cx);
        if units > 0 {
            cx.shared.ration.give_back(units);
        }
        is_through
    }

    fn work(&mut self, units: &mut usize, cx: &mut Cx<'_>) -> bool {
        let read = self.contents.read(units);
        if self.exchange.head_only && self.contents.is_large() {
            // The rest of it would change nothing.
            self.head_of_many(cx);
            return true;
        }
        let Ok(has_read) = read else {
            let text = "large directories are being sent to too many clients; try again in a moment";
            self.sent = reply::text(Status::UNAVAILABLE, text, "Retry-After: 5\r\n", self.exchange, cx);
            return true;
        };
        has_read && self.send(units, cx)
    }

    /// Each row is one of the `units`.
    fn send(&mut self, units: &mut usize, cx: &mut Cx<'_>) -> bool {
        if let Some(top) = self.top.take() {
            if self.contents.is_large() {
                self.head_of_many(cx);
            }
            self.push(&top, cx);
        }
        while !cx.out.is_full() {
            if self.contents.is_empty() {
                self.finish(cx);
                return true;
            }
            if *units == 0 {
                return false;
            }
            let rows = self.rows(units);
            self.push(&rows, cx);
        }
        false
    }

    /// Begins a page whose length is not known.
    fn head_of_many(&mut self, cx: &mut Cx<'_>) {
        let is_chunked = self.exchange.minor > 0;
        self.exchange.keep &= is_chunked;
        self.head(if is_chunked { Length::Chunked } else { Length::UntilClose }, cx);
    }

    fn head(&self, length: Length, cx: &mut Cx<'_>) -> Sent {
        let (media_type, policy) =
            if self.is_json { ("application/json", "") } else { ("text/html; charset=utf-8", POLICY) };
        let extra = format!("{policy}{CACHING}");
        Head { extra: &extra, ..Head::new(Status::OK, media_type, length) }.write(self.exchange, cx)
    }

    /// More of the page: sent as a chunk if it is large. An empty chunk would be the last one.
    fn push(&mut self, text: &str, cx: &mut Cx<'_>) {
        if !self.contents.is_large() {
            return self.page.push_str(text);
        }
        self.sent.bytes += text.len() as u64;
        if self.exchange.minor == 0 || text.is_empty() {
            cx.out.push(text.as_bytes());
        } else {
            cx.out.print(format_args!("{:x}\r\n{text}\r\n", text.len()));
        }
    }

    /// All entries are in the page.
    fn finish(&mut self, cx: &mut Cx<'_>) {
        let bottom = self.bottom();
        self.push(&bottom, cx);
        if !self.contents.is_large() {
            self.sent = self.head(Length::Bytes(self.page.len() as u64), cx);
            if !self.exchange.head_only {
                cx.out.push(self.page.as_bytes());
            }
        } else if self.exchange.minor > 0 {
            cx.out.push(b"0\r\n\r\n");
        }
    }

    /// The next rows, which are forgotten.
    fn rows(&mut self, units: &mut usize) -> String {
        let Self { contents, is_fresh, .. } = self;
        let most = std::mem::take(units);
        let rows = if self.is_json {
            let row = || contents.take(|entry| json::row(entry, std::mem::take(is_fresh)));
            let rows: Vec<String> = std::iter::from_fn(row).take(most).collect();
            *units = most - rows.len();
            rows.concat()
        } else {
            let rows: Vec<Row> = std::iter::from_fn(|| contents.take(Row::new)).take(most).collect();
            *units = most - rows.len();
            Rows { rows }.render().unwrap_or_default()
        };
        contents.release();
        rows
    }

    fn bottom(&self) -> String {
        let sums = self.contents.sums();
        if self.is_json {
            return json::bottom(sums.is_cut);
        }
        Bottom { sums: Summary::of(sums) }.render().unwrap_or_default()
    }
}
