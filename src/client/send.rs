//! `send`: the labs' `tcp_send`, and their UDP sender. A text goes out as it is, without a line end.
//!
//! Over TCP the sending side is then closed and what comes back is shown: who closes a connection at once
//! while something comes may destroy what it has sent. Over UDP nobody says whether it arrived.

use std::io::{self, IsTerminal, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::common::{LineEnd, timeout, udp_socket};
use super::output::Output;
use super::{Common, Error, Target};
use crate::limits::DATAGRAM;

/// Where the labs' receivers listen.
pub(super) const PORT: u16 = 40_000;
/// How long over TCP an answer is waited for, unless said: most receivers just close.
const PATIENCE: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  switchboard send 192.168.1.5 Hello there       to a tcp_receive, or switchboard listen
  switchboard send --udp localhost Hello there
  switchboard send --broadcast Hello there       to everyone on the LAN, UDP port 40000
  switchboard send localhost exit                ends switchboard listen
  switchboard send localhost:9090 < notes.txt    whatever comes in, exactly

What is not given is asked for on a terminal.";

/// Whom to send what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The receiver.
    #[arg(value_name = "HOST[:PORT]")]
    #[arg(help = "The receiver, port 40000 unless said; with --broadcast it is left out \
                  [e.g. localhost, 192.168.1.5:9090 or [::1]:40000]")]
    pub receiver: Option<String>,

    /// The text, words joined by spaces; standard input if there is none [e.g. Hello there]
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,

    /// Send one datagram instead of using a connection [e.g. --udp]
    #[arg(short, long)]
    pub udp: bool,

    /// Send a datagram to everyone on the LAN [e.g. --broadcast Hello]
    #[arg(short, long)]
    pub broadcast: bool,

    /// The port that --broadcast sends to [e.g. --port 5000] [default: 40000]
    #[arg(short, long, value_name = "PORT", requires = "broadcast")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// What to put behind the text: lf and crlf for receivers that read lines [e.g. --line-end lf]
    #[arg(
        short = 'e',
        long,
        value_name = "none|lf|crlf",
        default_value = "none",
        hide_possible_values = true
    )]
    pub line_end: LineEnd,

    /// How long to wait for an answer, each time [e.g. --wait 5s] [default: 500ms; with --udp, not at all]
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub wait: Option<Duration>,

    /// -4, -6, --timeout.
    #[command(flatten)]
    pub common: Common,
}

/// Sends, and shows what comes back.
///
/// # Errors
/// The network failed, or it is not said whom to send what.
pub fn run(args: &Args) -> Result<(), Error> {
    let (target, words) = receiver(args)?;
    let text = if words.is_empty() { ask_text()? } else { Some(words.join(" ").into_bytes()) };
    let text = text.map(|mut text| {
        text.extend_from_slice(args.line_end.bytes());
        text
    });
    if args.udp || args.broadcast {
        by_datagram(args, &target, text)
    } else {
        by_connection(args, &target, text)
    }
}

/// Whom to send to, and the words of the text.
fn receiver(args: &Args) -> Result<(Target, Vec<String>), Error> {
    let mut words = args.text.clone();
    let receiver = if args.broadcast {
        // All words are the text: there is no one to name.
        words.splice(0..0, args.receiver.clone());
        format!("255.255.255.255:{}", args.port.unwrap_or(PORT))
    } else {
        match &args.receiver {
            Some(receiver) => receiver.clone(),
            None => ask("address: ")?.ok_or_else(|| {
                Error::Usage(
                    "whom to send to? HOST[:PORT] is missing, as in switchboard send localhost Hello"
                        .to_owned(),
                )
            })?,
        }
    };
    Ok((Target::parse(&receiver, Some(PORT))?, words))
}

