//! The front page: what listens, and how to reach it from where the browser is.

use askama::Template;

use super::hosts;
use crate::directory::{Entry, Place};
use crate::protocol::Cx;
use crate::protocol::http::plain::Asked;

/// The page; the template escapes it.
#[derive(Debug, Template)]
#[template(path = "front.html")]
struct Front {
    version: &'static str,
    cards: Vec<Card>,
}

/// A service.
#[derive(Debug)]
struct Card {
    name: String,
    does: &'static str,
    source: &'static str,
    transport: &'static str,
    address: String,
    /// A page to open, if it has one.
    link: String,
    try_it: String,
}

/// The page for whoever asked.
pub(super) fn page(asked: &Asked<'_>, cx: &Cx<'_>) -> String {
    let field = asked.all("host").first().copied().unwrap_or(b"localhost");
    let host = hosts::host(field);
    let cards = cx.shared.directory().iter().map(|entry| Card::new(entry, &host)).collect();
    let front = Front { version: env!("CARGO_PKG_VERSION"), cards };
    front.render().unwrap_or_default()
}

impl Card {
    fn new(entry: &Entry, host: &str) -> Self {
        let address = entry.address(host);
        let is_port = matches!(entry.place, Place::Port { tcp: true, .. });
        let link = match entry.protocol {
            "http" | "console" if is_port => format!("http://{address}/"),
            "hello" if is_port => format!("http://{address}/index.html"),
            _ => String::new(),
        };
        Self {
            name: entry.name.clone(),
            does: entry.does,
            source: entry.source,
            transport: entry.transport(),
            try_it: entry.try_it(host),
            address,
            link,
        }
    }
}
