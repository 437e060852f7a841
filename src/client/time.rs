//! `time`: asks a server for the time, and says by how much the clocks differ.
//!
//! All three protocols tell whole seconds. So one answer says only that the server's clock stood somewhere
//! in that second, at some moment between the request and the reply: its `Bounds`. The next request is
//! timed so that its answer halves what is still possible, by asking when the second is expected to flip.
//! The clocks are assumed to run alike meanwhile, and the server to cut fractions off, as `strftime` does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::common::default_port;
use super::output::{Output, note};
use super::{Common, Error, Target};

mod answer;
mod ask;
mod bounds;
mod set;

use ask::Sample;
use bounds::Bounds;

const EXAMPLES: &str = "\
Examples:
  switchboard time localhost                         the labs' reqtime server
  switchboard time localhost --udp --samples 10      the same over UDP, to a millisecond or so
  switchboard time localhost:13 --protocol daytime   RFC 867; port 13 alone says so, too
  sudo switchboard time 192.168.1.5 --set            set this machine's clock

reqtime and daytime tell the server's local time and no zone: it is taken as this machine's
zone unless --utc is given.";

/// Whom to ask, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The server.
    #[arg(value_name = "HOST[:PORT]")]
    #[arg(help = "The server; its port unless said is 10123, 10013 or 10037, as the protocol has it \
                  [e.g. localhost, 192.168.1.5:13 or [::1]:37]")]
    pub server: String,

    /// Ask by datagram instead of using a connection [e.g. --udp]
    #[arg(short, long)]
    pub udp: bool,

    /// What to ask by; unless said, what the port is known for, else reqtime
    /// [e.g. --protocol daytime]
    #[arg(short, long, value_name = "reqtime|daytime|time", hide_possible_values = true)]
    pub protocol: Option<Protocol>,

    /// How often to ask: each time halves the uncertainty, and takes up to a second [e.g. --samples 10]
    #[arg(short = 'n', long, value_name = "N", default_value = "4")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub samples: u16,

    /// The server tells UTC, not the local time of this machine's zone [e.g. --utc]
    #[arg(long)]
    pub utc: bool,

    /// Set this machine's clock to the server's; needs the right to [e.g. --set]
    #[arg(long)]
    pub set: bool,

    /// Say what --set would do, and do not do it [e.g. --set --dry-run]
    #[arg(long)]
    pub dry_run: bool,

    /// -4, -6, --timeout.
    #[command(flatten)]
    pub common: Common,
}

/// How a time is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// `reqtime` brings the local time as strftime `%c` (lab E).
    Reqtime,
    /// The same for any request, or none (RFC 867).
    Daytime,
    /// Seconds since 1900 as four bytes (RFC 868).
    Time,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Reqtime => "reqtime",
            Self::Daytime => "daytime",
            Self::Time => "time",
        }
    }

    /// What a port is known for.
    fn of_port(port: u16) -> Self {
        match port {
            13 | 10013 => Self::Daytime,
            37 | 10037 => Self::Time,
            _ => Self::Reqtime,
        }
    }
}

/// Asks, shows the answer, and sets the clock if told to.
///
/// # Errors
/// The network failed, the answer is no time, or the clock may not be set.
pub fn run(args: &Args) -> Result<(), Error> {
    let named = args.protocol.unwrap_or(Protocol::Reqtime);
    let target = Target::parse(&args.server, default_port(named.name()))?;
    let protocol = args.protocol.unwrap_or_else(|| Protocol::of_port(target.port));
    let zone = if args.utc { TimeZone::UTC } else { TimeZone::system() };
    let measured = measure(args, &target, protocol, &zone)?;
    measured.show(args, protocol, &zone)?;
    if args.set || args.dry_run { set::clock(measured.bounds, args.dry_run) } else { Ok(()) }
}

/// What came of asking.
#[derive(Debug)]
struct Measured {
    /// The one with the smallest delay.
    best: Sample,
    /// What all samples that agree leave possible.
    bounds: Bounds,
    asked: u16,
    came: u16,
    contradictions: u16,
}

fn measure(args: &Args, target: &Target, protocol: Protocol, zone: &TimeZone) -> Result<Measured, Error> {
    let first = ask::sample(args, target, protocol, zone)?;
    let bounds = first.bounds;
    let mut all = Measured { best: first, bounds, asked: args.samples, came: 1, contradictions: 0 };
    for _ in 1..args.samples {
        std::thread::sleep(all.bounds.until_flip(since_epoch(SystemTime::now())));
        let sample = match ask::sample(args, target, protocol, zone) {
            Ok(sample) => sample,
            // A datagram may be lost; a connection that worked and fails now is worth knowing of.
            Err(_) if args.udp => continue,
            Err(error) => return Err(error),
        };
        all.came += 1;
        match all.bounds.both(sample.bounds) {
            Some(both) => all.bounds = both,
            None => all.contradictions += 1,
        }
        if sample.delay < all.best.delay {
            all.best = sample;
        }
    }
    if all.contradictions > 0 {
        // Some clock was moved meanwhile: then the best sample is all that can be trusted.
        all.bounds = all.best.bounds;
    }
    Ok(all)
}

impl Measured {
    fn show(&self, args: &Args, protocol: Protocol, zone: &TimeZone) -> Result<(), Error> {
        let mut output = Output::new();
        let server = Timestamp::from_second(self.best.server).unwrap_or_default().to_zoned(zone.clone());
        let assumed = match protocol {
            Protocol::Time => "whole seconds",
            _ if args.utc => "whole seconds, taken as UTC",
            _ => "whole seconds, taken as local time here",
        };
        output.line(format_args!(
            "server  {}  ({}: {assumed})",
            server.strftime("%Y-%m-%d %H:%M:%S %:z"),
            protocol.name()
        ))?;
        let lost = match self.asked - self.came {
            0 => String::new(),
            lost => format!(", {lost} lost"),
        };
        let delay = self.best.delay.as_secs_f64() * 1000.0;
        output.line(format_args!("delay   {delay:.3} ms  (the best of {}{lost})", self.came))?;
        output.line(format_args!("offset  {}  {}", self.bounds, self.meaning()))?;
        if self.contradictions > 0 {
            note(format_args!(
                "{} of {} answers contradict the others: was a clock set meanwhile? The best one counts",
                self.contradictions, self.came
            ));
        }
        Ok(())
    }

    fn meaning(&self) -> String {
        let offset = self.bounds.middle();
        if self.bounds.has_zero() {
            return "the clocks agree, as far as this can tell".to_owned();
        }
        let way = if offset.is_negative() { "behind" } else { "ahead" };
        // Zones differ by whole quarters of an hour, broken clocks seldom do.
        let quarters = (offset.as_secs_f64() / 900.0).round();
        let rest = (offset.as_secs_f64() - quarters * 900.0).abs();
        if quarters.abs() >= 1.0 && quarters.abs() <= 26.0 * 4.0 && rest < 10.0 {
            let hours = quarters.abs() / 4.0;
            return format!("the server is {way} by {hours} h: in another time zone? (--utc, or TZ=..)");
        }
        format!("the server's clock is {way}")
    }
}

fn since_epoch(time: SystemTime) -> SignedDuration {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX)
}
