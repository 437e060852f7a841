//! Discard (RFC 863), daytime (RFC 867), time (RFC 868) and chargen (RFC 864).

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Case, Client, Failure, Outcome, Target, common, reqtime, udp};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "discard",
        "silence",
        "nothing comes back, and the end after the client's",
        "something is answered",
        discard,
    ),
    Case::new("discard", "much", "a megabyte is read", "the server does not read", discard_much),
    common::thirty_clients("discard", |t| common::crowd(t, 30, 3, discard_some)),
    common::resets("discard", |t| common::after_resets(t, b"x", discard_some)),
    Case::new("discard", "datagram", "a datagram is not answered", "something is answered", |t| {
        udp::expect_silence(t, b"Hello")
    })
    .datagrams(),
    Case::new(
        "discard",
        "empty_datagram",
        "an empty datagram is not answered",
        "something is answered",
        |t| udp::expect_silence(t, b""),
    )
    .datagrams(),
    Case::new(
        "daytime",
        "line",
        "one line with the time, then the end",
        "the server waits for a request",
        daytime,
    ),
    Case::new(
        "daytime",
        "unasked_input",
        "what a client sends anyway does not cost it the answer",
        "closing on unread input resets the connection",
        daytime_with_input,
    )
    .advised(),
    Case::new("daytime", "thirty_clients", "thirty clients at once get the time", "a small backlog", |t| {
        (0..30).try_for_each(|_| daytime(t))
    })
    .several(),
    Case::new("daytime", "datagram", "any datagram brings the time", "the request is looked at", |t| {
        daytime_datagram(t, b"what time is it?")
    })
    .datagrams(),
    Case::new(
        "daytime",
        "empty_datagram",
        "an empty datagram brings the time",
        "an empty recv is taken for the end",
        |t| daytime_datagram(t, b""),
    )
    .datagrams(),
    Case::new(
        "time",
        "seconds",
        "four bytes, the seconds since 1900, then the end",
        "seconds since 1970, or the wrong byte order",
        time,
    ),
    Case::new(
        "time",
        "unasked_input",
        "what a client sends anyway does not cost it the answer",
        "closing on unread input resets the connection",
        time_with_input,
    )
    .advised(),
    Case::new("time", "datagram", "any datagram brings the seconds", "the request is looked at", |t| {
        seconds(&udp::ask(t, b"x")?)
    })
    .datagrams(),
    Case::new(
        "time",
        "empty_datagram",
        "an empty datagram brings the seconds",
        "an empty recv is taken for the end",
        |t| seconds(&udp::ask(t, b"")?),
    )
    .datagrams(),
    Case::new(
        "chargen",
        "pattern",
        "lines of 72 characters that rotate through all 95",
        "lines of another length",
        chargen,
    ),
    Case::new(
        "chargen",
        "input_is_ignored",
        "what a client sends changes nothing",
        "input is echoed",
        chargen_with_input,
    ),
    Case::new(
        "chargen",
        "stalled_reader",
        "a client that does not read keeps nobody waiting, and misses nothing",
        "sendall blocks the only thread",
        chargen_stalled,
    )
    .advised()
    .several(),
    Case::new(
        "chargen",
        "thirty_clients",
        "thirty clients are served at once",
        "one client is served until it leaves",
        chargen_crowd,
    )
    .several(),
    common::resets("chargen", |t| common::after_resets(t, b"x", |client| client.take(74).map(drop))),
];

fn discard(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"Hello\r\n")?.send(&[0, 255])?.half_close()?.expect_eof()
}

fn discard_much(target: &Target) -> Outcome {
    Client::connect(target)?.send(&vec![b'x'; 1_000_000])?.half_close()?.expect_eof()
}

fn discard_some(client: &mut Client) -> Outcome {
    client.send(&[b'x'; 10_000]).map(drop)
}

fn daytime(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    expect_time(&mut client)
}

fn daytime_with_input(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(&[b'x'; 10_000])?;
    expect_time(&mut client)
}

fn expect_time(client: &mut Client) -> Outcome {
    let line = client.line()?;
    if !line.strip_suffix("\r\n").is_some_and(reqtime::is_time) {
        return Err(client.unexpected("a time such as \"Sat Nov 21 01:07:09 2026\", CR LF"));
    }
    client.expect_eof()
}

fn daytime_datagram(target: &Target, question: &[u8]) -> Outcome {
    let answer = String::from_utf8_lossy(&udp::ask(target, question)?).into_owned();
    if answer.strip_suffix("\r\n").is_some_and(reqtime::is_time) {
        return Ok(());
    }
    Err(udp::failure("a time such as \"Sat Nov 21 01:07:09 2026\", CR LF", question, answer.as_bytes(), ""))
}

fn time(target: &Target) -> Outcome {
    seconds(&Client::connect(target)?.rest()?)
}

fn time_with_input(target: &Target) -> Outcome {
    seconds(&Client::connect(target)?.send(&[b'x'; 10_000])?.rest()?)
}

/// Four bytes that are the present time, give or take an hour for clocks that differ.
fn seconds(answer: &[u8]) -> Outcome {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + 2_208_988_800;
    let expected = format!("4 bytes, about {now} in network order");
    match answer {
        &[a, b, c, d] if u64::from(u32::from_be_bytes([a, b, c, d])).abs_diff(now & 0xffff_ffff) < 3600 => {
            Ok(())
        }
        _ => Err(udp::failure(&expected, b"", answer, "")),
    }
}

/// Whole lines of the stream, from its beginning.
fn check_pattern(came: &[u8]) -> Outcome {
    for (number, line) in came.chunks_exact(74).enumerate() {
        let characters =
            (0..72).map(|place| (number + place) % 95).map(|n| b' ' + u8::try_from(n).unwrap_or(0));
        let wanted: Vec<u8> = characters.chain(*b"\r\n").collect();
        if line != wanted {
            let expected = format!("line {number}: {}", String::from_utf8_lossy(&wanted));
            return Err(udp::failure(&expected, b"", line, ""));
        }
    }
    Ok(())
}

fn chargen(target: &Target) -> Outcome {
    check_pattern(&Client::connect(target)?.take(74 * 10_000)?)
}

fn chargen_with_input(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    let mut came = client.take(74)?;
    client.send(b"stop\r\n")?;
    came.extend(client.take(74 * 200)?);
    check_pattern(&came)
}

fn chargen_stalled(target: &Target) -> Outcome {
    let mut stalled = Client::connect(target)?;
    stalled.take(1)?;
    chargen_crowd(target)?;
    let mut came = vec![b' '];
    came.extend(stalled.take(74 * 100_000 - 1)?);
    check_pattern(&came)
}

fn chargen_crowd(target: &Target) -> Outcome {
    let mut clients = (0..30).map(|_| Client::connect(target)).collect::<Outcome<Vec<_>>>()?;
    clients.iter_mut().try_for_each(|client| check_pattern(&client.take(74 * 100)?))?;
    if clients.len() == 30 { Ok(()) } else { Err(Failure::early("thirty clients", clients.len())) }
}
