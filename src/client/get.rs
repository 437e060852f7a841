//! `get`: the labs' web client, and what a careful one does besides.
//!
//! It asks, receives to the end that the reply announces, and shows or saves the body. A body that is
//! shorter than announced is a failure. It speaks `http` only and follows no redirection: what came is said.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use memchr::memchr;

use super::common::default_port;
use super::output::{Output, note};
use super::{Common, Error};
use crate::escape::Escaped;

mod body;
mod head;
mod save;
mod url;
mod wire;

use head::Head;
use save::Saving;
use url::Url;
use wire::Wire;

/// A body of at least so many bytes has a progress bar.
const LONG: u64 = 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  switchboard get http://127.0.0.1:8080/                       shows a page
  switchboard get localhost/notes.txt -o notes.txt             saves a file
  switchboard get localhost/big.iso -o big.iso -C              goes on where it was cut off
  switchboard get --raw --http 1.0 localhost:15000/index.html  every byte, both ways

Until a file is complete, it is called FILE.part.";

/// What to get, and what to do with it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The address of the page.
    #[arg(help = "The address of the page; without http:// the port is 8080 unless said \
                  [e.g. http://127.0.0.1:8080/ or localhost/notes.txt]")]
    pub url: String,

    /// Save the body in this file; - is stdout, also for what is no text [e.g. -o notes.txt]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Go on with FILE.part, if the server still has what it is a part of [e.g. -C]
    #[arg(short = 'C', long = "continue", requires = "output")]
    pub resume: bool,

    /// Show every byte that is sent (>) and received (<), escaped, instead of the body [e.g. --raw]
    #[arg(long)]
    pub raw: bool,

    /// The version to ask by [e.g. --http 1.0]
    #[arg(long, value_name = "1.0|1.1", default_value = "1.1", hide_possible_values = true)]
    pub http: Version,

    /// -4, -6, --timeout.
    #[command(flatten)]
    pub common: Common,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Version {
    /// RFC 1945: as the labs have it.
    #[value(name = "1.0")]
    V10,
    /// RFC 9112.
    #[value(name = "1.1")]
    V11,
}

/// Gets it.
///
/// # Errors
/// The network failed, the reply is none, the body is short, or the status is not 2xx.
pub fn run(args: &Args) -> Result<(), Error> {
    let url = Url::parse(&args.url, default_port("http"))?;
    let file = args.output.as_deref().filter(|path| path.as_os_str() != "-");
    let Some(file) = file else { return show(args, &url) };
    let mut saving = Saving::open(file, &args.url, args.resume)?;
    if !save(args, &url, &mut saving)? {
        // The part belongs to nothing that the server has; without it there is no range to refuse.
        saving.restart()?;
        save(args, &url, &mut saving)?;
    }
    Ok(())
}

/// Sends the request; gives the head of the reply, and the connection that the body comes on.
fn ask(args: &Args, url: &Url, more: &str) -> Result<(Head, Wire), Error> {
    let stream = args.common.connect(&url.target)?;
    let mut wire = Wire::new(stream, url.target.clone(), args.raw);
    let version = match args.http {
        Version::V10 => "1.0",
        Version::V11 => "1.1",
    };
    let agent = concat!("switchboard/", env!("CARGO_PKG_VERSION"));
    wire.send(&format!(
        "GET {} HTTP/{version}\r\nHost: {}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n{more}\r\n",
        url.path, url.host
    ))?;
    let head = head::receive(&mut wire)?;
    Ok((head, wire))
}

fn show(args: &Args, url: &Url) -> Result<(), Error> {
    let (head, mut wire) = ask(args, url, "")?;
    let mut output = Output::new();
    let careful = output.is_terminal() && args.output.is_none();
    let bar = progress(&head, 0, output.is_terminal() || args.raw);
    let (mut last, mut first) = (None, true);
    body::receive(&mut wire, &head, &mut |bytes| {
        bar.inc(bytes.len() as u64);
        if args.raw {
            return Ok(());
        }
        if std::mem::take(&mut first) && careful && memchr(0, bytes).is_some() {
            return Err(Error::Wrong(
                "the body is no text, and would garble the terminal; save it with -o FILE (-o - shows it all the same)"
                    .to_owned(),
            ));
        }
        last = bytes.last().copied();
        if careful { output.theirs(bytes) } else { output.write(bytes) }
    })?;
    bar.finish_and_clear();
    if careful && last.is_some_and(|last| last != b'\n') {
        output.write(b"\n")?;
    }
    head.verdict(url)
}

/// Saves the body; false if the part of an earlier run is of no use and all must be asked for anew.
fn save(args: &Args, url: &Url, saving: &mut Saving) -> Result<bool, Error> {
    let (head, mut wire) = ask(args, url, &saving.conditions())?;
    match head.status {
        206 => saving.check_range(&head)?,
        416 if saving.has_part() => {
            if saving.is_whole(&head) {
                saving.finish()?;
                return Ok(true);
            }
            return Ok(false);
        }
        200..=299 => {
            if saving.has_part() {
                note("the server has something else by now: starting anew");
                saving.restart()?;
            }
        }
        _ => return head.verdict(url).map(|()| true),
    }
    saving.remember(&head)?;
    let bar = progress(&head, saving.length(), args.raw);
    let received = body::receive(&mut wire, &head, &mut |bytes| {
        bar.inc(bytes.len() as u64);
        saving.write(bytes)
    });
    bar.finish_and_clear();
    match received {
        Ok(()) => saving.finish().map(|()| true),
        Err(error) => Err(saving.keep(error)),
    }
}

/// A bar on stderr for a long body, where a person looks and nothing else is shown.
fn progress(head: &Head, done: u64, other_output: bool) -> ProgressBar {
    let length = head.length().map(|length| length.saturating_add(done));
    if other_output || !io::stderr().is_terminal() || length.is_some_and(|length| length < LONG) {
        return ProgressBar::hidden();
    }
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let template = "{bytes} of {total_bytes} [{wide_bar}] {bytes_per_sec}, {eta}";
    let unknown = "{spinner} {bytes} {bytes_per_sec}";
    let style = ProgressStyle::with_template(if length.is_some() { template } else { unknown });
    style
        .map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style.progress_chars("=> ")))
        .with_position(done)
}

/// A text of the server for a message: short, and without anything that moves a cursor.
fn shown(text: &[u8]) -> String {
    Escaped::bounded(text, 80).to_string()
}
