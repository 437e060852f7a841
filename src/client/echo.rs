//! `echo`: the labs' `net_client`. One message out, one reply back, printed; round-trip times at the end.
//!
//! **Where a reply ends.** TCP has no messages, and the labs' servers answer with one `send` and no line
//! end. So a reply ends with a line end that nothing follows yet, or when it stays quiet for `--pause`, or
//! with the connection; with `--verify` it ends when as many bytes came back as were sent. The pause is no
//! part of the round-trip time: that is taken at the last byte. Over UDP a datagram is a message.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::common::{LineEnd, default_port, timeout};
use super::output::{Output, note};
use super::stats::Stats;
use super::wait::{Interrupt, Ready};
use super::{Common, Error, Target};
use crate::escape::Escaped;

mod range;
mod source;
mod tcp;
mod udp;
mod verify;

use range::Range;
use source::{Next, Source};

/// Longest message, and longest reply, in bytes.
const LONGEST: usize = 1024 * 1024;
/// As much of a message as an error shows.
const SHOWN: usize = 40;

const EXAMPLES: &str = "\
Examples:
  switchboard echo localhost Hello 'Hello there'      two messages to the echo service
  switchboard echo localhost:8888 --count 1..100      to the labs' net_server
  switchboard echo localhost --udp --verify --file notes.txt
  switchboard echo localhost                          what is typed, a message a line

Replies are on stdout, a line each; the round-trip times are on stderr.";

/// Whom to talk to, and what to say.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The server.
    #[arg(value_name = "HOST[:PORT]")]
    #[arg(help = "The server; port 10007 unless said [e.g. localhost, 192.168.1.5:8888 or [::1]:7]")]
    pub server: String,

    /// The messages; what is typed (or piped in), a line each, if there are none [e.g. Hello]
    #[arg(value_name = "MESSAGE", conflicts_with_all = ["file", "count"])]
    pub messages: Vec<String>,

    /// Send datagrams instead of using a connection [e.g. --udp]
    #[arg(short, long)]
    pub udp: bool,

    /// Send the lines of a file [e.g. --file notes.txt]
    #[arg(short, long, value_name = "FILE", conflicts_with = "count")]
    pub file: Option<PathBuf>,

    /// Send numbers [e.g. --count 1..100]
    #[arg(short, long, value_name = "FROM..TO")]
    pub count: Option<Range>,

    /// Fail unless each reply is what was sent; show where it differs [e.g. --verify]
    #[arg(long)]
    pub verify: bool,

    /// What to put behind each message: lf and crlf for servers that read lines
    /// [e.g. --line-end lf]
    #[arg(
        short = 'e',
        long,
        value_name = "none|lf|crlf",
        default_value = "none",
        hide_possible_values = true
    )]
    pub line_end: LineEnd,

    /// Wait for a greeting first, and show it [e.g. --greeting]
    #[arg(short, long, conflicts_with = "udp")]
    pub greeting: bool,

    /// How long a reply without a line end must be quiet to be complete [e.g. --pause 200ms]
    #[arg(long, value_name = "DURATION", default_value = "25ms", value_parser = timeout)]
    pub pause: Duration,

    /// Wait between two messages [e.g. --interval 1s]
    #[arg(short, long, value_name = "DURATION", value_parser = timeout)]
    pub interval: Option<Duration>,

    /// How long a datagram's reply is waited for before it counts as lost [e.g. --lost-after 200ms]
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = timeout)]
    pub lost_after: Duration,

    /// -4, -6, --timeout.
    #[command(flatten)]
    pub common: Common,
}

/// What came of a message.
#[derive(Debug)]
enum Heard {
    /// A reply, and how long after the message its last byte came.
    Reply(Vec<u8>, Duration),
    /// Nothing within the time (UDP).
    Lost,
    /// Ctrl-C came first.
    Interrupted,
}

/// How one message goes out and its reply comes back.
trait Exchange {
    fn exchange(&mut self, message: &[u8], interrupt: &Interrupt) -> Result<Heard, Error>;
    /// What came without being asked for, so far.
    fn unasked(&mut self) -> Result<Vec<u8>, Error>;
    /// To notice while somebody types that the server has left.
    fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>>;
}

