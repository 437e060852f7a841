//! One question and its answer, with the moments between which the server looked at its clock.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::answer::{self, LENGTH};
use super::{Args, Bounds, Error, Protocol, Target, since_epoch};
use crate::client::common::udp_socket;
use crate::escape::Escaped;

/// An answer longer than this is none; it is read no further.
const LONGEST: usize = 512;

/// What one answer says.
#[derive(Debug)]
pub(super) struct Sample {
    /// The server's time in seconds since 1970.
    pub(super) server: i64,
    /// From the question to the last byte of the answer.
    pub(super) delay: Duration,
    pub(super) bounds: Bounds,
}

/// Asks once.
pub(super) fn sample(
    args: &Args,
    target: &Target,
    protocol: Protocol,
    zone: &TimeZone,
) -> Result<Sample, Error> {
    let (asked, answer) =
        if args.udp { by_datagram(args, target, protocol)? } else { by_connection(args, target, protocol)? };
    let (delay, now) = (asked.0.elapsed(), Timestamp::now());
    let answered = since_epoch(SystemTime::now());
    let server = answer::read(&answer, protocol, zone, now)
        .map_err(|wrong| Error::Wrong(format!("{target}: {wrong}; does it speak {}?", protocol.name())))?;
    Ok(Sample { server, delay, bounds: Bounds::new(server, since_epoch(asked.1), answered) })
}

/// On both clocks: one to measure by, one to compare.
type Moment = (Instant, SystemTime);

fn now() -> Moment {
    (Instant::now(), SystemTime::now())
}

fn request(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Reqtime => b"reqtime",
        Protocol::Daytime | Protocol::Time => b"",
    }
}

fn by_connection(args: &Args, target: &Target, protocol: Protocol) -> Result<(Moment, Vec<u8>), Error> {
    let failed = |error: io::Error| target.failed(&error);
    // Each sample has a connection of its own: many servers answer one question, then close.
    let mut asked = now();
    let mut stream = args.common.connect(target)?;
    if protocol == Protocol::Reqtime {
        // The others look at their clocks when the connection comes.
        asked = now();
        stream.write_all(request(protocol)).map_err(failed)?;
    }
    let mut answer = Vec::new();
    let mut buffer = [0; LONGEST];
    let end = Instant::now() + args.common.timeout;
    while !is_whole(&answer, protocol) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(error) if answer.is_empty() => return Err(failed(error)),
            Err(error) => return Err(partly(target, &answer, &error)),
        }
        if Instant::now() > end {
            return Err(partly(target, &answer, &io::ErrorKind::TimedOut.into()));
        }
    }
    if answer.is_empty() { Err(failed(io::ErrorKind::UnexpectedEof.into())) } else { Ok((asked, answer)) }
}

/// Failing in the middle of an answer.
fn partly(target: &Target, answer: &[u8], error: &io::Error) -> Error {
    let shown = Escaped::bounded(answer, 60);
    Error::Network(format!("{target}: only \"{shown}\" came; {}", crate::client::target::explain(error)))
}

fn is_whole(answer: &[u8], protocol: Protocol) -> bool {
    match protocol {
        Protocol::Time => answer.len() >= 4,
        Protocol::Reqtime => answer.len() >= LENGTH || answer.ends_with(b"\n"),
        Protocol::Daytime => answer.len() >= LONGEST || answer.ends_with(b"\n"),
    }
}

fn by_datagram(args: &Args, target: &Target, protocol: Protocol) -> Result<(Moment, Vec<u8>), Error> {
    let failed = |error: io::Error| target.failed(&error);
    let socket = udp_socket(target, &args.common)?;
    socket.set_read_timeout(Some(args.common.timeout)).map_err(failed)?;
    let asked = now();
    socket.send(request(protocol)).map_err(failed)?;
    let mut buffer = vec![0; LONGEST];
    let n = socket.recv(&mut buffer).map_err(failed)?;
    buffer.truncate(n);
    Ok((asked, buffer))
}
