//! The chat of labs A and B: what one types, all others see.

use std::time::Duration;

use super::{Case, Client, Outcome, Target, common};

const P: &str = "chat";
/// Longer than the pause after which an unterminated message is passed on.
const CHAT_PAUSE: Duration = Duration::from_millis(500);

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "others_hear",
        "the others hear a line, and the one who said it does not",
        "the message is sent to everyone",
        others_hear,
    )
    .exact(),
    Case::new(
        P,
        "order",
        "lines of one segment are heard whole and in order",
        "each recv is taken as a line",
        order,
    )
    .exact(),
    Case::new(
        P,
        "slow_typist",
        "a line typed slowly by one who ends lines is heard as one",
        "each recv is passed on",
        slow_typist,
    )
    .exact(),
    Case::new(
        P,
        "unterminated",
        "a message without a line end is heard after a pause",
        "the server waits for a newline",
        unterminated,
    )
    .exact(),
    Case::new(
        P,
        "tail_at_the_end",
        "the end of a member completes its last message",
        "the tail is dropped",
        tail_at_the_end,
    )
    .exact(),
    Case::new(P, "come_and_go", "the others hear who joins and who leaves", "nobody is told", come_and_go)
        .exact(),
    Case::new(
        P,
        "twenty",
        "each of twenty members hears every line exactly once",
        "a list is changed while it is walked",
        twenty,
    )
    .exact(),
    Case::new(
        P,
        "names",
        "a name can be taken once, and is heard with what is said",
        "two members look the same",
        names,
    )
    .exact(),
    Case::new(
        P,
        "hostile",
        "no control character of one reaches the terminal of another",
        "bytes are passed on as they are",
        hostile,
    )
    .exact(),
    Case::new(P, "utf8", "a character cut in two is heard as one", "each recv is decoded on its own", utf8)
        .exact(),
    Case::new(P, "quit", "the quit string brings the end", "only closing the window helps", quit).exact(),
    Case::new(
        P,
        "reset",
        "a member that resets is said to have left, and the others talk on",
        "one failing send ends the loop over all",
        reset,
    )
    .exact(),
    Case::new(
        P,
        "stalled_member",
        "a member that does not read keeps nobody waiting, and is told what it missed",
        "sendall blocks the only thread",
        stalled_member,
    )
    .exact(),
    Case::new(
        P,
        "half_a_line",
        "a line that is half typed is not heard",
        "each recv is passed on",
        half_a_line,
    )
    .exact(),
    Case::new(P, "telnet_options", "telnet's options are not heard", "byte 255 is passed on", telnet_options)
        .exact(),
    Case::new(P, "http", "a web page cannot speak in the room", "any text is passed on", http).exact(),
    common::endless_line(P, |t| common::too_long(t, who)),
];

/// Asks who is there; that the answer came shows that everything before it was heard.
fn who(client: &mut Client) -> Outcome {
    client.send(b"/who\n")?;
    while !client.line()?.starts_with("* here: ") {}
    Ok(())
}

/// The next line that somebody said; notices are passed over, for members of an earlier case may still
/// be leaving.
fn said(client: &mut Client) -> Outcome<String> {
    loop {
        let line = client.line()?;
        if !line.starts_with("* ") {
            return Ok(line);
        }
    }
}

/// Nothing was said to this member before the answer to its own question.
fn expect_nothing_said(client: &mut Client) -> Outcome {
    client.send(b"/who\n")?;
    loop {
        match client.line()? {
            line if line.starts_with("* here: ") => return Ok(()),
            line if line.starts_with("* ") => {}
            _ => return Err(client.unexpected("to hear nothing said")),
        }
    }
}

/// A notice with this end: `* NAME joined`.
fn expect_notice(client: &mut Client, end: &str) -> Outcome {
    loop {
        let line = client.line()?;
        if !line.starts_with("* ") {
            return Err(client.unexpected(&format!("a notice: \"*{end}\"")));
        }
        if line.trim_end().ends_with(end) {
            return Ok(());
        }
    }
}

/// The end comes, and nothing but notices before it.
fn expect_end(client: &mut Client) -> Outcome {
    let rest = client.rest()?;
    if rest.split_inclusive(|&b| b == b'\n').all(|line| line.starts_with(b"* ")) {
        return Ok(());
    }
    Err(client.unexpected("the end, and nothing said before it"))
}

/// A member that is in the room for certain, and has heard of nobody.
fn member(target: &Target) -> Outcome<Client> {
    let mut client = Client::connect(target)?;
    who(&mut client)?;
    Ok(client)
}

/// Two members who both know that the other is there.
fn two(target: &Target) -> Outcome<(Client, Client)> {
    let mut a = member(target)?;
    let b = member(target)?;
    who(&mut a)?;
    Ok((a, b))
}

/// The next line that is said is `NAME: TEXT`.
fn expect_said(client: &mut Client, text: &str) -> Outcome {
    if said(client)?.ends_with(&format!(
        ": {text}
"
    )) {
        return Ok(());
    }
    Err(client.unexpected(&format!("\"NAME: {text}\"")))
}

fn others_hear(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    a.send(b"Hello there\r\n")?;
    expect_said(&mut b, "Hello there")?;
    expect_nothing_said(&mut a)
}

fn order(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    let lines: Vec<String> = (0..200).map(|n| format!("line {n}")).collect();
    a.send((lines.join("\n") + "\n").as_bytes())?;
    lines.iter().try_for_each(|line| expect_said(&mut b, line))
}

