//! A body on its way into a file: under another name until it is whole, to be resumed if it is cut off.
//!
//! `FILE.part` has the bytes, `FILE.part.from` says of what they are a part: the URL and the validator
//! that the server gave. Without a strong validator nothing is resumed, for two halves of two versions
//! would make a file that nobody ever had.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::head::Head;
use super::{Error, note, shown};

/// A file that is not complete yet.
#[derive(Debug)]
pub(super) struct Saving {
    path: PathBuf,
    part: PathBuf,
    from: PathBuf,
    url: String,
    file: File,
    /// Bytes of the part.
    length: u64,
    /// What the part is a part of.
    validator: Option<String>,
}

impl Saving {
    /// Opens the part; what an earlier run left in it counts only if it can be resumed.
    pub(super) fn open(path: &Path, url: &str, resume: bool) -> Result<Self, Error> {
        let beside = |more: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(more);
            PathBuf::from(name)
        };
        let (part, from) = (beside(".part"), beside(".part.from"));
        if path.is_dir() {
            return Err(Error::Usage(format!("{} is a directory; name a file in it", path.display())));
        }
        // A link in its place would have us write elsewhere.
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).custom_flags(flags).open(&part);
        let file = file.map_err(|error| failed(&part, error))?;
        let length = file.metadata().map_err(|error| failed(&part, error))?.len();
        let (path, url) = (path.to_owned(), url.to_owned());
        let mut saving = Self { path, part, from, url, file, length, validator: None };
        saving.validator = saving.recall().filter(|_| resume && length > 0);
        if saving.validator.is_none() {
            if resume && length > 0 {
                note(format_args!(
                    "{}: nothing says what it is a part of: starting anew",
                    saving.part.display()
                ));
            }
            saving.restart()?;
        }
        saving.file.seek(SeekFrom::Start(saving.length)).map_err(|error| failed(&saving.part, error))?;
        Ok(saving)
    }

    /// The validator of the part, if it is one of this URL.
    fn recall(&self) -> Option<String> {
        let text = fs::read_to_string(&self.from).ok()?;
        let (url, validator) = text.trim_end().split_once('\n')?;
        let is_clean = !validator.is_empty() && validator.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        (url == self.url && is_clean).then(|| validator.to_owned())
    }

    pub(super) fn has_part(&self) -> bool {
        self.length > 0
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The fields of the request that ask for the rest, if it is still the rest of the same.
    pub(super) fn conditions(&self) -> String {
        match &self.validator {
            Some(validator) if self.has_part() => {
                format!("Range: bytes={}-\r\nIf-Range: {validator}\r\n", self.length)
            }
            _ => String::new(),
        }
    }

    /// Forgets the part.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        let anew = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        anew.map_err(|error| failed(&self.part, error))?;
        (self.length, self.validator) = (0, None);
        Ok(())
    }

    /// A 206 must bring what is missing, and nothing else.
    pub(super) fn check_range(&self, head: &Head) -> Result<(), Error> {
        let range = head.content_range.as_deref().unwrap_or_default();
        let start = range.strip_prefix("bytes ").and_then(|rest| rest.split('-').next()?.parse().ok());
        if self.has_part() && start == Some(self.length) {
            return Ok(());
        }
        Err(Error::Wrong(format!(
            "the rest from byte {} was asked for, the server gives \"{}\"; try without -C",
            self.length,
            shown(range.as_bytes())
        )))
    }

    /// Whether a 416 means that nothing is missing.
    pub(super) fn is_whole(&self, head: &Head) -> bool {
        let total =
            head.content_range.as_deref().and_then(|range| range.strip_prefix("bytes */")?.parse().ok());
        total == Some(self.length)
    }

    /// Notes of what this is a part, before it is one.
    pub(super) fn remember(&mut self, head: &Head) -> Result<(), Error> {
        if self.has_part() {
            return Ok(());
        }
        // A weak validator does not vouch for each byte.
        let strong = head.etag.clone().filter(|etag| !etag.starts_with("W/"));
        match strong.or_else(|| head.last_modified.clone()) {
            Some(validator) => fs::write(&self.from, format!("{}\n{validator}\n", self.url))
                .map_err(|error| failed(&self.from, error)),
            None => self.forget_from(),
        }
    }

    fn forget_from(&self) -> Result<(), Error> {
        match fs::remove_file(&self.from) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&self.from, error)),
            _ => Ok(()),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| failed(&self.part, error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// It is whole: it gets its name.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.file.sync_all().map_err(|error| failed(&self.part, error))?;
        fs::rename(&self.part, &self.path).map_err(|error| failed(&self.path, error))?;
        self.forget_from()?;
        note(format_args!("saved {} ({} bytes)", self.path.display(), self.length));
        Ok(())
    }

    /// It was cut off: says what can be done.
    pub(super) fn keep(&self, error: Error) -> Error {
        let Error::Network(text) = error else { return error };
        if !self.has_part() || self.recall().is_none() {
            return Error::Network(text);
        }
        Error::Network(format!("{text}; {} bytes are kept, -C goes on from there", self.length))
    }
}

impl Drop for Saving {
    /// An empty part is of no use to anyone.
    fn drop(&mut self) {
        if self.length == 0 && fs::remove_file(&self.part).is_ok() {
            let _ = self.forget_from();
        }
    }
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::File { what: path.display().to_string(), error }
}
