//! HTTP as far as every server of files must have it; nothing is assumed about the files.

use std::time::Duration;

use super::{Case, Client, Outcome, Target, common};

const P: &str = "http";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "get",
        "GET / brings status 200 and a body as long as it says",
        "the length counts characters, not bytes",
        |t| ask(&mut Client::connect(t)?),
    ),
    Case::new(
        P,
        "keep_alive",
        "a connection serves one request after the other",
        "the server closes after one",
        keep_alive,
    )
    .advised(),
    Case::new(
        P,
        "pipelined",
        "requests in one segment are answered in order",
        "what follows the first request is dropped",
        pipelined,
    )
    .advised(),
    Case::new(
        P,
        "every_split",
        "any split of a request brings the same answer",
        "each recv is taken as a request",
        every_split,
    ),
    Case::new(
        P,
        "http_1_0",
        "a request of HTTP/1.0 is answered, and the end follows",
        "the server keeps the connection open",
        http_1_0,
    ),
    Case::new(
        P,
        "close",
        "`Connection: close` brings the answer, then the end",
        "the server keeps the connection open",
        close,
    ),
    Case::new(
        P,
        "half_close",
        "a client that half-closes gets its answer",
        "the end of input drops the request",
        half_close,
    ),
    Case::new(P, "head", "HEAD brings the head only", "the body is sent too", head).advised(),
    Case::new(
        P,
        "not_found",
        "what is not there brings status 404, and the server lives on",
        "an exception ends the server, or another status is sent",
        not_found,
    ),
    Case::new(
        P,
        "garbage",
        "what is no HTTP brings status 400, then the end",
        "the server dies, or waits for ever",
        garbage,
    )
    .advised(),
    Case::new(
        P,
        "no_host",
        "HTTP/1.1 without Host brings status 400",
        "the field is not looked for",
        no_host,
    )
    .advised(),
    common::thirty_clients(P, |t| common::crowd(t, 30, 1, ask)),
    Case::new(
        P,
        "silent_client",
        "a silent client keeps nobody waiting",
        "a blocking recv in the only thread",
        |t| {
            let _silent = Client::connect(t)?;
            (0..10).try_for_each(|_| fetch(t, GET))
        },
    )
    .several(),
    Case::new(P, "reset", "clients that reset harm nobody", "BrokenPipeError is not caught", |t| {
        after_resets(t)
    }),
];

/// One request on a connection of its own, which may or may not be kept: the status, when the answer has
/// come to its end.
fn fetch(target: &Target, request: &[u8]) -> Outcome {
    expect_status(Client::connect(target)?.send(request)?, "200").map(drop)
}

/// The status of the next answer, and its body.
fn answer(client: &mut Client, has_body: bool) -> Outcome<(String, Vec<u8>)> {
    let status = client.line()?;
    let mut length = None;
    loop {
        let line = client.line()?.to_ascii_lowercase();
        if line == "\r\n" {
            break;
        }
        length = line.strip_prefix("content-length:").and_then(|n| n.trim().parse().ok()).or(length);
    }
    match length {
        // The end of the connection is the end of the body.
        None if has_body => Ok((status, client.rest()?)),
        Some(length) if has_body => Ok((status, client.take(length)?)),
        _ => Ok((status, Vec::new())),
    }
}

/// The body of the next answer, which has this status.
pub(super) fn expect_status(client: &mut Client, code: &str) -> Outcome<Vec<u8>> {
    let (status, body) = answer(client, true)?;
    if status.split(' ').nth(1) == Some(code) {
        Ok(body)
    } else {
        Err(client.unexpected(&format!("status {code}")))
    }
}

fn ask(client: &mut Client) -> Outcome {
    expect_status(client.send(GET)?, "200").map(drop)
}

fn keep_alive(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    (0..5).try_for_each(|_| ask(&mut client))
}

fn pipelined(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /no-such-file-here HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
    ["200", "404", "200"].iter().try_for_each(|code| expect_status(&mut client, code).map(drop))
}

fn after_resets(target: &Target) -> Outcome {
    for n in 0..10 {
        let mut leaves = Client::connect(target)?;
        if n % 2 == 0 {
            leaves.send(GET)?;
        }
        leaves.reset();
    }
    fetch(target, GET)
}

fn every_split(target: &Target) -> Outcome {
    for at in 1..GET.len() {
        let (first, second) = GET.split_at(at);
        let mut client = Client::connect(target)?;
        expect_status(client.send(first)?.pause(Duration::from_millis(2)).send(second)?, "200")?;
    }
    let bytes: Vec<&[u8]> = GET.chunks(1).collect();
    expect_status(Client::connect(target)?.send_parts(&bytes)?, "200").map(drop)
}

fn http_1_0(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    expect_status(client.send(b"GET / HTTP/1.0\r\n\r\n")?, "200")?;
    client.expect_eof()
}

fn close(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    expect_status(client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?, "200")?;
    client.expect_eof()
}

fn half_close(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    expect_status(client.send(GET)?.half_close()?, "200")?;
    client.expect_eof()
}

fn head(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    let (status, _) = answer(client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")?, false)?;
    if status.split(' ').nth(1) != Some("200") {
        return Err(client.unexpected("status 200"));
    }
    ask(&mut client)
}

fn not_found(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    expect_status(client.send(b"GET /no-such-file-here HTTP/1.1\r\nHost: x\r\n\r\n")?, "404")?;
    drop(client);
    fetch(target, GET)
}

fn garbage(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    expect_status(client.send(b"\x16\x03\x01\x00 what?\r\n\r\n")?, "400")?;
    client.expect_eof()
}

fn no_host(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    expect_status(client.send(b"GET / HTTP/1.1\r\n\r\n")?, "400").map(drop)
}
