//! Any bytes as requests: the answers do not depend on how they are cut, are whole, and never have in them
//! what lies outside. The first bytes of the input, up to the first 0, are the lengths of the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_fuzz::{SECRET, Site, has};

thread_local! {
    static SITE: Site = Site::default();
}

fuzz_target!(|data: &[u8]| {
    let Some(at) = data.iter().position(|b| *b == 0) else { return };
    let (lengths, request) = (&data[..at], &data[at + 1..]);
    SITE.with(|site| {
        let (mut whole, mut cut) = (site.connect(), site.connect());
        whole.send(request);
        cut.send_in_pieces(request, lengths);
        // Parts are separated by what is drawn anew for each reply.
        if !has(&whole.got, b"multipart/byteranges") {
            assert!(whole.got == cut.got, "{} / {}", show(&whole.got), show(&cut.got));
        }
        assert_eq!(whole.is_open(), cut.is_open());
        whole.eof();
        cut.eof();
        assert!(!whole.is_open() && !cut.is_open());
        // A redirect repeats the query that was sent.
        assert!(!has(&whole.got, SECRET.as_bytes()) || has(request, SECRET.as_bytes()));
        assert!(whole.got.is_empty() || whole.got.starts_with(b"HTTP/1.1 "));
    });
});

fn show(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).into_owned()
}
