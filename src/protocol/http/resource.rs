//! A file with everything that its replies say of it, worked out once.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use cap_std::fs::Metadata;

use super::coding::{Coding, choose};
use super::conditions::Validators;
use super::mime::{content_type, is_compressed};
use super::options::Options;
use super::reply::date;
use super::root::{Found, Root};
use super::validators::Stamp;
use crate::limits;
use crate::time::Time;

/// A file in all the forms in which it lies on the disk.
#[derive(Debug)]
pub(super) struct Resource {
    /// Below the root.
    path: PathBuf,
    plain: Form,
    coded: Vec<(Coding, Form)>,
    /// When an open file was last seen to be what it was, in milliseconds.
    intact_at: AtomicU64,
    /// One of the forms could change without a trace: it must be read again before it is trusted long.
    pub(super) is_young: bool,
}

/// One form of a file.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) coding: Option<Coding>,
    stamp: Stamp,
    etag: String,
    modified: Option<SystemTime>,
    pub(super) content: Content,
    /// The media type, as `Content-Type` has it.
    pub(super) content_type: String,
    /// The fields of a 200 behind `Date`, up to those of the connection.
    pub(super) fields: String,
    /// The fields that describe the content: for a 206 as well. The content's type is not among them.
    pub(super) describing: String,
    /// The fields that a 304 has as well: those that tell states and forms apart, and caching.
    pub(super) telling: String,
}

/// Where a form's bytes are.
#[derive(Debug)]
pub(super) enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// In an open file.
    File(Arc<File>),
}

impl Resource {
    /// What there is to know of an open file and of its compressed siblings.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn load(
        path: &Path,
        opened: (File, Metadata),
        root: &Root,
        options: &Options,
        now: SystemTime,
    ) -> io::Result<Self> {
        let media_type = content_type(path);
        let (file, metadata) = opened;
        let plain_stamp = Stamp::of(&metadata);
        let mut siblings = Vec::new();
        for coding in Coding::ALL.into_iter().filter(|_| !is_compressed(&media_type)) {
            if let Ok(Found::File(file, metadata)) = root.find(&sibling(path, coding)) {
                let stamp = Stamp::of(&metadata);
                if is_sibling(&stamp, &plain_stamp) {
                    siblings.push((coding, stamp, file));
                }
            }
        }
        let about = About { media_type: &media_type, varies: !siblings.is_empty(), options, now };
        let plain = about.form(file, plain_stamp, None)?;
        let mut coded = Vec::with_capacity(siblings.len());
        for (coding, stamp, file) in siblings {
            coded.push((coding, about.form(file, stamp, Some(coding))?));
        }
        let is_young = plain.is_young(now) || coded.iter().any(|(_, form)| form.is_young(now));
        let intact_at = AtomicU64::new(u64::MAX);
        Ok(Self { path: path.to_path_buf(), plain, coded, intact_at, is_young })
    }

    /// The form that a client prefers who accepts these codings.
    pub(super) fn form(&self, accepts: Option<&[u8]>) -> &Form {
        if self.coded.is_empty() {
            return &self.plain;
        }
        let find = |coding| self.coded.iter().find(|(known, _)| *known == coding).map(|(_, form)| form);
        choose(accepts, |coding| find(coding).is_some()).and_then(find).unwrap_or(&self.plain)
    }

    /// The form that is the file itself.
    pub(super) fn plain(&self) -> &Form {
        &self.plain
    }

    /// Whether the directory still has the same files in the same state: a `stat` for each name.
    pub(super) fn is_current(&self, root: &Root) -> bool {
        let stamp = |path: &Path| {
            let metadata = root.metadata(path).ok().filter(Metadata::is_file);
            metadata.map(|metadata| Stamp::of(&metadata))
        };
        if stamp(&self.path) != Some(self.plain.stamp) {
            return false;
        }
        is_compressed(&self.plain.content_type)
            || Coding::ALL.into_iter().all(|coding| {
                let known = self.coded.iter().find(|(known, _)| *known == coding);
                let found = stamp(&sibling(&self.path, coding));
                found.filter(|stamp| is_sibling(stamp, &self.plain.stamp))
                    == known.map(|(_, form)| form.stamp)
            })
    }

    /// Whether the content of a form is still what it was: that of an open file is looked at once in a
    /// millisecond, so that no reply promises what was cut off meanwhile.
    pub(super) fn is_intact(&self, form: &Form, now: Time) -> bool {
        if matches!(form.content, Content::Bytes(_))
            || self.intact_at.load(Ordering::Relaxed) == now.as_millis()
        {
            return true;
        }
        let is_intact = self.forms().all(Form::is_intact);
        self.intact_at.store(if is_intact { now.as_millis() } else { u64::MAX }, Ordering::Relaxed);
        is_intact
    }

    /// Open files.
    pub(super) fn files(&self) -> usize {
        self.forms().filter(|form| matches!(form.content, Content::File(_))).count()
    }

    /// Memory, about, in bytes.
    pub(super) fn cost(&self) -> usize {
        let cost = |form: &Form| {
            let content = if let Content::Bytes(bytes) = &form.content { bytes.len() } else { 0 };
            // Both may be there a second time, see `Wholes`.
            content * 2 + form.fields.len() * 3 + size_of::<Form>() + 256
        };
        self.forms().map(cost).sum::<usize>() + self.path.as_os_str().len() + size_of::<Self>()
    }

    fn forms(&self) -> impl Iterator<Item = &Form> {
        std::iter::once(&self.plain).chain(self.coded.iter().map(|(_, form)| form))
    }
}

