//! Answering a sound request from the files below the root.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use cap_std::fs::{Dir, Metadata};

use super::Options;
use super::listing::Listing;
use super::mime::content_type;
use super::refusal::{NOT_A_FILE, Refusal, Status};
use super::reply::{self, Head, Length};
use super::request::{Exchange, Request, Wanted};
use super::root::Found;
use super::target::Target;
use crate::limits;
use crate::out::FileRange;
use crate::protocol::Cx;

/// What has become of a request.
#[derive(Debug)]
pub(super) enum Served {
    /// It is answered; what is said is whether the connection stays open.
    Answered { keep: bool },
    /// Its answer goes on.
    Listing(Box<Listing>),
}

/// Answers a request, or begins to.
pub(super) fn serve(options: &Arc<Options>, request: Request, cx: &mut Cx<'_>) -> Served {
    let mut exchange = request.exchange;
    let answer = request.wanted.and_then(|wanted| match wanted {
        Wanted::At(target) => at(options, &target, exchange, cx),
        Wanted::Methods => {
            reply::methods(exchange, cx);
            Ok(None)
        }
    });
    match answer {
        Ok(Some(listing)) => return Served::Listing(listing),
        Ok(None) => {}
        Err(refusal) => {
            exchange.keep &= !refusal.closes;
            reply::refuse(&refusal, exchange, cx);
        }
    }
    Served::Answered { keep: exchange.keep }
}

type Answer = Result<Option<Box<Listing>>, Refusal>;

fn at(options: &Arc<Options>, target: &Target, exchange: Exchange, cx: &mut Cx<'_>) -> Answer {
    if target.is_hidden() && !options.hidden {
        return Err(io::Error::from(rustix::io::Errno::NOENT).into());
    }
    match options.opened()?.find(target.path())? {
        Found::File(..) if target.is_directory => {
            Err(Refusal::new(Status::NOT_FOUND, "it is a file: ask for it without the slash"))
        }
        Found::File(file, metadata) => file_reply(file, &metadata, target.path(), exchange, cx),
        Found::Directory(_) if !target.is_directory => {
            let location = target.location();
            let extra = Some(("Location", location.as_str()));
            reply::text(Status::MOVED, "it is a directory: see Location", extra, exchange, cx);
            Ok(None)
        }
        Found::Directory(dir) => directory(options, target, &dir, exchange, cx),
        Found::Special => Err(Refusal::new(Status::FORBIDDEN, NOT_A_FILE)),
    }
}

fn directory(
    options: &Arc<Options>,
    target: &Target,
    dir: &Dir,
    exchange: Exchange,
    cx: &mut Cx<'_>,
) -> Answer {
    if !options.index.is_empty() {
        let index = target.path().join(&options.index);
        match options.opened()?.find(&index).map_err(Refusal::from) {
            Ok(Found::File(file, metadata)) => return file_reply(file, &metadata, &index, exchange, cx),
            Err(refusal) if refusal.status != Status::NOT_FOUND => return Err(refusal),
            Ok(_) | Err(_) => {}
        }
    }
    if !options.listing {
        return Err(Refusal::new(Status::FORBIDDEN, "this directory is not listed"));
    }
    Ok(Listing::begin(Arc::clone(options), target, dir, exchange, cx)?)
}

/// Short files are read at once, as that is cheaper than a call of its own for a few bytes, and need
/// no descriptor while they wait; longer ones are left to the engine.
fn file_reply(file: File, metadata: &Metadata, path: &Path, exchange: Exchange, cx: &mut Cx<'_>) -> Answer {
    let content_type = content_type(path);
    let modified = metadata.modified().ok().map(cap_std::time::SystemTime::into_std);
    let mut len = metadata.len();
    let mut content = Vec::new();
    if !exchange.head_only && len <= limits::HTTP_SMALL_FILE as u64 {
        // What is really read is what is announced: the file may have shrunk meanwhile.
        (&file).take(len).read_to_end(&mut content)?;
        len = content.len() as u64;
    }
    Head { modified, ..Head::new(Status::OK, &content_type, Length::Bytes(len)) }.write(exchange, cx);
    if exchange.head_only {
        return Ok(None);
    }
    if len <= limits::HTTP_SMALL_FILE as u64 {
        cx.out.push(&content);
    } else {
        cx.out.push_file(FileRange { file: Arc::new(file), offset: 0, len });
    }
    Ok(None)
}
