//! `switchboard put`: sends files to an upload service, and makes sure that they arrived.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::link::Link;
use super::progress::bar;
use super::{Common, Error, Target};
use crate::checksum::Checksum;
use crate::escape::Escaped;
use crate::protocol::upload::name;

/// Shown behind the flags.
pub(super) const EXAMPLES: &str = "\
Examples:
  switchboard put notes.txt 192.168.1.5             to the upload service there, port 40000
  switchboard put *.c [::1]:40000                   several, on one connection
  date | switchboard put - localhost --as today     from standard input
  switchboard put notes.txt 10.0.0.7:5000 --lab     to the server of a lab";

/// Bytes read and sent at once.
const PIECE: usize = 64 * 1024;
/// What is read of the answer in the form of the labs.
const ANSWER: usize = 64 * 1024;

/// What to send where.
#[derive(Debug, clap::Args)]
// A disk, or the sum of a large file, takes its time.
#[command(mut_arg("timeout", |timeout| timeout.default_value("30s")))]
pub struct Args {
    /// The files to send; - is standard input
    #[arg(required = true, num_args = 1.., value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The server; port 40000 unless said
    #[arg(required = true, value_name = "HOST:PORT")]
    pub target: String,
    /// The name that the file is sent under [e.g. --as report.pdf]
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// Speak as the labs do: the name, a line end, the content, and the end [e.g. --lab]
    #[arg(long)]
    pub lab: bool,
    /// -4, -6, --timeout.
    #[command(flatten)]
    pub common: Common,
}

/// A file to be sent.
struct Source {
    name: String,
    file: File,
    size: u64,
}

/// What the server says that it has.
struct Stored<'a> {
    size: u64,
    sum: &'a str,
    name: &'a str,
}

/// Sends the files, one after the other. One that is refused keeps none of the others from being sent.
///
/// # Errors
/// The last of what went wrong; what went wrong before was shown.
pub fn run(args: &Args) -> Result<(), Error> {
    let target = Target::parse(&args.target, Some(40000))?;
    if args.name.is_some() && args.files.len() > 1 {
        return Err(Error::Usage("--as names one file, and there are several".to_owned()));
    }
    let mut link = None;
    let mut failed = None;
    for path in &args.files {
        let sent = Source::open(path, args.name.as_deref()).and_then(|source| {
            if args.lab {
                return send_as_lab(source, &mut Link::connect(&target, &args.common)?);
            }
            let mut open = link.take().map_or_else(|| Link::connect(&target, &args.common), Ok)?;
            send(source, &mut open)?;
            link = Some(open);
            Ok(())
        });
        match sent {
            Ok(()) => {}
            Err(error @ (Error::Usage(_) | Error::Network(_))) => return Err(error),
            Err(error) => super::note(&mut failed, error),
        }
    }
    failed.map_or(Ok(()), Err)
}

impl Source {
    fn open(path: &Path, name: Option<&str>) -> Result<Self, Error> {
        let is_stdin = path.as_os_str() == "-";
        let own =
            if is_stdin { None } else { path.file_name().map(|name| name.to_string_lossy().into_owned()) };
        let name = name.map(str::to_owned).or(own).ok_or_else(|| {
            Error::Usage(format!("{} has no name of its own; give it one with --as NAME", path.display()))
        })?;
        if let Some(problem) = name::problem(name.as_bytes()) {
            let name = Escaped::new(name.as_bytes());
            return Err(Error::Usage(format!("{name}: {problem}; give it another with --as NAME")));
        }
        let fail = |error| Error::File { what: format!("cannot read {}", path.display()), error };
        let file = if is_stdin {
            io::stdin().as_fd().try_clone_to_owned().map(File::from)
        } else {
            File::open(path)
        };
        Self::of(name, file.map_err(fail)?).map_err(fail)
    }

