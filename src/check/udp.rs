//! Datagrams: one question, one answer.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::{Failure, Outcome, Target};

/// A datagram may be lost, so a question is put this often.
const TRIES: u32 = 3;
/// How long to listen for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(200);

/// Sends a datagram; the datagram that answers it.
pub(super) fn ask(target: &Target, question: &[u8]) -> Outcome<Vec<u8>> {
    let socket = socket(target)?;
    let expected = "a datagram in answer";
    let fail = |error: io::Error| failure(expected, question, &[], &error.to_string());
    socket.set_read_timeout(Some(target.within / TRIES)).map_err(fail)?;
    let mut buffer = vec![0; 65_536];
    for _ in 0..TRIES {
        socket.send(question).map_err(fail)?;
        if let Ok(n) = socket.recv(&mut buffer) {
            buffer.truncate(n);
            return Ok(buffer);
        }
    }
    Err(failure(expected, question, &[], &format!("nothing for {:?}", target.within)))
}

/// Sends a datagram; exactly `answer` comes back.
pub(super) fn expect(target: &Target, question: &[u8], answer: &[u8]) -> Outcome {
    let came = ask(target, question)?;
    if came == answer { Ok(()) } else { Err(failure("another answer", question, &came, "")) }
}

/// Sends a datagram; nothing comes back.
pub(super) fn expect_silence(target: &Target, question: &[u8]) -> Outcome {
    let socket = socket(target)?;
    let expected = "no answer";
    let fail = |error: io::Error| failure(expected, question, &[], &error.to_string());
    socket.set_read_timeout(Some(SILENCE)).map_err(fail)?;
    socket.send(question).map_err(fail)?;
    let mut buffer = [0; 1024];
    match socket.recv(&mut buffer) {
        Ok(n) => Err(failure(expected, question, buffer.get(..n).unwrap_or_default(), "")),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(fail(error)),
    }
}

/// What is wrong with an answer.
pub(super) fn failure(expected: &str, sent: &[u8], came: &[u8], ended: &str) -> Failure {
    Failure { expected: expected.to_owned(), sent: sent.into(), came: came.into(), ended: ended.to_owned() }
}

fn socket(target: &Target) -> Outcome<UdpSocket> {
    let Some(address) = target.udp else {
        return Err(Failure::early("an address for datagrams", "none given"));
    };
    let from: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let open = || {
        let socket = UdpSocket::bind(from)?;
        socket.connect(address)?;
        Ok(socket)
    };
    open().map_err(|error: io::Error| Failure::early("a socket", error))
}
