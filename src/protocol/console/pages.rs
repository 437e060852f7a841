//! The pages, and how browsers are to treat them. Everything is embedded: nothing is fetched from
//! elsewhere, and no page may run or show what does not come from here.

use std::sync::OnceLock;

use data_encoding::BASE64URL_NOPAD;
use sha1::{Digest, Sha1};

use super::front;
use crate::protocol::Cx;
use crate::protocol::http::plain::{Asked, Page, Problem};

/// The fields of every reply, each with its line end.
pub(super) const FIELDS: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; \
     style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Opener-Policy: same-origin\r\n\
     Cross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-cache\r\n";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// A page that is always the same.
#[derive(Debug)]
struct Fixed {
    path: &'static str,
    content_type: &'static str,
    body: &'static str,
    etag: OnceLock<String>,
}

impl Fixed {
    const fn new(path: &'static str, content_type: &'static str, body: &'static str) -> Self {
        Self { path, content_type, body, etag: OnceLock::new() }
    }
}

static PAGES: [Fixed; 5] = [
    Fixed::new("chat", HTML, include_str!("../../web/chat.html")),
    Fixed::new("chat.css", CSS, include_str!("../../web/chat.css")),
    Fixed::new("chat.js", "text/javascript; charset=utf-8", include_str!("../../web/chat.js")),
    Fixed::new("front.css", CSS, include_str!("../../web/front.css")),
    Fixed::new("icon.svg", "image/svg+xml", include_str!("../../web/icon.svg")),
];

/// Answers with the page at a path, or says that there is none.
pub(super) fn answer(path: &str, asked: &Asked<'_>, cx: &mut Cx<'_>) {
    if path.is_empty() {
        let body = front::page(asked, cx);
        let etag = tag(&body);
        let page = Page { body: body.as_bytes(), content_type: HTML, etag: &etag, fields: FIELDS };
        return asked.answer(&page, cx);
    }
    if let Some(fixed) = PAGES.iter().find(|page| page.path == path) {
        let etag = fixed.etag.get_or_init(|| tag(fixed.body));
        let Fixed { content_type, body, .. } = fixed;
        return asked.answer(&Page { body: body.as_bytes(), content_type, etag, fields: FIELDS }, cx);
    }
    let problem = Problem {
        code: 404,
        phrase: "Not Found",
        text: "there are / and /chat here; the files of a directory are served by http".to_owned(),
        fields: FIELDS.to_owned(),
    };
    asked.refuse(&problem, cx);
}

/// The entity tag of a text: the same text has the same one.
fn tag(body: &str) -> String {
    let sum = Sha1::digest(body);
    format!("\"{}\"", BASE64URL_NOPAD.encode(sum.get(..12).unwrap_or_default()))
}
