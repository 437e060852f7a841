//! `switchboard fetch`: fetches files from a download service, and makes sure that they came whole.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::link::Link;
use super::progress::bar;
use super::{Common, Error, Target};
use crate::checksum::Checksum;
use crate::escape::Escaped;
use crate::protocol::upload::transfer::Transfer;
use crate::protocol::upload::{OnConflict, Options, name};

/// Shown behind the flags.
pub(super) const EXAMPLES: &str = "\
Examples:
  switchboard fetch notes.txt 192.168.1.5           from the download service there, port 40001
  switchboard fetch a.txt sub/b.txt [::1]:40001     several, on one connection
  switchboard fetch notes.txt localhost -o -        to standard output
  switchboard fetch notes.txt 10.0.0.7:5000 --lab   from the server of a lab";

/// Bytes received and written at once.
const PIECE: usize = 64 * 1024;
/// An answer in the form of the labs that is no longer than this may be an error.
const ERROR: usize = 400;

/// What to fetch from where.
#[derive(Debug, clap::Args)]
// A disk, or the sum of a large file, takes its time.
#[command(mut_arg("timeout", |timeout| timeout.default_value("30s")))]
pub struct Args {
    /// The files to fetch, as the server names them
    #[arg(required = true, num_args = 1.., value_name = "NAME")]
    pub names: Vec<String>,
    /// The server; port 40001 unless said
    #[arg(required = true, value_name = "HOST:PORT")]
    pub target: String,
    /// Where to put it: a file, a directory, or - for standard output [e.g. -o copy.txt]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace a file that is there already [e.g. --force]
    #[arg(short, long)]
    pub force: bool,
    /// Speak as the labs do: the name in, the content out, and the end [e.g. --lab]
    #[arg(long)]
    pub lab: bool,
    /// -4, -6, --timeout.
    #[command(flatten)]
    pub common: Common,
}

/// Where content goes.
enum Sink {
    Stdout(Checksum),
    File(Box<Transfer>, String),
}