fn slow_typist(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    a.send(b"Hel")?.pause(CHAT_PAUSE).send(b"lo")?.pause(CHAT_PAUSE).send(b"\n")?;
    expect_said(&mut b, "Hello")
}

fn unterminated(target: &Target) -> Outcome {
    let mut hears = member(target)?;
    let mut says = Client::connect(target)?;
    says.send(b"Hello there")?;
    expect_said(&mut hears, "Hello there")?;
    says.send(b"and again")?;
    expect_said(&mut hears, "and again")
}

fn tail_at_the_end(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    a.send(b"my last words")?.half_close()?;
    expect_said(&mut b, "my last words")?;
    expect_end(&mut a)
}

fn come_and_go(target: &Target) -> Outcome {
    let mut stays = member(target)?;
    let mut goes = member(target)?;
    expect_notice(&mut stays, " joined")?;
    goes.send(b"/nick Bo\n")?;
    // Those of an earlier case may still be leaving.
    expect_notice(&mut goes, " you are Bo")?;
    goes.half_close()?;
    expect_notice(&mut stays, " is now Bo")?;
    expect_notice(&mut stays, " Bo left")
}

fn twenty(target: &Target) -> Outcome {
    let mut members = (0..20).map(|_| member(target)).collect::<Outcome<Vec<_>>>()?;
    for (n, member) in members.iter_mut().enumerate() {
        member.send(format!("I am {n}\nnice to meet you, says {n}\n").as_bytes())?;
    }
    for (n, member) in members.iter_mut().enumerate() {
        let mut heard = (0..38).map(|_| said(member)).collect::<Outcome<Vec<_>>>()?;
        heard.sort();
        heard.dedup();
        let own = format!("I am {n}\n");
        if heard.len() != 38 || heard.iter().any(|line| line.ends_with(&own)) {
            return Err(member.unexpected("38 lines of 19 others, each once"));
        }
        expect_nothing_said(member)?;
    }
    Ok(())
}

fn names(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    a.send(b"/nick Ali\n")?;
    expect_notice(&mut a, " you are Ali")?;
    expect_notice(&mut b, " is now Ali")?;
    b.send(b"/nick ali\n")?;
    while !b.line()?.starts_with("* ali is taken") {}
    a.send(b"it is me\n")?;
    if said(&mut b)? == "Ali: it is me\n" { Ok(()) } else { Err(b.unexpected("\"Ali: it is me\"")) }
}

fn hostile(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    a.send(b"a\x1b[2J\x07\x08b\rc\x7f\x00 \xc2\x9b31m\xe2\x80\xae \xff\xff.\n")?;
    let heard = said(&mut b)?;
    let hidden = |c: char| c.is_control() || c == '\u{202e}';
    if heard.trim_end_matches('\n').contains(hidden) || !heard.ends_with(".\n") {
        return Err(b.unexpected("a line without control characters"));
    }
    a.send(b"/nick \x1b[2J\n")?;
    a.send(b"and this\n")?;
    expect_said(&mut b, "and this")
}

fn utf8(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    let (first, second) = "na\u{ef}ve \u{1f980}\n".as_bytes().split_at(9);
    a.send(first)?.pause(CHAT_PAUSE).send(second)?;
    expect_said(&mut b, "na\u{ef}ve \u{1f980}")
}

fn quit(target: &Target) -> Outcome {
    for word in [b"/quit\r\n".as_slice(), b"exit\n", b"quit\n"] {
        let mut client = member(target)?;
        expect_end(client.send(word)?)?;
    }
    Ok(())
}

fn reset(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    let mut leaves = member(target)?;
    leaves.send(b"half a li")?;
    leaves.reset();
    expect_notice(&mut a, " left")?;
    a.send(b"still here\n")?;
    expect_said(&mut b, "still here")
}

fn stalled_member(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    let mut stalled = member(target)?;
    let line = "x".repeat(4000);
    // More than the kernel keeps for one connection, and the room's log after that.
    for n in 0..3000 {
        a.send(format!("{n} {line}\n").as_bytes())?;
        expect_said(&mut b, &format!("{n} {line}"))?;
    }
    let mut missed = 0;
    loop {
        let heard = stalled.line()?;
        missed += usize::from(heard.starts_with("* you missed "));
        if heard.contains(": 2999 x") {
            break;
        }
    }
    if missed > 0 { Ok(()) } else { Err(stalled.unexpected("to be told what was missed")) }
}

fn half_a_line(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    a.send(b"half a li")?.pause(CHAT_PAUSE);
    who(&mut b)?;
    a.send(b"ne\n")?;
    expect_said(&mut b, "half a line")
}

fn telnet_options(target: &Target) -> Outcome {
    let (mut a, mut b) = two(target)?;
    a.send(b"\xff\xfb\x1fHe\xff\xf1llo\xff\xfd\x06\r\n")?.find(b"\xff\xfe\x1f\xff\xfb\x06")?;
    expect_said(&mut b, "Hello")
}

fn http(target: &Target) -> Outcome {
    let mut hears = member(target)?;
    let mut says = member(target)?;
    expect_notice(&mut hears, " joined")?;
    common::http_refused(target)?;
    says.send(b"what a human says\n")?;
    loop {
        match hears.line()? {
            line if line.ends_with(": what a human says\n") => return Ok(()),
            // Members of an earlier case may still be leaving, but nobody joins.
            line if line.ends_with(" left\n") => {}
            _ => return Err(hears.unexpected("nothing of the browser that came to the wrong port")),
        }
    }
}
