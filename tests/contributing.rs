//! The worked example of CONTRIBUTING.md is real: it compiles against the library, its tests run, and
//! the document shows the very same text.

// The example lies in the crate when it is used; here the library's modules stand in for it.
use switchboard::{input, out, peer, shared, show, time};

#[path = "contributing"]
mod protocol {
    pub(crate) use switchboard::protocol::{Answer, ConnId, Cx, Flow, Handler, Protocol, Why};

    #[allow(dead_code, unreachable_pub)]
    mod qotd;
}

const DOCUMENT: &str = include_str!("../CONTRIBUTING.md");
const EXAMPLE: &str = include_str!("contributing/qotd.rs");

#[test]
fn the_document_shows_what_is_compiled() {
    assert!(DOCUMENT.contains(&format!("```rust\n{EXAMPLE}```\n")), "copy tests/contributing/qotd.rs over");
}
