//! Where a message ends: the clients of the labs do not end theirs, telnet and nc do.

use super::common::LONG_PAUSE;
use super::modify::{P, exchange, name};
use super::{Case, Client, Outcome, Target, common};

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "line_ends",
        "the answer ends as the message did: CR LF, LF, CR NUL",
        "a fixed line end, or only one kind is known",
        line_ends,
    )
    .exact(),
    Case::new(
        P,
        "unterminated",
        "messages without a line end are answered after a pause, in lockstep",
        "the server waits for a newline",
        unterminated,
    )
    .exact(),
    Case::new(
        P,
        "several",
        "several messages in one segment bring as many answers, in order",
        "each recv is taken as one message",
        several,
    )
    .exact(),
    Case::new(
        P,
        "every_split",
        "any split of a line gives one answer",
        "each recv is taken as a message",
        every_split,
    )
    .exact(),
    Case::new(
        P,
        "slow_typist",
        "a line typed slowly by one who ends lines is one message",
        "each recv is taken as a message",
        slow_typist,
    )
    .exact(),
    Case::new(
        P,
        "bytes_close_together",
        "an unterminated message may come in pieces",
        "each recv is taken as a message",
        pieces,
    )
    .exact(),
    Case::new(
        P,
        "utf8",
        "a character cut by a pause is not answered in halves",
        "each recv is decoded on its own",
        utf8,
    )
    .exact(),
    Case::new(
        P,
        "late_line_end",
        "a line end that comes after the answer is no message",
        "an empty message is answered",
        late_line_end,
    )
    .exact(),
    Case::new(
        P,
        "late_cr_lf_in_two",
        "nor is one that comes in two pieces",
        "an empty message is answered",
        late_in_two,
    )
    .exact(),
    Case::new(P, "empty_line", "an empty line is a message", "it is taken for the end", empty_line).exact(),
    Case::new(
        P,
        "tail_at_the_end",
        "the client's end completes a message",
        "the tail is dropped",
        tail_at_the_end,
    )
    .exact(),
    Case::new(P, "lone_cr", "a CR inside a line is text", "a CR ends the line", lone_cr).exact(),
];

fn line_ends(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    for end in [b"\r\n".as_slice(), b"\n", b"\r\0", b"\r\n"] {
        exchange(&mut client, b"Hello", &name, end)?;
    }
    client.half_close()?.expect_eof()
}

fn unterminated(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    for text in [b"Hello".as_slice(), b"a longer message", b"x"] {
        exchange(&mut client, text, &name, b"")?;
    }
    client.half_close()?.expect_eof()
}

fn several(target: &Target) -> Outcome {
    let name = String::from_utf8_lossy(&name(target)?).into_owned();
    let answers = format!("one{name}\ntwo{name}\r\nthree{name}\n");
    Client::connect(target)?.send(b"one\ntwo\r\nthree\n")?.expect(answers.as_bytes()).map(drop)
}

fn every_split(target: &Target) -> Outcome {
    let name = name(target)?;
    common::every_split(target, b"H\xc3\xa9llo\r\n", &[b"H\xc3\xa9llo", name.as_slice(), b"\r\n"].concat())
}

fn slow_typist(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    exchange(&mut client, b"first", &name, b"\r\n")?;
    client.send(b"Hel")?.pause(LONG_PAUSE).send(b"lo")?.pause(LONG_PAUSE);
    client.send(b"\r")?.pause(LONG_PAUSE).send(b"\n")?;
    client.expect(&[b"Hello", name.as_slice(), b"\r\n"].concat()).map(drop)
}

fn pieces(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = common::close_together(target, &[b"H", b"el", b"lo"])?;
    client.expect(&[b"Hello", name.as_slice()].concat()).map(drop)
}

fn utf8(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    client.send(b"caf\xc3")?.pause(LONG_PAUSE).send(b"\xa9")?;
    client.expect(&["caf\u{e9}".as_bytes(), &name].concat()).map(drop)
}

fn late_line_end(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    exchange(&mut client, b"Hello", &name, b"")?;
    client.send(b"\r\n")?.pause(LONG_PAUSE);
    exchange(&mut client, b"Again", &name, b"\r\n")
}

fn late_in_two(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    exchange(&mut client, b"Hello", &name, b"")?;
    client.send(b"\r")?.pause(LONG_PAUSE).send(b"\n")?.pause(LONG_PAUSE);
    exchange(&mut client, b"Again", &name, b"\n")
}

fn empty_line(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    exchange(&mut client, b"", &name, b"\r\n")?;
    exchange(&mut client, b"", &name, b"\n")
}

fn tail_at_the_end(target: &Target) -> Outcome {
    let name = name(target)?;
    let mut client = Client::connect(target)?;
    exchange(&mut client, b"first", &name, b"\n")?;
    client.send(b"last")?.half_close()?.expect(&[b"last", name.as_slice()].concat())?.expect_eof()
}

fn lone_cr(target: &Target) -> Outcome {
    let name = name(target)?;
    exchange(&mut Client::connect(target)?, b"a\rb", &name, b"\n")
}
