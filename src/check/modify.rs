//! The server of labs B and D that answers each message with a name added: what every service must do.
//! What is particular to messages and their ends is in `modify_lines`.

use super::{Case, Client, Outcome, Target, common};

pub(super) const P: &str = "modify";

pub(super) const CASES: &[Case] = &[
    common::http(P),
    common::endless_line(P, |t| common::too_long(t, ask)),
    Case::new(
        P,
        "longest_line",
        "a line of 65,536 bytes is answered, a longer one refused",
        "a recv buffer of fixed size",
        longest_line,
    )
    .exact(),
    Case::new(
        P,
        "half_close_with_much",
        "every line of a megabyte is answered after the client's end",
        "the server closes before it has sent all",
        half_close,
    )
    .exact(),
    common::three_clients(P, |t| common::crowd(t, 3, 20, ask)).named("three_lines").exact(),
    common::thirty_clients(P, |t| common::crowd(t, 30, 20, ask)).named("thirty_lines").exact(),
    common::silent_client(P, |t| common::beside_a_silent_one(t, ask)).named("silent_line").exact(),
    common::resets(P, |t| common::after_resets(t, b"Hel", ask)).named("reset_in_a_line").exact(),
    Case::new(
        P,
        "stalled_reader",
        "a client that sends and does not read waits; others are served; every line is answered",
        "sendall blocks the only thread",
        stalled_reader,
    )
    .exact()
    .several(),
    Case::new(
        P,
        "telnet_options",
        "telnet's options are no text; requests are refused, the timing mark is answered",
        "byte 255 is taken for text",
        telnet_options,
    )
    .exact(),
    Case::new(
        P,
        "binary",
        "bytes that are no text come back as they are",
        "the message is decoded as UTF-8",
        binary,
    )
    .exact(),
];

/// What this server appends, a blank included: asked for on a connection of its own.
pub(super) fn name(target: &Target) -> Outcome<Vec<u8>> {
    let mut client = Client::connect(target)?;
    let line = client.send(b"Hello\r\n")?.line()?;
    match line.strip_prefix("Hello").and_then(|rest| rest.strip_suffix("\r\n")) {
        Some(name) if !name.is_empty() => Ok(name.as_bytes().to_vec()),
        _ => Err(client.unexpected("\"Hello\", something appended, CR LF")),
    }
}

/// A message and its answer, both with `end`.
pub(super) fn exchange(client: &mut Client, text: &[u8], name: &[u8], end: &[u8]) -> Outcome {
    client.send(&[text, end].concat())?.expect(&[text, name, end].concat()).map(drop)
}

fn ask(client: &mut Client) -> Outcome {
    let line = client.send(b"Hello there\r\n")?.line()?;
    let good =
        line.starts_with("Hello there") && line.len() > "Hello there\r\n".len() && line.ends_with("\r\n");
    if good { Ok(()) } else { Err(client.unexpected("\"Hello there\", something appended, CR LF")) }
}

fn longest_line(target: &Target) -> Outcome {
    let name = name(target)?;
    for end in [&b"\n"[..], b""] {
        exchange(&mut Client::connect(target)?, &vec![b'x'; 65_536], &name, end)?;
        let mut client = Client::connect(target)?;
        let refusal = b"error: a line may have 65536 bytes at the most; closing\r\n";
        client.send(&[&vec![b'x'; 65_537], end].concat())?.expect(refusal)?.expect_eof()?;
    }
    Ok(())
}

fn half_close(target: &Target) -> Outcome {
    let name = name(target)?;
    let lines = 100_000;
    let mut client = Client::connect(target)?;
    let came = client.exchange(&b"Hello 123\n".repeat(lines))?;
    if came == [b"Hello 123", name.as_slice(), b"\n"].concat().repeat(lines) {
        return Ok(());
    }
    let answers = came.split_inclusive(|&b| b == b'\n').count();
    Err(client.unexpected(&format!("{lines} answers, not {answers}")))
}

fn stalled_reader(target: &Target) -> Outcome {
    let (sent, came) = common::stalled(target, &b"Hello 123\n".repeat(1000), ask)?;
    let answers = came.split_inclusive(|&b| b == b'\n').count();
    if answers == sent.div_ceil(10) {
        return Ok(());
    }
    Err(super::Failure::early(&format!("{} answers", sent.div_ceil(10)), format!("{answers}, then the end")))
}

fn telnet_options(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    // DO TIMING-MARK, WILL NAWS, DO ECHO, WONT 5, a subnegotiation with a line feed in it, NOP.
    client
        .send(b"\xff\xfd\x06He\xff\xfb\x1f\xff\xfd\x01l\xff\xfc\x05\xff\xfa\x1f\n\xff\xf0\xff\xf1lo\r\n")?;
    client
        .expect(b"\xff\xfb\x06\xff\xfe\x1f\xff\xfc\x01")?
        .expect(&[b"Hello", name.as_slice(), b"\r\n"].concat())?;
    exchange(&mut client, b"Again", &name, b"\r\n")
}

fn binary(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    exchange(&mut client, b"\x80\xfe\x00\x01\xc3", &name, b"\r\n")?;
    exchange(&mut client, b"\x00\x1b", &name, b"\n")
}
