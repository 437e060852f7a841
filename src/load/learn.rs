//! What a server answers is learnt from it before the load begins, where it is not known: with a few
//! requests on connections of their own, one after the other.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::args::Speak;
use super::exchange::template::Template;
use super::exchange::{Recipe, chat, http};
use super::plan::Load;
use super::table;
use crate::client::target::explain;
use crate::client::{Error, Family};
use crate::escape::Escaped;

/// How long a server may be silent until what it has said is taken for all.
const QUIET: Duration = Duration::from_millis(200);
/// The longest reply of `raw` that is learnt.
const LONGEST: usize = 4 * 1024 * 1024;

/// Looks the server up, and finds out what it answers.
///
/// # Errors
/// It is not there, or what it answers cannot be relied on.
pub fn learn(load: &Load) -> Result<(SocketAddr, Recipe), Error> {
    if load.udp {
        let addresses = load.target.addresses(Family::Any, load.timeout)?;
        let address = addresses.first().copied().ok_or_else(|| network(load, "it has no address"))?;
        return Ok((address, recipe(load, &Dial { load, address })?));
    }
    let stream = load.target.connect(Family::Any, load.timeout)?;
    let address = stream.peer_addr().map_err(|error| network(load, &explain(&error)))?;
    // It was only to see that it is there: closed before the next, for servers that serve one at a time.
    drop(stream);
    Ok((address, recipe(load, &Dial { load, address })?))
}

fn recipe(load: &Load, dial: &Dial<'_>) -> Result<Recipe, Error> {
    let size = load.size;
    Ok(match load.speak {
        Speak::Echo => Recipe::Echo { size },
        Speak::Reqtime => Recipe::Reqtime,
        Speak::Chat => {
            let run = u32::try_from(table::mix(super::clock::now()) >> 32).unwrap_or_default();
            Recipe::Chat(chat::Recipe { size, senders: load.senders, run })
        }
        Speak::Modify => modify(load, dial)?,
        Speak::Http => http(load, dial)?,
        Speak::Raw => {
            let request = load.send.clone().unwrap_or_default();
            let reply = match &load.expect_bytes {
                Some(reply) => Some(reply.clone()),
                None => dial.reply_to(&request)?,
            };
            Recipe::Raw { request, reply: reply.filter(|reply| !reply.is_empty()) }
        }
    })
}

/// How the server is reached.
struct Dial<'a> {
    load: &'a Load,
    address: SocketAddr,
}

impl Dial<'_> {
    fn connect(&self) -> Result<TcpStream, Error> {
        let stream = TcpStream::connect_timeout(&self.address, self.load.timeout);
        stream
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Error {
        network(self.load, &explain(error))
    }

    /// What comes for bytes, until the server is quiet; none if nothing does.
    fn reply_to(&self, request: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut reply = Vec::new();
        if self.load.udp {
            let local = if self.address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let ask = || -> io::Result<Vec<u8>> {
                let socket = UdpSocket::bind(local)?;
                socket.connect(self.address)?;
                socket.set_read_timeout(Some(QUIET))?;
                socket.send(request)?;
                let mut buffer = vec![0; 64 * 1024];
                let n = socket.recv(&mut buffer)?;
                Ok(buffer.get(..n).unwrap_or_default().to_vec())
            };
            return Ok(ask().ok());
        }
        let mut stream = self.connect()?;
        stream.write_all(request).map_err(|error| self.failure(&error))?;
        read_until_quiet(&mut stream, QUIET, &mut reply).map_err(|error| self.failure(&error))?;
        if reply.len() > LONGEST {
            let text = format!("the reply has more than {LONGEST} bytes: too much to be compared; send less");
            return Err(Error::Wrong(text));
        }
        let _ = stream.shutdown(Shutdown::Both);
        Ok(Some(reply))
    }
}

fn read_until_quiet(stream: &mut TcpStream, quiet: Duration, into: &mut Vec<u8>) -> io::Result<()> {
    stream.set_read_timeout(Some(quiet))?;
    let mut buffer = [0; 16 * 1024];
    while into.len() <= LONGEST {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => into.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(error) if is_time_out(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Two lines are enough to tell how they are modified; what comes before them is the greeting.
fn modify(load: &Load, dial: &Dial<'_>) -> Result<Recipe, Error> {
    let mut stream = dial.connect()?;
    let mut greeting = Vec::new();
    read_until_quiet(&mut stream, QUIET, &mut greeting).map_err(|error| dial.failure(&error))?;
    if let Some(text) = &load.expect {
        let template = Template::parse(text).map_err(Error::Usage)?;
        return Ok(Recipe::Modify { size: load.size, template, greeting });
    }
    let mut pairs = Vec::new();
    for line in table::lines(load.size).skip(10).step_by(77).take(2) {
        let reply = ask_line(&mut stream, &line, load.timeout).map_err(|error| dial.failure(&error))?;
        pairs.push((line, reply));
    }
    let template = Template::learn(&pairs).ok_or_else(|| {
        let (line, reply) = pairs.first().cloned().unwrap_or_default();
        Error::Wrong(format!(
            "{}: it cannot be told how it modifies lines; say so with --expect. \"{}\" brought \"{}\"",
            load.target,
            Escaped::bounded(&line, 80),
            Escaped::bounded(&reply, 80)
        ))
    })?;
    Ok(Recipe::Modify { size: load.size, template, greeting })
}

fn ask_line(stream: &mut TcpStream, line: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + timeout;
    stream.write_all(line)?;
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    while !reply.ends_with(b"\n") && reply.len() < LONGEST {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => break,
            n => reply.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
    Ok(reply)
}

fn http(load: &Load, dial: &Dial<'_>) -> Result<Recipe, Error> {
    let path = load.path.as_deref().unwrap_or("/");
    let close = if load.churn { "Connection: close\r\n" } else { "" };
    let agent = concat!("switchboard/", env!("CARGO_PKG_VERSION"));
    let host = &load.target;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n{close}\r\n");
    let request = request.into_bytes();
    let mut stream = dial.connect()?;
    let reply = first_reply(&mut stream, &request, load.timeout)
        .map_err(|error| dial.failure(&error))?
        .map_err(|what| Error::Wrong(format!("{}: {what}", load.target)))?;
    Ok(Recipe::Http { request, reply })
}

/// The reply that all others are compared with.
fn first_reply(
    stream: &mut TcpStream,
    request: &[u8],
    timeout: Duration,
) -> io::Result<Result<http::Expected, String>> {
    stream.write_all(request)?;
    stream.set_read_timeout(Some(timeout))?;
    let mut reader = http::Reader::default();
    let mut body = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer)?;
        let came = buffer.get(..n).unwrap_or_default();
        let done = if n == 0 { reader.end(None) } else { reader.take_keeping(came, &mut body) };
        match done {
            Ok(0) if n == 0 => return Ok(Err("it closed before its reply was whole".to_owned())),
            Ok(0) => {}
            Ok(_) => {
                return Ok(Ok(http::Expected { status: reader.status(), length: reader.length(), body }));
            }
            Err(mistake) => {
                return Ok(Err(format!("this is no reply of HTTP: {}", mistake.came)));
            }
        }
    }
}

fn network(load: &Load, what: &str) -> Error {
    Error::Network(format!("{}: {what}", load.target))
}
