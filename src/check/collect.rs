//! The server of lab C that receives until the client is done. What it shows cannot be seen from here.

use super::{Case, Client, Outcome, Target, common};

const P: &str = "collect";

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "silence",
        "nothing is answered, and the end comes after the client's",
        "the server answers, or never closes",
        silence,
    )
    .remedy("when recv() returns nothing, send what is still owed, then close"),
    Case::new(
        P,
        "nothing",
        "a client that sends nothing gets the end",
        "an empty recv is not seen as the end",
        |t| Client::connect(t)?.half_close()?.expect_eof(),
    )
    .remedy("when recv() returns nothing, send what is still owed, then close"),
    Case::new(P, "pieces", "pieces may come slowly", "only the first recv is taken", pieces)
        .remedy("call recv() again until it returns nothing"),
    Case::new(
        P,
        "much",
        "two megabytes are taken",
        "what is received is kept without bound, or not read",
        |t| Client::connect(t)?.send(&vec![b'x'; 2_000_000])?.half_close()?.expect_eof(),
    ),
    common::three_clients(P, |t| common::crowd(t, 3, 10, ask)),
    common::thirty_clients(P, |t| common::crowd(t, 30, 3, ask)),
    Case::new(
        P,
        "silent_client",
        "a silent client keeps nobody waiting",
        "a blocking recv in the only thread",
        beside_a_silent_one,
    )
    .several(),
    Case::new(
        P,
        "reset",
        "clients that reset harm nobody",
        "ConnectionResetError is not caught",
        after_resets,
    )
    .remedy("catch OSError around recv() and sendall(), and go on with the other clients"),
];

fn ask(client: &mut Client) -> Outcome {
    client.send(b"Hello, world\n").map(drop)
}

fn silence(target: &Target) -> Outcome {
    Client::connect(target)?.send(b"Hello, world")?.half_close()?.expect_eof()
}

fn pieces(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    client.send(b"Hello,")?.pause(common::LONG_PAUSE).send(b" world")?.half_close()?.expect_eof()
}

fn beside_a_silent_one(target: &Target) -> Outcome {
    let _silent = Client::connect(target)?;
    silence(target)
}

fn after_resets(target: &Target) -> Outcome {
    for _ in 0..10 {
        let mut client = Client::connect(target)?;
        ask(&mut client)?;
        client.reset();
    }
    silence(target)
}
