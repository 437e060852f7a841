//! The servers of labs B and D, whatever they make of a message: it must depend on what was sent.

use super::learned::Learned;
use super::{Case, Client, Outcome, Target, common};

const P: &str = "modify";

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "next_client",
        "when a client has gone, the next one is served",
        "accept is called once",
        next_client,
    )
    .remedy("accept() belongs into a loop of its own, around the loop that serves a client"),
    Case::new(
        P,
        "depends",
        "the answer is made of the message, and comes though no line end was sent",
        "the server waits for a newline, or always says the same",
        |t| Learned::from(t).map(drop),
    )
    .remedy("answer what recv() gives; the labs' clients end nothing and wait for the answer"),
    Case::new(
        P,
        "lockstep",
        "one message after the other is answered on one connection",
        "the server closes, or stops listening, after the first",
        lockstep,
    )
    .remedy("call recv() in a loop until it returns nothing"),
    Case::new(
        P,
        "telnet",
        "what telnet sends, a line, is answered",
        "only text without a line end is known",
        telnet,
    )
    .remedy("strip \\r\\n before you change the text, and put it behind the answer"),
    Case::new(
        P,
        "last_words",
        "a message followed at once by the client's end is answered, then the end comes",
        "the bytes that came with the end are lost, or the server never closes",
        last_words,
    )
    .remedy("when recv() returns nothing, send what is still owed, then close"),
    Case::new(
        P,
        "a_thousand_bytes",
        "a message of 1,000 bytes gets one answer",
        "recv is called with too small a size",
        |t| one(t, &"x".repeat(1000)),
    )
    .remedy("the sheet receives up to 1024 bytes at once"),
    Case::new(
        P,
        "not_ascii",
        "a message with other letters than those of ASCII is answered",
        "the message is decoded as ASCII",
        not_ascii,
    )
    .advised(),
    common::three_clients(P, |t| crowd(t, 3)),
    common::thirty_clients(P, |t| crowd(t, 30)),
    common::silent_client(P, silent_client),
    common::resets(P, reset),
];

/// One message in one send, and its answer.
fn exchange(client: &mut Client, text: &str, learned: &Learned) -> Outcome {
    client.send(text.as_bytes())?.expect(&learned.answer(text)).map(drop)
}

fn one(target: &Target, text: &str) -> Outcome {
    let learned = Learned::from(target)?;
    exchange(&mut Client::connect(target)?, text, &learned)
}

fn lockstep(target: &Target) -> Outcome {
    let learned = Learned::from(target)?;
    let mut client = Client::connect(target)?;
    ["Hello", "a longer message than that", "x", "Hello"]
        .iter()
        .try_for_each(|text| exchange(&mut client, text, &learned))
}

fn telnet(target: &Target) -> Outcome {
    let learned = Learned::from(target)?;
    let mut client = Client::connect(target)?;
    for text in ["Hello", "once more"] {
        client.send(text.as_bytes())?.send(b"\r\n")?;
        let (core, quiet) = (learned.core(text), common::LONG_PAUSE * 4);
        let came = client.until_quiet(quiet)?;
        if came.is_empty() || !contains(&came, &core) {
            return Err(client.unexpected("an answer to the line"));
        }
    }
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

fn next_client(target: &Target) -> Outcome {
    // A line, so that a server that waits for one passes here and fails where that is the matter.
    (0..3).try_for_each(|_| {
        let mut client = Client::connect(target)?;
        client.send(b"Hello\n")?.until_quiet(common::LONG_PAUSE)?;
        client.half_close()?.rest().map(drop)
    })
}

fn last_words(target: &Target) -> Outcome {
    let learned = Learned::from(target)?;
    let mut client = Client::connect(target)?;
    client.send(b"last words")?.half_close()?.expect(&learned.answer("last words"))?.expect_eof()
}

fn not_ascii(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send("na\u{ef}ve \u{1f980}".as_bytes())?;
    let came = client.until_quiet(common::LONG_PAUSE * 4)?;
    if came.is_empty() { Err(client.unexpected("an answer")) } else { Ok(()) }
}

/// `n` clients at once, each with three exchanges.
fn crowd(target: &Target, n: usize) -> Outcome {
    let learned = Learned::from(target)?;
    let mut clients = (0..n).map(|_| Client::connect(target)).collect::<Outcome<Vec<_>>>()?;
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            exchange(client, &format!("client {number}, message {round}"), &learned)?;
        }
    }
    Ok(())
}

fn silent_client(target: &Target) -> Outcome {
    let learned = Learned::from(target)?;
    let _silent = Client::connect(target)?;
    exchange(&mut Client::connect(target)?, "Hello", &learned)
}

fn reset(target: &Target) -> Outcome {
    let learned = Learned::from(target)?;
    for n in 0..10 {
        let mut leaves = Client::connect(target)?;
        if n % 2 == 0 {
            leaves.send(b"Hello")?;
        }
        leaves.reset();
    }
    exchange(&mut Client::connect(target)?, "Hello", &learned)
}