/// Sends the messages, prints the replies.
///
/// # Errors
/// The network failed, a datagram was lost, or a reply is not what was sent although it must be.
pub fn run(args: &Args) -> Result<(), Error> {
    let target = Target::parse(&args.server, default_port("echo"))?;
    let mut source = Source::new(args)?;
    let link: Box<dyn Exchange> = if args.udp {
        Box::new(udp::Udp::new(&target, args)?)
    } else {
        Box::new(tcp::Tcp::connect(&target, args)?)
    };
    let interrupt = Interrupt::watch()?;
    source.announce(&target);
    let mut talk = Talk { args, link, interrupt, output: Output::new(), count: Count::default() };
    let result = talk.greeting().and_then(|()| talk.all(&mut source));
    if !matches!(result, Err(Error::ReaderGone)) {
        talk.count.tell(&target);
    }
    result?;
    talk.count.verdict()
}

/// The conversation.
struct Talk<'a> {
    args: &'a Args,
    link: Box<dyn Exchange>,
    interrupt: Interrupt,
    output: Output,
    count: Count,
}

impl Talk<'_> {
    fn greeting(&mut self) -> Result<(), Error> {
        if !self.args.greeting {
            return Ok(());
        }
        match self.link.exchange(b"", &self.interrupt)? {
            Heard::Reply(greeting, _) => self.output.their_line(&greeting),
            Heard::Lost | Heard::Interrupted => Ok(()),
        }
    }

    fn all(&mut self, source: &mut Source) -> Result<(), Error> {
        loop {
            let message = match source.next(&self.interrupt, self.link.descriptor())? {
                Next::Message(message) => message,
                Next::End => break,
                Next::ServerSpoke => {
                    let extra = self.link.unasked()?;
                    self.show_unasked(&extra)?;
                    continue;
                }
            };
            let pause = self.args.interval.filter(|_| self.count.sent > 0);
            let until = pause.map(|pause| Instant::now() + pause);
            let waited = until.map(|until| self.interrupt.wait(&[], Some(until)));
            if matches!(waited, Some(Ok(Ready::Interrupted))) || !self.one(message)? {
                break;
            }
        }
        let extra = self.link.unasked().unwrap_or_default();
        self.show_unasked(&extra)
    }

    /// One message and its reply; false when that was interrupted.
    fn one(&mut self, mut message: Vec<u8>) -> Result<bool, Error> {
        let extra = self.link.unasked()?;
        self.show_unasked(&extra)?;
        message.extend_from_slice(self.args.line_end.bytes());
        if message.is_empty() && !self.args.udp {
            // Nothing at all would be sent, and the server could not know that there is something to answer.
            message.push(b'\n');
        }
        self.count.sent += 1;
        match self.link.exchange(&message, &self.interrupt)? {
            Heard::Reply(reply, time) => {
                self.count.times.add(time);
                self.count.changed += u32::from(reply != message);
                self.output.their_line(&reply)?;
                if self.args.verify && reply != message {
                    return Err(Error::Wrong(verify::difference(self.count.sent, &message, &reply)));
                }
            }
            Heard::Lost => self.count.lost += 1,
            Heard::Interrupted => {
                self.count.sent -= 1;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn show_unasked(&mut self, extra: &[u8]) -> Result<(), Error> {
        if extra.is_empty() {
            return Ok(());
        }
        if self.args.verify {
            let shown = Escaped::bounded(extra, SHOWN);
            return Err(Error::Wrong(format!("the server sent more than it got: \"{shown}\"")));
        }
        self.output.their_line(extra)
    }
}

/// What the statistics say.
#[derive(Debug, Default)]
struct Count {
    sent: u32,
    lost: u32,
    changed: u32,
    times: Stats,
}

impl Count {
    fn tell(&self, target: &Target) {
        note(format_args!("--- {target} echo statistics ---"));
        let changed = if self.changed > 0 { format!(" ({} changed)", self.changed) } else { String::new() };
        let lost = if self.lost > 0 { format!(", {} lost", self.lost) } else { String::new() };
        let replies = self.times.count();
        let noun = if replies == 1 { "reply" } else { "replies" };
        note(format_args!("{} sent, {replies} {noun}{changed}{lost}", self.sent));
        if self.times.count() > 0 {
            note(self.times);
        }
    }

    fn verdict(&self) -> Result<(), Error> {
        if self.lost == 0 {
            return Ok(());
        }
        let (lost, sent) = (self.lost, self.sent);
        Err(Error::Network(format!(
            "{lost} of {sent} had no reply; is a UDP server there? a datagram may be lost at any time"
        )))
    }
}
