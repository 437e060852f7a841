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
        // A complete line, so that it ends its lines from the start.
        client.send(b"first\n");
    }
    whole.send(text);
    whole.eof();
    cut.send_in_pieces(text, lengths);
    cut.eof();
    let (a, b) = (String::from_utf8_lossy(&whole.got), String::from_utf8_lossy(&cut.got));
    assert!(whole.got == cut.got, "{a:?} / {b:?}");
    // Each byte can be a line of its own, and each answer has the name; telnet is answered as it asks.
    assert!(whole.got.len() <= 1000 + 8 * data.len(), "{} of {}", whole.got.len(), data.len());
});