/// Fetches the files, one after the other. One that is not there keeps none of the others from coming.
///
/// # Errors
/// The last of what went wrong; what went wrong before was shown.
pub fn run(args: &Args) -> Result<(), Error> {
    let target = Target::parse(&args.target, Some(40001))?;
    let is_one_file = args.output.as_deref().is_some_and(|to| to.as_os_str() != "-" && !to.is_dir());
    if is_one_file && args.names.len() > 1 {
        return Err(Error::Usage("-o names one file, and there are several; name a directory".to_owned()));
    }
    let mut link = None;
    let mut failed = None;
    for name in &args.names {
        let fetched = check(name).and_then(|()| Sink::open(args, name)).and_then(|sink| {
            if args.lab {
                return fetch_as_lab(name, sink, &mut Link::connect(&target, &args.common)?);
            }
            let mut open = link.take().map_or_else(|| Link::connect(&target, &args.common), Ok)?;
            let fetched = fetch(name, sink, &mut open);
            if !matches!(fetched, Err(Error::Network(_) | Error::File { .. })) {
                link = Some(open);
            }
            fetched
        });
        match fetched {
            Ok(()) => {}
            Err(error @ (Error::Usage(_) | Error::Network(_))) => return Err(error),
            Err(error) => super::note(&mut failed, error),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// A name is a line on the wire.
fn check(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.contains(['\n', '\r', '\0']) {
        let name = Escaped::new(name.as_bytes());
        return Err(Error::Usage(format!("\"{name}\" is no name: it is empty, or has a line end")));
    }
    Ok(())
}

/// In the certain form: length and content, then the checksum.
fn fetch(name: &str, mut sink: Sink, link: &mut Link) -> Result<(), Error> {
    link.send(format!("/get {name}\n").as_bytes())?;
    let said = link.line()?;
    let size = said.strip_prefix("ok ").and_then(|size| size.parse().ok());
    let size: u64 = size.ok_or_else(|| link.refusal(&said))?;
    let bar = bar(name, Some(size));
    let (mut left, mut buffer) = (size, vec![0; PIECE]);
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let n = link.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        if n == 0 {
            let name = Escaped::new(name.as_bytes());
            let came = size - left;
            return Err(Error::Network(format!("{name}: the server closed after {came} of {size} bytes")));
        }
        sink.take(buffer.get(..n).unwrap_or_default(), name, &bar)?;
        left -= n as u64;
    }
    bar.finish_and_clear();
    link.send(format!("/sum {name}\n").as_bytes())?;
    let said = link.line()?;
    let expected = said.strip_prefix(&format!("ok {size} "));
    let expected =
        expected.ok_or_else(|| if said.starts_with("ok ") { changed(name) } else { link.refusal(&said) })?;
    if expected != sink.sum() {
        return Err(changed(name));
    }
    sink.keep(name, &format!("{size} bytes, checksum verified"))
}

fn changed(name: &str) -> Error {
    let name = Escaped::new(name.as_bytes());
    Error::Wrong(format!("{name}: the checksum differs: it was changed meanwhile, or damaged on the way"))
}

/// In the form of the labs: nothing tells the end of a file from the end of a server, or an error from a
/// file with one line in it. Ours says which it is.
fn fetch_as_lab(name: &str, mut sink: Sink, link: &mut Link) -> Result<(), Error> {
    link.send(name.as_bytes())?;
    link.finish()?;
    let bar = bar(name, None);
    let (mut size, mut buffer, mut first) = (0, vec![0; PIECE], Vec::new());
    loop {
        let n = link.read(&mut buffer)?;
        let piece = buffer.get(..n).unwrap_or_default();
        if size + n <= ERROR && n > 0 {
            first.extend_from_slice(piece);
        }
        size += n;
        if n == 0 {
            break;
        }
        sink.take(piece, name, &bar)?;
    }
    bar.finish_and_clear();
    let text = String::from_utf8_lossy(&first);
    if size <= ERROR && text.starts_with("error: ") && text.lines().count() == 1 {
        return Err(link.refusal(text.trim_end()));
    }
    sink.keep(name, &format!("{size} bytes; whether that is all of it, nobody said"))
}

impl Sink {
    fn open(args: &Args, name: &str) -> Result<Self, Error> {
        let own = name.rsplit('/').next().unwrap_or_default();
        let (dir, local) = match args.output.as_deref() {
            Some(to) if to.as_os_str() == "-" => return Ok(Self::Stdout(Checksum::default())),
            Some(to) if to.is_dir() => (to.to_owned(), own.to_owned()),
            Some(to) => (parent(to), file_name(to)?),
            None => (PathBuf::from("."), own.to_owned()),
        };
        if args.output.is_none() || args.output.as_deref().is_some_and(Path::is_dir) {
            // The name is somebody else's.
            if let Some(problem) = name::problem(local.as_bytes()) {
                let name = Escaped::new(name.as_bytes());
                return Err(Error::Usage(format!("{name}: {problem}; name a file with -o")));
            }
        }
        let is_there = dir.join(&local).symlink_metadata().is_ok();
        if is_there && !args.force {
            let place = dir.strip_prefix(".").unwrap_or(&dir).join(&local);
            let problem = "is there already; use --force, or -o with another name";
            return Err(Error::Wrong(format!("{} {problem}", place.display())));
        }
        if !dir.is_dir() {
            let error = io::ErrorKind::NotFound.into();
            return Err(Error::File { what: format!("cannot write to {}", dir.display()), error });
        }
        let policy = if args.force { OnConflict::Replace } else { OnConflict::Refuse };
        let permit = Options::unlimited(dir, policy).store().admit();
        let permit = permit.ok_or_else(|| Error::Wrong("no file can be stored".to_owned()))?;
        let transfer = Transfer::begin(permit, &local).map_err(|problem| unstored(&local, &problem))?;
        Ok(Self::File(Box::new(transfer), local))
    }

    fn take(&mut self, bytes: &[u8], name: &str, bar: &ProgressBar) -> Result<(), Error> {
        bar.inc(bytes.len() as u64);
        match self {
            Self::File(transfer, _) => transfer.write(bytes).map_err(|problem| unstored(name, &problem)),
            Self::Stdout(sum) => {
                sum.update(bytes);
                let fail = |error| Error::File { what: "cannot write to standard output".to_owned(), error };
                io::stdout().write_all(bytes).map_err(fail)
            }
        }
    }

    fn sum(&self) -> String {
        match self {
            Self::Stdout(sum) => sum.clone().digits(),
            Self::File(transfer, _) => transfer.sum(),
        }
    }

    /// All has come: the file gets its name.
    fn keep(self, name: &str, what: &str) -> Result<(), Error> {
        let shown = Escaped::new(name.as_bytes()).to_string();
        match self {
            Self::Stdout(_) => {
                let fail = |error| Error::File { what: "cannot write to standard output".to_owned(), error };
                io::stdout().flush().map_err(fail)
            }
            Self::File(transfer, local) => {
                let stored = transfer.publish(&local).map_err(|problem| unstored(&local, &problem))?;
                let to = if stored.name == name { String::new() } else { format!(" -> {}", stored.name) };
                super::say(&format!("{shown}{to}: {what}"))
            }
        }
    }
}

fn unstored(name: &str, problem: &str) -> Error {
    Error::Wrong(format!("{}: {problem}", Escaped::new(name.as_bytes())))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn file_name(path: &Path) -> Result<String, Error> {
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| Error::Usage(format!("-o {}: that is no name of a file", path.display())))
}