impl Form {
    /// Bytes of the content.
    pub(super) fn size(&self) -> u64 {
        self.stamp.size
    }

    /// What conditions are compared with.
    pub(super) fn validators(&self) -> Validators<'_> {
        Validators { etag: Some(&self.etag), modified: self.modified }
    }

    /// Whether the open file is still what it was; content in memory always is.
    fn is_intact(&self) -> bool {
        match &self.content {
            Content::Bytes(_) => true,
            Content::File(file) => {
                Metadata::from_file(file).is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
            }
        }
    }

    fn is_young(&self, now: SystemTime) -> bool {
        self.stamp.is_young(now)
    }
}

/// What the forms of a file have in common.
struct About<'a> {
    media_type: &'a str,
    varies: bool,
    options: &'a Options,
    now: SystemTime,
}

impl About<'_> {
    /// Short files are read at once, as that is cheaper than a system call for a few bytes in every
    /// reply; longer ones are left to the engine.
    fn form(&self, file: File, mut stamp: Stamp, coding: Option<Coding>) -> io::Result<Form> {
        let content = if stamp.size <= limits::HTTP_SMALL_FILE as u64 {
            let mut bytes = Vec::new();
            (&file).take(stamp.size).read_to_end(&mut bytes)?;
            // What is really read is what is announced: the file may have shrunk meanwhile.
            stamp.size = bytes.len() as u64;
            Content::Bytes(bytes)
        } else {
            Content::File(Arc::new(file))
        };
        // A moment to come would make caches wait for it (RFC 9110, section 8.8.2.1).
        let modified = stamp.modified().map(|modified| modified.min(whole_seconds(self.now)));
        let etag = stamp.etag(stamp.is_young(self.now));
        let telling = self.telling(&etag, modified);
        let describing = describing(coding);
        let fields = format!(
            "Content-Length: {}\r\nContent-Type: {}\r\n{describing}{telling}",
            stamp.size, self.media_type
        );
        let content_type = self.media_type.to_owned();
        Ok(Form { coding, stamp, etag, modified, content, content_type, fields, describing, telling })
    }

    fn telling(&self, etag: &str, modified: Option<SystemTime>) -> String {
        let mut fields = String::new();
        let mut field = |name: &str, value: &str| {
            let _ = write!(fields, "{name}: {value}\r\n");
        };
        if let Some(modified) = modified.and_then(date) {
            field("Last-Modified", &modified);
        }
        field("ETag", etag);
        if self.varies {
            field("Vary", "Accept-Encoding");
        }
        if !self.options.cache_control.is_empty() {
            field("Cache-Control", &self.options.cache_control);
        }
        fields
    }
}

fn describing(coding: Option<Coding>) -> String {
    let coding = coding.map(|coding| format!("Content-Encoding: {}\r\n", coding.name()));
    format!("X-Content-Type-Options: nosniff\r\nAccept-Ranges: bytes\r\n{}", coding.unwrap_or_default())
}

fn sibling(path: &Path, coding: Coding) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(coding.suffix());
    name.into()
}

/// Whether a file beside another passes for its compressed form: it is not empty, and not from before
/// the last edit of the other.
fn is_sibling(stamp: &Stamp, of: &Stamp) -> bool {
    stamp.size > 0 && !stamp.is_older_than(of)
}

fn whole_seconds(moment: SystemTime) -> SystemTime {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(since.as_secs())
}
