//! The time server of lab E, exercise 9-1: `reqtime` brings the local time as strftime `%c`.

use super::{Case, Client, Failure, Outcome, Target, common, udp};

const P: &str = "reqtime";

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "unterminated",
        "`reqtime` without a line end is answered at once, again and again",
        "the server waits for a newline",
        unterminated,
    )
    .remedy("answer what recv() gives; do not wait for a line end that no one promised"),
    Case::new(P, "line_ends", "the answer ends as the request did", "a fixed line end, or none", line_ends)
        .advised(),
    Case::new(
        P,
        "several",
        "three requests in one segment bring three answers",
        "each recv is taken as one request",
        several,
    )
    .advised(),
    Case::new(
        P,
        "every_split",
        "any split of a line gives one answer",
        "each recv is taken as a request",
        every_split,
    )
    .exact(),
    Case::new(
        P,
        "half_close",
        "a request that the end completes is answered",
        "the tail is dropped at the end",
        half_close,
    )
    .remedy("when recv() returns nothing, look at what is left first"),
    Case::new(
        P,
        "unknown",
        "another word brings an error line, and the next request is served",
        "the server closes, or says nothing",
        unknown,
    )
    .exact(),
    common::http(P),
    common::endless_line(P, |t| common::too_long(t, ask)),
    common::three_clients(P, |t| common::crowd(t, 3, 10, ask)),
    common::thirty_clients(P, |t| common::crowd(t, 30, 10, ask)),
    common::silent_client(P, |t| common::beside_a_silent_one(t, ask)),
    common::resets(P, |t| common::after_resets(t, b"reqt", ask)),
    Case::new(P, "datagram", "the datagram `reqtime` brings the time", "the UDP socket is not served", |t| {
        time_for(t, b"reqtime", "")
    })
    .datagrams(),
    Case::new(
        P,
        "datagram_line",
        "the datagram may end as a line does",
        "the request is compared with its line end",
        |t| time_for(t, b"reqtime\r\n", "\r\n"),
    )
    .advised()
    .datagrams(),
    Case::new(
        P,
        "empty_datagram",
        "an empty datagram brings an error line",
        "an empty recv is taken for the end",
        |t| error_for(t, b""),
    )
    .exact()
    .datagrams(),
    Case::new(
        P,
        "unknown_datagram",
        "any other datagram brings an error line",
        "the server says nothing",
        |t| error_for(t, b"\xff\x00what?"),
    )
    .exact()
    .datagrams(),
];

/// Whether this is strftime's `%c` in the POSIX locale: `Sat Nov 21 01:07:09 2026`.
pub(super) fn is_time(text: &str) -> bool {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let &[weekday, month, day, clock, year] = words.as_slice() else { return false };
    let number = |text: &str, below: u32| text.parse::<u32>().is_ok_and(|n| n < below);
    text.len() == 24
        && ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&weekday)
        && "JanFebMarAprMayJunJulAugSepOctNovDec".contains(month)
        && number(day, 32)
        && clock.split(':').count() == 3
        && clock.split(':').all(|part| part.len() == 2 && number(part, 61))
        && number(year, 10_000)
}

/// A time of 24 characters, then exactly `end`.
fn expect_time(client: &mut Client, end: &[u8]) -> Outcome {
    let came = client.take(24)?;
    if !is_time(&String::from_utf8_lossy(&came)) {
        return Err(client.unexpected("a time such as \"Sat Nov 21 01:07:09 2026\""));
    }
    client.expect(end).map(drop)
}

/// A time, with whatever line end the server gives it.
fn any_time(client: &mut Client) -> Outcome {
    client.skip_line_end();
    expect_time(client, b"")
}

/// As the lab's client asks: without a line end.
fn ask(client: &mut Client) -> Outcome {
    any_time(client.send(b"reqtime")?)
}

fn unterminated(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    (0..3).try_for_each(|_| ask(&mut client))?;
    expect_end(client.half_close()?)
}

/// Nothing but the line end of the last answer comes before the end.
fn expect_end(client: &mut Client) -> Outcome {
    let rest = client.rest()?;
    if rest.iter().all(|b| b"\r\n\0".contains(b)) { Ok(()) } else { Err(client.unexpected("the end")) }
}

fn line_ends(target: &Target) -> Outcome {
    for end in [b"\r\n".as_slice(), b"\n", b"\r\0"] {
        let mut client = Client::connect(target)?;
        expect_time(client.send(&[b"reqtime", end].concat())?, end)?;
        client.half_close()?.expect_eof()?;
    }
    Ok(())
}

fn several(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"reqtime\nreqtime\r\nreqtime\n")?;
    [b"\n".as_slice(), b"\r\n", b"\n"].iter().try_for_each(|end| expect_time(&mut client, end))
}

fn every_split(target: &Target) -> Outcome {
    let said = b"reqtime\r\n";
    let mut client = Client::connect(target)?;
    expect_time(client.send(said)?, b"\r\n")?;
    for at in 1..said.len() {
        let (first, second) = said.split_at(at);
        expect_time(client.send(first)?.pause(common::LONG_PAUSE).send(second)?, b"\r\n")?;
    }
    drop(client);
    let bytes: Vec<&[u8]> = said.chunks(1).collect();
    expect_time(&mut common::close_together(target, &bytes)?, b"")
}

fn half_close(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"reqtime")?.half_close()?;
    any_time(&mut client)?;
    expect_end(&mut client)
}

fn unknown(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    let line = client.send(b"what time is it? \x1b[2J\r\n")?.line()?;
    if !line.starts_with("error: ") || !line.ends_with("\r\n") || line.contains('\x1b') {
        return Err(client.unexpected("one line that begins with \"error: \", nothing hostile in it"));
    }
    expect_time(client.send(b"reqtime\r\n")?, b"\r\n")
}

fn time_for(target: &Target, question: &[u8], end: &str) -> Outcome {
    let answer = udp::ask(target, question)?;
    let text = String::from_utf8_lossy(&answer);
    if text.strip_suffix(end).is_some_and(is_time) { Ok(()) } else { Err(wrong("a time", question, &answer)) }
}

fn error_for(target: &Target, question: &[u8]) -> Outcome {
    let answer = udp::ask(target, question)?;
    if answer.starts_with(b"error: ") { Ok(()) } else { Err(wrong("an error line", question, &answer)) }
}

fn wrong(expected: &str, question: &[u8], answer: &[u8]) -> Failure {
    udp::failure(expected, question, answer, "")
}

#[cfg(test)]
mod tests {
    use super::is_time;

    #[test]
    fn a_time_is_told_from_other_text() {
        assert!(is_time("Sat Nov 21 01:07:09 2026"));
        assert!(is_time("Sun Nov  1 23:59:60 2026"));
        assert!(!is_time("2026-11-21 01:07:09"));
        assert!(!is_time("Sat Nov 21 01:07 2026   "));
        assert!(!is_time(""));
    }
}
