//! Echo (RFC 862): every byte comes back, in order, whatever it is and however it was cut.

use super::{Case, Client, Outcome, Target, common, udp};

const P: &str = "echo";

pub(super) const CASES: &[Case] = &[
    Case::new(
        P,
        "lockstep",
        "an answer to each send, with or without a line end",
        "the server waits for a newline",
        lockstep,
    )
    .remedy("answer what recv() gives; do not wait for a line end that no one promised"),
    Case::new(
        P,
        "every_byte",
        "all 256 byte values come back",
        "bytes are decoded as text, or a NUL ends a string",
        every_byte,
    )
    .remedy("pass bytes on as bytes; decode() is for showing them"),
    Case::new(
        P,
        "every_split",
        "any split of a message gives the same bytes",
        "each recv is taken as a message",
        every_split,
    )
    .remedy("TCP is a stream: send on whatever came, and do not count on where it was cut"),
    Case::new(
        P,
        "coalesced",
        "1000 messages in one write come back as they are",
        "only the first part of a buffer is handled",
        coalesced,
    )
    .remedy("call recv() again until it returns nothing; use sendall(), since send() may take only a part"),
    Case::new(
        P,
        "half_close",
        "8 MB are owed to a client that has half-closed",
        "the server closes when recv returns nothing, before it has sent all",
        half_close,
    )
    .remedy("when recv() returns nothing, send what is still owed, then close"),
    Case::new(
        P,
        "nothing",
        "a client that sends nothing and half-closes gets the end",
        "an empty recv is not seen as the end",
        nothing,
    )
    .remedy("when recv() returns nothing, send what is still owed, then close"),
    common::three_clients(P, |t| common::crowd(t, 3, 20, ask)),
    common::thirty_clients(P, |t| common::crowd(t, 30, 20, ask)),
    common::silent_client(P, |t| common::beside_a_silent_one(t, ask)),
    common::resets(P, |t| common::after_resets(t, b"Hello", ask)),
    Case::new(
        P,
        "stalled_reader",
        "a client that sends and does not read waits; others are served; nothing is lost",
        "sendall blocks the only thread, or output is kept without bound",
        stalled_reader,
    )
    .remedy(
        "stop reading from a client that does not read; a thread of its own may simply block in sendall()",
    )
    .advised()
    .several(),
    Case::new(P, "datagram", "a datagram comes back", "the UDP socket is not served", |t| {
        udp::expect(t, b"Hello", b"Hello")
    })
    .datagrams(),
    Case::new(
        P,
        "empty_datagram",
        "an empty datagram comes back",
        "an empty recv is taken for the end",
        |t| udp::expect(t, b"", b""),
    )
    .datagrams(),
    Case::new(
        P,
        "large_datagram",
        "a datagram of 65,507 bytes comes back whole",
        "a recv buffer that is too small cuts it",
        large_datagram,
    )
    .advised()
    .datagrams(),
];

fn ask(client: &mut Client) -> Outcome {
    client.send(b"Hello there\r\n")?.expect(b"Hello there\r\n").map(drop)
}

fn lockstep(target: &Target) -> Outcome {
    let mut client = Client::connect(target)?;
    for said in [b"Hello".as_slice(), b"a", b"line\n", b"telnet\r\n", "\u{e9}\u{1f980}".as_bytes()] {
        client.send(said)?.expect(said)?;
    }
    client.half_close()?.expect_eof()
}

fn every_byte(target: &Target) -> Outcome {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut client = Client::connect(target)?;
    client.send(&bytes)?.expect(&bytes)?.half_close()?.expect_eof()
}

fn every_split(target: &Target) -> Outcome {
    common::every_split(target, b"Hello\r\n\0\xff", b"Hello\r\n\0\xff")
}

fn coalesced(target: &Target) -> Outcome {
    let many = b"Hello there\n".repeat(1000);
    Client::connect(target)?.send(&many)?.expect(&many).map(drop)
}

fn half_close(target: &Target) -> Outcome {
    let bytes: Vec<u8> =
        (0..8_000_000_u32).flat_map(|n| (n % 251).to_le_bytes().into_iter().take(1)).collect();
    let mut client = Client::connect_narrow(target)?;
    let came = client.exchange_late(&bytes)?;
    if came == bytes {
        Ok(())
    } else {
        Err(client.unexpected(&format!("8,000,000 bytes, not {}", came.len())))
    }
}

fn nothing(target: &Target) -> Outcome {
    Client::connect(target)?.half_close()?.expect_eof()
}

fn stalled_reader(target: &Target) -> Outcome {
    let (sent, came) = common::stalled(target, &[b'x'; 16_384], ask)?;
    if came.len() == sent && came.iter().all(|&b| b == b'x') {
        return Ok(());
    }
    Err(super::Failure::early(&format!("{sent} bytes"), format!("{} bytes, then the end", came.len())))
}

fn large_datagram(target: &Target) -> Outcome {
    let bytes: Vec<u8> = (0..65_507_u32).flat_map(|n| (n % 241).to_le_bytes().into_iter().take(1)).collect();
    udp::expect(target, &bytes, &bytes)
}