/// A line that a person types; `None` where there is no person.
fn ask(question: &str) -> Result<Option<String>, Error> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut stderr = io::stderr();
    let _ = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
    let mut line = String::new();
    let n = io::stdin().read_line(&mut line).map_err(input_failed)?;
    Ok((n > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The text of a person; `None` if it is to be copied from standard input.
fn ask_text() -> Result<Option<Vec<u8>>, Error> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let typed = ask("message: ")?;
    typed.map(|text| Some(text.into_bytes())).ok_or_else(|| Error::Usage("no message was typed".to_owned()))
}

fn input_failed(error: io::Error) -> Error {
    Error::File { what: "standard input".to_owned(), error }
}

fn by_connection(args: &Args, target: &Target, text: Option<Vec<u8>>) -> Result<(), Error> {
    let mut stream = args.common.connect(target)?;
    match text {
        Some(text) => stream.write_all(&text).map_err(|error| target.failed(&error))?,
        None => copy_input(&mut stream, target)?,
    }
    match stream.shutdown(Shutdown::Write) {
        Err(error) if error.kind() != io::ErrorKind::NotConnected => return Err(target.failed(&error)),
        _ => {}
    }
    show_answer(&mut stream, target, args.wait.unwrap_or(PATIENCE))
}

fn copy_input(stream: &mut TcpStream, target: &Target) -> Result<(), Error> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = match io::stdin().lock().read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(input_failed(error)),
        };
        let bytes = buffer.get(..n).unwrap_or_default();
        stream.write_all(bytes).map_err(|error| target.failed(&error))?;
    }
}

/// Shows what comes until the receiver closes, or is quiet for so long.
fn show_answer(stream: &mut TcpStream, target: &Target, wait: Duration) -> Result<(), Error> {
    stream.set_read_timeout(Some(wait)).map_err(|error| target.failed(&error))?;
    let (mut output, mut buffer, mut last) = (Output::new(), vec![0; 64 * 1024], None);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                let bytes = buffer.get(..n).unwrap_or_default();
                output.theirs(bytes)?;
                last = bytes.last().copied();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_time_out(&error) => break,
            Err(error) => return Err(target.failed(&error)),
        }
    }
    end_line(&mut output, last)
}

/// A person's prompt belongs on a line of its own.
fn end_line(output: &mut Output, last: Option<u8>) -> Result<(), Error> {
    if output.is_terminal() && last.is_some_and(|last| last != b'\n') { output.write(b"\n") } else { Ok(()) }
}

fn by_datagram(args: &Args, target: &Target, text: Option<Vec<u8>>) -> Result<(), Error> {
    let text = match text {
        Some(text) => text,
        None => datagram_of_input()?,
    };
    if text.len() > DATAGRAM {
        return Err(Error::Usage(format!("the text does not fit a datagram: {DATAGRAM} bytes at the most")));
    }
    let failed = |error: io::Error| target.failed(&error);
    let socket = if args.broadcast {
        UdpSocket::bind("0.0.0.0:0").map_err(failed)?
    } else {
        udp_socket(target, &args.common)?
    };
    if args.broadcast {
        socket.set_broadcast(true).map_err(failed)?;
        socket.send_to(&text, (target.host.as_str(), target.port)).map_err(failed)?;
    } else {
        socket.send(&text).map_err(failed)?;
        // Where nothing listens on this very machine, the kernel knows at once.
        socket.take_error().map_err(failed)?.map_or(Ok(()), |error| Err(failed(error)))?;
    }
    args.wait.map_or(Ok(()), |wait| show_datagrams(&socket, target, wait, args.broadcast))
}

fn datagram_of_input() -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    io::stdin().lock().take(DATAGRAM as u64 + 1).read_to_end(&mut text).map_err(input_failed)?;
    Ok(text)
}

/// Shows the datagram that comes within the time, as a line; `all` of them where many were asked.
fn show_datagrams(socket: &UdpSocket, target: &Target, wait: Duration, all: bool) -> Result<(), Error> {
    let (mut output, mut buffer, end) = (Output::new(), vec![0; DATAGRAM], Instant::now() + wait);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        socket.set_read_timeout(Some(left)).map_err(|error| target.failed(&error))?;
        match socket.recv(&mut buffer) {
            Ok(n) => {
                output.their_line(buffer.get(..n).unwrap_or_default())?;
                if !all {
                    return Ok(());
                }
            }
            Err(error) if is_time_out(&error) => return Ok(()),
            Err(error) => return Err(target.failed(&error)),
        }
    }
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