    /// What has no length, such as a pipe, goes through a file that has one: the server is told first.
    fn of(name: String, mut file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata.is_file() {
            let size = metadata.len().saturating_sub(file.stream_position()?);
            return Ok(Self { name, file, size });
        }
        let mut whole = tempfile::tempfile()?;
        let size = io::copy(&mut file, &mut whole)?;
        whole.rewind()?;
        Ok(Self { name, file: whole, size })
    }

    /// Sends the content; gives its checksum.
    fn send_content(&mut self, link: &mut Link) -> Result<String, Error> {
        let bar = bar(&self.name, Some(self.size));
        let (mut sum, mut left, mut buffer) = (Checksum::default(), self.size, vec![0; PIECE]);
        while left > 0 {
            // The server speaks before the end only if it refuses the file.
            if link.has_answer() {
                let said = link.line()?;
                return Err(link.refusal(&said));
            }
            let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            let n = self.file.read(piece).map_err(|error| self.unread(error))?;
            if n == 0 {
                return Err(self.unread(io::Error::other("it has become shorter while it was sent")));
            }
            let piece = piece.get(..n).unwrap_or_default();
            link.send(piece).map_err(|error| link.last_words(error))?;
            sum.update(piece);
            left -= n as u64;
            bar.inc(n as u64);
        }
        bar.finish_and_clear();
        Ok(sum.digits())
    }

    fn unread(&self, error: io::Error) -> Error {
        Error::File { what: format!("cannot read {}", self.name), error }
    }

    /// Compares what the server has with what was sent; says so.
    fn verify(&self, sum: &str, stored: &Stored<'_>) -> Result<(), Error> {
        let name = Escaped::new(self.name.as_bytes());
        if (stored.size, stored.sum) != (self.size, sum) {
            let problem = "the server has stored something else: size or checksum differ";
            return Err(Error::Wrong(format!("{name}: {problem}")));
        }
        let other = if stored.name == self.name {
            String::new()
        } else {
            format!(" as {}", Escaped::bounded(stored.name.as_bytes(), name::LONGEST))
        };
        super::say(&format!("{name}: {} bytes stored{other}, checksum verified", self.size))
    }
}

/// In the certain form.
fn send(mut source: Source, link: &mut Link) -> Result<(), Error> {
    link.send(format!("/put {} {}\n", source.size, source.name).as_bytes())?;
    let sum = source.send_content(link)?;
    let said = link.line()?;
    let stored = Stored::parse(&said).ok_or_else(|| link.refusal(&said))?;
    source.verify(&sum, &stored)
}

/// In the form of the labs. Their servers need not answer.
fn send_as_lab(mut source: Source, link: &mut Link) -> Result<(), Error> {
    link.send(format!("{}\n", source.name).as_bytes())?;
    let sum = source.send_content(link)?;
    link.finish()?;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 4096];
    while answer.len() < ANSWER {
        match link.read(&mut buffer)? {
            0 => break,
            n => answer.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let said = text.lines().next().unwrap_or_default();
    if let Some(stored) = Stored::parse(said) {
        return source.verify(&sum, &stored);
    }
    if said.starts_with("error: ") {
        return Err(link.refusal(said));
    }
    let name = Escaped::new(source.name.as_bytes());
    super::say(&format!("{name}: {} bytes sent; whether they arrived, nobody said", source.size))?;
    if answer.is_empty() {
        Ok(())
    } else {
        super::say(&format!("the answer: {}", Escaped::bounded(&answer, 400)))
    }
}

impl<'a> Stored<'a> {
    /// `stored SIZE SHA256 NAME`, perhaps with a tab and a remark behind it.
    fn parse(line: &'a str) -> Option<Self> {
        let (size, rest) = line.strip_prefix("stored ")?.split_once(' ')?;
        let (sum, rest) = rest.split_once(' ')?;
        let name = rest.split('\t').next().unwrap_or_default();
        Some(Self { size: size.parse().ok()?, sum, name })
    }
}
