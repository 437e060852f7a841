//! `listen`: the labs' `tcp_receive` and UDP receiver. Shows who connects and what comes.
//!
//! What comes goes to stdout, exactly, or escaped on a terminal; what is said about it to stderr. So
//! `switchboard listen > file` has in the file what was sent, and nothing else.

use std::time::{Duration, Instant};

use super::common::timeout;
use super::output::{Output, note};
use super::send::PORT;
use super::wait::{Interrupt, Ready};
use super::{Error, Family};

mod ports;
mod sender;
mod tcp;
mod udp;

use ports::Ports;

const EXAMPLES: &str = "\
Examples:
  switchboard listen                     the labs' tcp_receive, port 40000; \"exit\" ends it
  switchboard listen 9090 --until-eof    the labs' sock_server
  switchboard listen --once > message    one message into a file
  switchboard listen --udp --reply OK    answers each datagram
  switchboard listen --broadcast         beside other receivers on this machine

What comes is on stdout, everything else on stderr.";

/// Where to listen, and when to stop.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The port on all addresses of this machine, or one address and a port; port 0 is any free one
    /// [e.g. 9090 or 127.0.0.1:9090] [default: 40000]
    #[arg(value_name = "[ADDRESS:]PORT")]
    pub port: Option<String>,

    /// Receive datagrams instead of connections [e.g. --udp]
    #[arg(short, long)]
    pub udp: bool,

    /// Receive datagrams, also broadcast ones, and share the port with other receivers here
    /// [e.g. --broadcast]
    #[arg(short, long)]
    pub broadcast: bool,

    /// End after the first message: a line, or what came before a pause [e.g. --once]
    #[arg(long)]
    pub once: bool,

    /// End when the first sender has finished; "exit" is a text like any other [e.g. --until-eof]
    #[arg(long, conflicts_with_all = ["once", "udp", "broadcast"])]
    pub until_eof: bool,

    /// Answer each message with this text [e.g. --reply OK]
    #[arg(short, long, value_name = "TEXT")]
    pub reply: Option<String>,

    /// Use IPv4 only [e.g. -4]
    #[arg(short = '4', long = "ipv4", conflicts_with = "v6", help_heading = "Network")]
    pub v4: bool,

    /// Use IPv6 only [e.g. -6]
    #[arg(short = '6', long = "ipv6", help_heading = "Network")]
    pub v6: bool,

    /// Give up, with exit code 1, when nothing comes for so long; for ever unless said
    /// [e.g. --timeout 30s]
    #[arg(short = 'w', long, value_name = "DURATION", value_parser = timeout, help_heading = "Network")]
    pub timeout: Option<Duration>,
}

impl Args {
    fn is_udp(&self) -> bool {
        self.udp || self.broadcast
    }

    fn family(&self) -> Family {
        match (self.v4, self.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }

    /// Whether a message that was taken ends it all.
    fn ends_with(&self, message: &[u8]) -> bool {
        self.once || (!self.until_eof && message.trim_ascii() == b"exit")
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Go,
    Stop,
}

/// Something that receives.
trait Receiver {
    fn descriptors(&self) -> Vec<std::os::fd::BorrowedFd<'_>>;
    /// When something is to be done though nothing comes.
    fn deadline(&self) -> Option<Instant>;
    /// The descriptor at this place is ready.
    fn ready(&mut self, at: usize, args: &Args, output: &mut Output) -> Result<Next, Error>;
    /// The deadline may have passed.
    fn expire(&mut self, args: &Args) -> Next;
    /// Forgets who has gone; the places of descriptors change.
    fn tidy(&mut self) {}
}

/// Receives until told to stop.
///
/// # Errors
/// The port is taken, nothing came within the time, or stdout failed.
pub fn run(args: &Args) -> Result<(), Error> {
    let ports = Ports::parse(args.port.as_deref(), PORT)?;
    // From the first word on that says we listen, Ctrl-C ends it well.
    let interrupt = Interrupt::watch()?;
    let mut receiver: Box<dyn Receiver> = if args.is_udp() {
        Box::new(udp::Udp::bind(&ports, args)?)
    } else {
        Box::new(tcp::Tcp::bind(&ports, args)?)
    };
    let mut output = Output::new();
    let mut patience = args.timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let until = patience.into_iter().chain(receiver.deadline()).min();
        let mut fds = receiver.descriptors().into_iter().map(|fd| (fd, rustix::event::PollFlags::IN));
        let ready = interrupt.poll_all(&mut fds, until);
        let ready = ready.map_err(|error| Error::File { what: "waiting".to_owned(), error })?;
        drop(fds);
        for place in &ready {
            let next = match place {
                Ready::At(at) => receiver.ready(*at, args, &mut output)?,
                Ready::Interrupted | Ready::TimedOut => Next::Stop,
            };
            if next == Next::Stop {
                return Ok(());
            }
        }
        if receiver.expire(args) == Next::Stop {
            return Ok(());
        }
        receiver.tidy();
        if !ready.is_empty() {
            patience = args.timeout.map(|timeout| Instant::now() + timeout);
        } else if patience.is_some_and(|at| at <= Instant::now()) {
            let waited = args.timeout.unwrap_or_default();
            return Err(Error::Network(format!(
                "timed out: nothing came for {waited:?}; do the others use one of the addresses above?"
            )));
        }
    }
}

/// Who others are told to send to.
fn announce(addresses: &[std::net::SocketAddr], args: &Args) {
    let transport = if args.is_udp() { "udp" } else { "tcp" };
    let list = |wanted: &dyn Fn(&std::net::SocketAddr) -> bool| {
        let of: Vec<_> = addresses.iter().filter(|at| wanted(at)).map(ToString::to_string).collect();
        if of.is_empty() { "nothing".to_owned() } else { of.join(", ") }
    };
    let end = if args.until_eof || args.once { "Ctrl-C" } else { "\"exit\" or Ctrl-C" };
    note(format_args!("listening ({transport}); {end} ends it"));
    note(format_args!("  others on the LAN use  {}", list(&|at| !at.ip().is_loopback())));
    note(format_args!("  this machine uses      {}", list(&|at| at.ip().is_loopback())));
}
