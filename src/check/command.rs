//! `switchboard check`: the conformance cases against anybody's server, each failure explained.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::report::{Counts, Report, Result as Judged, Verdict};
use super::{Case, Level, Needs, Target, cases};
use crate::client::common::timeout;
use crate::client::{self, Error, Family};
use crate::protocol::{Row, TABLE};
use crate::start::Screen;

/// How long a server that failed a case is given to let somebody in, before it counts as gone.
const STILL_THERE: Duration = Duration::from_secs(1);
/// How long one that still lets somebody in may take to end: the backlog of a program that fails outlives the
/// failure until it has printed why.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What `--help` shows at its end.
pub const EXAMPLES: &str = "\
Examples:
  switchboard check localhost:10007 --as echo           every case, what failed and why
  switchboard check :8888 --as modify --one-at-a-time   a server without threads
  switchboard check :10123 --as reqtime --udp --json    for a grading script; exit code 1
                                                        if a case failed
  switchboard check --as chat --explain                 what the cases want, before you begin

What the labs ask is required. What a careful server does besides is advised: it shows
as a hint and fails nothing, unless --exact is given.";

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server.
    #[arg(value_name = "HOST:PORT", required_unless_present = "explain")]
    #[arg(help = "The server: HOST:PORT, [v6]:PORT, or HOST alone for the protocol's own port")]
    pub server: Option<String>,

    /// What it is to speak [e.g. --as echo]
    #[arg(long = "as", value_name = "PROTOCOL")]
    pub protocol: String,

    /// Try these cases and no others [e.g. --only lockstep,reset]
    #[arg(long, value_name = "CASE,..", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Try all cases but these [e.g. --without reset]
    #[arg(long, value_name = "CASE,..", value_delimiter = ',')]
    pub without: Vec<String>,

    /// The server serves one client at a time, as the first one of a course does: leave out what needs more
    #[arg(long)]
    pub one_at_a_time: bool,

    /// Try datagrams too, at the same port or another one [e.g. --udp, --udp 40000]
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = false)]
    pub udp: Option<Option<u16>>,

    /// Hold it to everything that switchboard's own daemon does, not only to what the labs ask
    #[arg(long)]
    pub exact: bool,

    /// How long any one answer may take [e.g. --timeout 500ms]
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = timeout)]
    pub timeout: Duration,

    /// Say of every case what it wants, what is usually wrong, and what to do about it; without a server,
    /// only that
    #[arg(long)]
    pub explain: bool,

    /// One JSON object on stdout, for a grading script
    #[arg(long)]
    pub json: bool,

    /// Only IPv4 addresses of the name
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub ipv4: bool,

    /// Only IPv6 addresses of the name
    #[arg(short = '6')]
    pub ipv6: bool,
}

/// Tries the cases and tells how each one went.
///
/// # Errors
/// A case failed; or the server cannot be reached, or there is no such protocol or case.
pub fn run(args: &Args) -> Result<(), Error> {
    let row = Row::find(&args.protocol).ok_or_else(|| unknown_protocol(&args.protocol))?;
    let chosen = chosen(args)?;
    let screen = Screen::of(&io::stdout());
    let mut report = Report::new(args.json, args.explain, screen);
    let Some(server) = &args.server else {
        return report.explain(row.name, &chosen).map_err(stdout);
    };
    let target = target(args, server, row)?;
    report.begin(row.name, server, target.tcp).map_err(stdout)?;
    let counts = try_all(args, &chosen, &target, &mut report).map_err(stdout)?;
    report.end(&counts).map_err(stdout)?;
    match counts.failed {
        0 => Ok(()),
        failed => Err(Error::Wrong(format!("{failed} of {} cases failed", counts.tried()))),
    }
}

fn stdout(error: io::Error) -> Error {
    Error::File { what: "stdout".to_owned(), error }
}

fn unknown_protocol(name: &str) -> Error {
    let known: Vec<&str> = TABLE.iter().filter(|row| row.transport.has_tcp()).map(|row| row.name).collect();
    Error::Usage(format!("--as {name}: there is no such protocol; there are {}", known.join(", ")))
}

/// The cases to be tried, in their order.
fn chosen(args: &Args) -> Result<Vec<&'static Case>, Error> {
    let all = cases(&args.protocol);
    for (flag, names) in [("--only", &args.only), ("--without", &args.without)] {
        if let Some(name) = names.iter().find(|name| all.iter().all(|case| case.name != name.as_str())) {
            let known: Vec<&str> = all.iter().map(|case| case.name).collect();
            return Err(Error::Usage(format!(
                "{flag} {name}: {} has no such case; it has {}",
                args.protocol,
                known.join(", ")
            )));
        }
    }
    let named = |case: &&Case| args.only.iter().any(|name| name == case.name);
    let asked = |case: &&Case| args.exact || case.level < Level::Exact || named(case);
    let wanted = |case: &&Case| {
        (args.only.is_empty() || named(case)) && !args.without.iter().any(|name| name == case.name)
    };
    Ok(all.into_iter().filter(asked).filter(wanted).collect())
}

fn target(args: &Args, server: &str, row: &Row) -> Result<Target, Error> {
    let family = match (args.ipv4, args.ipv6) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        _ => Family::Any,
    };
    let named = client::Target::parse(server, Some(row.port))?;
    // The address that lets us in is the one that all cases go to.
    let stream = named.connect(family, args.timeout)?;
    let tcp = stream.peer_addr().map_err(|error| Error::Network(format!("{named}: {error}")))?;
    let udp = args.udp.map(|port| SocketAddr::new(tcp.ip(), port.unwrap_or(tcp.port())));
    Ok(Target { tcp, udp, within: args.timeout })
}

fn try_all(
    args: &Args,
    chosen: &[&'static Case],
    target: &Target,
    report: &mut Report,
) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let mut gone = false;
    for case in chosen {
        let verdict = match not_tried(args, case, gone) {
            Some(reason) => Verdict::not_tried(case, reason),
            None => try_one(args, case, target),
        };
        if matches!(verdict.result, Judged::Failed | Judged::Warned) {
            gone = is_gone(target.tcp);
        }
        counts.add(verdict.result);
        report.case(verdict)?;
    }
    Ok(counts)
}

/// Whether a server lets nobody in any more, or lets go of everybody because it ends.
fn is_gone(server: SocketAddr) -> bool {
    let connect = || TcpStream::connect_timeout(&server, STILL_THERE);
    let Ok(mut stream) = connect() else { return true };
    let _ = stream.set_read_timeout(Some(LAST_WORDS));
    let is_open = match stream.read(&mut [0]) {
        Ok(n) => n > 0,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    };
    !is_open && connect().is_err()
}

/// Why a case is not tried, if it is not.
fn not_tried(args: &Args, case: &Case, gone: bool) -> Option<&'static str> {
    match case.needs {
        _ if gone => Some("the server is gone: it lets nobody in any more"),
        Needs::Datagrams if args.udp.is_none() => Some("say --udp if it receives datagrams"),
        Needs::Several if args.one_at_a_time => Some("it needs several clients at once"),
        _ => None,
    }
}

fn try_one(args: &Args, case: &'static Case, target: &Target) -> Verdict {
    let start = Instant::now();
    let outcome = (case.run)(target);
    let forgiven = case.level == Level::Advised && !args.exact;
    Verdict::new(case, outcome.err(), forgiven, start.elapsed())
}
