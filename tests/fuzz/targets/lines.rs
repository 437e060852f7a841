//! Any bytes as lines, with telnet in them: a line connection says the same however its input is cut. The
//! first bytes of the input, up to the first 0, are the lengths of the pieces.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use switchboard::protocol::modify::Options;
use switchboard::protocol::{Protocol, Session, line::Line, modify::Modify};
use switchboard_fuzz::Client;

fn connect() -> Client {
    let options = Options { name: "Ali".to_owned(), max_line: 200, ..Options::default() };
    Client::new(Session::Modify(<Line<Modify> as Protocol>::new(&Arc::new(options))))
}

fuzz_target!(|data: &[u8]| {
    let Some(at) = data.iter().position(|b| *b == 0) else { return };
    let (lengths, text) = (&data[..at], &data[at + 1..]);
    let (mut whole, mut cut) = (connect(), connect());
    for client in [&mut whole, &mut cut] {
        // A negotiation and a complete line, so that it is a telnet that ends its lines from the start. One
        // that shows itself later may do so in the same read as lines before it, or not.
        client.send(b"\xff\xfb\x01first\n");
    }
    whole.send(text);
    whole.eof();
    cut.send_in_pieces(text, lengths);
    cut.eof();
    let (a, b) = (until_refused(&whole.got), until_refused(&cut.got));
    let is_same = if a.len() == whole.got.len() && b.len() == cut.got.len() {
        a == b
    } else {
        // How long a line is, sequences included, is known at once or only in the end.
        a.starts_with(b) || b.starts_with(a)
    };
    assert!(is_same, "{:?} / {:?}", String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    // Each byte can be a line of its own, and each answer has the name; telnet is answered as it asks.
    assert!(whole.got.len() <= 1000 + 8 * data.len(), "{} of {}", whole.got.len(), data.len());
});

/// What was said before a line was too long.
fn until_refused(said: &[u8]) -> &[u8] {
    let refusal = b"error: a line may have";
    let at = said.windows(refusal.len()).position(|window| window == refusal);
    &said[..at.unwrap_or(said.len())]
}
