//! `switchboard chat`: a person, or a pipe, in a chat of lines over TCP (labs A and B). It speaks to any server
//! that passes lines on, and with `--listen` to one other program of its kind.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::output::note;
use super::talk::lines::{Lines, PAUSE};
use super::talk::{Heard, Manners, Screen, Speak, talk};
use super::target::explain;
use super::{Common, Error, Target};
use crate::config::duration;

/// The port of this program's chat service.
const PORT: u16 = 8989;
/// How long a far end may take no byte of what is said to it.
const STUCK: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  switchboard chat                          the chat of the daemon on this machine
  switchboard chat lab7 --name ali          on another one, under a name
  echo hello | switchboard chat lab7        say one thing; show what is said until it has been sent
  switchboard chat --listen 5000            wait for one other, who types:
  switchboard chat lab7:5000                and both type

exit or quit alone on a line ends it, typed or received; so do Ctrl-D and Ctrl-C. The word is not
sent: the other side sees the connection close. Exit code 0 when the conversation was ended by
either side, 1 when the network failed, 2 for wrong usage.";

/// Chat with a server, or with one other who connects
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The chat server [default: localhost:8989]
    #[arg(value_name = "HOST[:PORT]")]
    server: Option<String>,

    /// Take a name: sends `/nick NAME` first, so only for servers that know it, as ours [e.g. --name ali]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Wait for one other to connect to this port, 0 for any, instead of connecting [e.g. --listen 5000]
    #[arg(long, value_name = "PORT", conflicts_with_all = ["server", "name"])]
    listen: Option<u16>,

    /// Where --listen listens; 0.0.0.0 lets the network in [default: 127.0.0.1] [e.g. --bind 0.0.0.0]
    #[arg(long, value_name = "ADDR", requires = "listen")]
    bind: Option<IpAddr>,

    /// The words that end the chat, alone on a line, typed or received; none if empty
    /// [e.g. --quit bye,ciao]
    #[arg(long, value_name = "WORD,..", value_delimiter = ',', default_value = "exit,quit")]
    quit: Vec<String>,

    /// With piped input: how long to show what comes after the end of it, unless the server closes before
    /// [e.g. --wait 1m]
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration::parse)]
    wait: Duration,

    #[command(flatten)]
    common: Common,
}

/// Chats.
///
/// # Errors
/// No connection, or one that failed.
pub fn run(args: &Args) -> Result<(), Error> {
    let name = args.name.as_deref().map(checked_name).transpose()?;
    let (stream, other) = if let Some(port) = args.listen {
        wait_for_one(args.bind.unwrap_or(Ipv4Addr::LOCALHOST.into()), port)?
    } else {
        let server = Target::parse(args.server.as_deref().unwrap_or("localhost"), Some(PORT))?;
        (server.connect(args.common.family(), args.common.timeout)?, server.to_string())
    };
    let link = Arc::new(Link { stream, other });
    link.stream.set_write_timeout(Some(STUCK)).map_err(|error| link.failed(&error))?;
    if let Some(name) = name {
        link.say(&format!("/nick {name}"))?;
    }
    let manners = Manners {
        quit: args.quit.clone(),
        heed: true,
        wait: args.wait,
        show_own: false,
        greeting: format!("* connected to {}; {} ends it", link.other, ways_to_end(&args.quit)),
        farewell: "* the other side closed the connection",
    };
    let hear = Incoming { link: Arc::clone(&link), lines: Lines::default(), over: false };
    talk(Screen::open(), &link, hear, &manners)
}

fn ways_to_end(quit: &[String]) -> String {
    let words = quit.iter().filter(|word| !word.is_empty()).map(String::as_str);
    words.chain(["Ctrl-D"]).collect::<Vec<_>>().join(", ")
}

fn checked_name(name: &str) -> Result<&str, Error> {
    if name.is_empty() || name.contains(char::is_whitespace) || name.contains(char::is_control) {
        return Err(Error::Usage(format!("--name {name:?}: a name is a word")));
    }
    Ok(name)
}

/// Listens, and takes the first who connects; nobody else can.
fn wait_for_one(ip: IpAddr, port: u16) -> Result<(TcpStream, String), Error> {
    let wanted = SocketAddr::new(ip, port);
    let failed = |error: io::Error| Error::Network(format!("listening on {wanted}: {error}"));
    let listener = TcpListener::bind(wanted).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    // On stderr: what is on stdout was said by somebody.
    note(format_args!("listening on {address} for one other; Ctrl-C gives up"));
    let (stream, other) = listener.accept().map_err(failed)?;
    let _ = stream.set_nodelay(true);
    Ok((stream, other.to_string()))
}

/// The connection.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    /// Who is at the other end, for messages.
    other: String,
}

impl Link {
    fn failed(&self, error: &io::Error) -> Error {
        Error::Network(format!("{}: {}", self.other, explain(error)))
    }
}

impl Speak for Link {
    fn say(&self, line: &str) -> Result<(), Error> {
        (&self.stream).write_all(format!("{line}\n").as_bytes()).map_err(|error| self.failed(&error))
    }

    fn finish(&self) -> bool {
        // A peer that is gone already has closed.
        let _ = self.stream.shutdown(Shutdown::Write);
        true
    }

    fn abort(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// What the other side says.
#[derive(Debug)]
struct Incoming {
    link: Arc<Link>,
    lines: Lines,
    over: bool,
}

impl Iterator for Incoming {
    type Item = Heard;

    fn next(&mut self) -> Option<Heard> {
        let mut buffer = [0; 16 * 1024];
        while !self.over {
            let pause = self.lines.has_tail().then_some(PAUSE);
            let read =
                self.link.stream.set_read_timeout(pause).and_then(|()| (&self.link.stream).read(&mut buffer));
            let lines = match read {
                Ok(0) => {
                    self.over = true;
                    self.lines.take_tail().into_iter().collect()
                }
                Ok(n) => self.lines.push(buffer.get(..n).unwrap_or_default()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        self.lines.take_tail().into_iter().collect()
                    }
                    _ => {
                        self.over = true;
                        return Some(Err(self.link.failed(&error)));
                    }
                },
            };
            if !lines.is_empty() {
                return Some(Ok(lines));
            }
        }
        None
    }
}
