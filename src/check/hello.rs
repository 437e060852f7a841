//! The hand-made server of lab C: `Hello World`, `Hello Yourself`, `Goodbye`; and a page for browsers.

use super::{Case, Client, Outcome, Target, common};

const P: &str = "hello";
const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nContent-type: text/html\r\n\r\n<h1>Hello World</h1>";

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "session",
        "`Hello World`, `Hello Yourself`, then silence, `Goodbye`, and an empty recv",
        "the server waits for a newline, or never says Goodbye",
        session,
    )
    .remedy("answer what recv() gives; do not wait for a line end that no one promised"),
    Case::new(P, "line_ends", "the answer ends as the message did", "a fixed line end, or none", line_ends)
        .exact(),
    Case::new(P, "any_text", "any other text is answered too", "only `Hello World` is known", any_text)
        .exact(),
    Case::new(
        P,
        "silent_client",
        "a client that says nothing hears `Goodbye`; others are served",
        "a blocking recv in the only thread",
        silent_client,
    )
    .advised()
    .several(),
    Case::new(
        P,
        "half_close",
        "a client that half-closes gets its answer, then the end",
        "the tail is dropped at the end",
        half_close,
    )
    .exact(),
    Case::new(
        P,
        "browser",
        "a request of a browser brings the page, then the end",
        "the request is not recognised",
        browser,
    )
    .advised(),
    Case::new(
        P,
        "request_in_pieces",
        "the request may come byte by byte",
        "each recv is taken as the request",
        request_in_pieces,
    )
    .exact(),
    Case::new(
        P,
        "no_blank_line",
        "a request without its blank line brings the page all the same",
        "the server waits for ever",
        no_blank_line,
    )
    .exact(),
    common::endless_line(P, |t| common::too_long(t, ask)),
    common::three_clients(P, |t| common::crowd(t, 3, 10, ask)).exact(),
    common::thirty_clients(P, |t| common::crowd(t, 30, 10, ask)).exact(),
    common::resets(P, |t| common::after_resets(t, b"Hel", ask)).exact(),
];

fn ask(client: &mut Client) -> Outcome {
    client.send(b"Hello World\r\n")?.expect(b"Hello Yourself\r\n").map(drop)
}

/// Some servers wait a while before they say Goodbye.
fn patient(target: &Target) -> Target {
    Target { within: target.within * 4, ..*target }
}

fn session(target: &Target) -> Outcome {
    let mut client = Client::connect(&patient(target))?;
    client.send(b"Hello World")?.expect(b"Hello Yourself")?.expect(b"Goodbye")?.expect_eof()
}

fn line_ends(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"Hello World\n")?.expect(b"Hello Yourself\n")?;
    client.send(b"Hello World\r\0")?.expect(b"Hello Yourself\r\0")?;
    ask(&mut client)
}

fn any_text(target: &Target) -> Outcome {
    Client::connect(target)?.send(b"Good morning")?.expect(b"Hello Yourself").map(drop)
}

fn silent_client(target: &Target) -> Outcome {
    let mut silent = Client::connect(&patient(target))?;
    common::beside_a_silent_one(target, ask)?;
    silent.expect(b"Goodbye")?.expect_eof()
}

fn half_close(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"Good mor")?.half_close()?.expect(b"Hello Yourself")?.expect_eof()
}

fn browser(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client
        .send(b"GET /index.html HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")?
        .expect(PAGE)?
        .expect_eof()
}

fn request_in_pieces(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    let request = b"GET /index.html HTTP/1.0\r\nHost: localhost\r\n\r\n";
    // The first line together: until it is complete, a pause would end a message.
    let (first, rest) = request.split_at(26);
    client.send(first)?.pause(common::LONG_PAUSE);
    rest.chunks(1).try_for_each(|byte| client.send(byte).map(drop))?;
    client.expect(PAGE)?.expect_eof()
}

fn no_blank_line(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"GET /index.html HTTP/1.0\r\n")?.half_close()?.expect(PAGE)?.expect_eof()?;
    let mut waits = Client::connect(target)?;
    waits.send(b"GET /index.html HTTP/1.0\r\n")?.expect(PAGE)?.expect_eof()
}
