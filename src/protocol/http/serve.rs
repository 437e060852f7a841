//! Answering a sound request from the files below the root.

use std::io;
use std::sync::Arc;

use cap_std::fs::Dir;

use super::access;
use super::conditions::{Validators, Verdict, evaluate};
use super::fields::Fields;
use super::listing::{CACHING, Listing, Order};
use super::options::Options;
use super::ordinary;
use super::refusal::{NOT_A_FILE, Refusal, Status};
use super::reply::{self, Head, Length, Sent};
use super::request::{Method, Request, Wanted};
use super::root::Found;
use super::send;
use super::site::Site;
use super::target::Target;
use crate::protocol::Cx;

/// What has become of a request.
#[derive(Debug)]
pub(super) enum Served {
    /// It is answered; what is said is whether the connection stays open.
    Answered { keep: bool, sent: Sent },
    /// Its answer goes on.
    Listing(Box<Listing>),
}

/// Answers a request, or begins to.
pub(super) fn serve(options: &Arc<Options>, request: &Request<'_>, cx: &mut Cx<'_>) -> Served {
    let mut exchange = request.exchange;
    let sent = match answer(options, request, cx) {
        Ok(Answer::Done(sent)) => sent,
        Ok(Answer::Listing(listing)) => return Served::Listing(listing),
        Err(refusal) => {
            exchange.keep &= !refusal.closes;
            let page = (refusal.status == Status::NOT_FOUND)
                .then(|| options.site().and_then(|site| site.not_found_page(options, cx)).ok().flatten());
            match page.flatten() {
                Some(page) => send::not_found(page.plain(), exchange, cx),
                None => reply::refuse(&refusal, exchange, cx),
            }
        }
    };
    Served::Answered { keep: exchange.keep, sent }
}

/// What [`at_once`] has done, each with its head.
pub(super) struct AtOnce<'a> {
    /// The last request that was answered.
    pub(super) answered: Option<(&'a [u8], Sent)>,
    /// One that takes more than that, behind all of those.
    pub(super) more: Option<(&'a [u8], Request<'a>)>,
}

/// Answers ordinary requests while each takes no more than a look into the cache, as nearly all do. What is
/// remembered is locked once for all of them, but for one only if each must be noted.
pub(super) fn at_once<'a>(options: &Options, cx: &mut Cx<'a>) -> AtOnce<'a> {
    let is_noted = access::is_on(options);
    // What is kept of replies does not say that the connection ends.
    let is_usual = !options.cors && !cx.shared.is_leaving();
    let mut look = None;
    let mut answered = None;
    loop {
        let mut fields = Fields::default();
        let rest = cx.input.rest();
        let Some((length, line)) = ordinary::parse(rest, &mut fields) else { break };
        let head = rest.get(..length).unwrap_or_default();
        // In order, and for all of a file: without a body, which must be read first, and without conditions.
        let is_plain = line.method == Method::Get && fields.are_plain() && is_usual;
        let sent = line.key.filter(|_| is_plain).and_then(|key| {
            look = look.take().or_else(|| options.open_site().map(Site::look));
            send::at_once(head, (key, &fields.accepts), look.as_mut()?, !is_noted, cx)
        });
        let Some(sent) = sent else {
            // One that is not in order is left where it is, for those who know what to say of it.
            let request = Request::new(line, fields, false).ok();
            return AtOnce { answered, more: request.map(|request| (cx.input.take(length), request)) };
        };
        answered = Some((head, sent));
        if is_noted || cx.input.rest().is_empty() || cx.out.is_full() {
            break;
        }
    }
    AtOnce { answered, more: None }
}

enum Answer {
    Done(Sent),
    Listing(Box<Listing>),
}

fn answer(options: &Arc<Options>, request: &Request<'_>, cx: &mut Cx<'_>) -> Result<Answer, Refusal> {
    let site = options.site()?;
    if matches!(request.line.method, Method::Get | Method::Head)
        && let Some(key) = request.line.key
        && let Some(sent) = from_cache(site, key, request, cx)
    {
        return Ok(Answer::Done(sent));
    }
    match request.wanted()? {
        Wanted::Methods => Ok(Answer::Done(reply::methods(request.exchange, cx))),
        Wanted::At(target) => at(options, site, &target, request, cx),
    }
}

/// Answers without opening anything, if the cache has what is wanted. What is in it may be served: it
/// was looked at before it got there.
fn from_cache(site: &Site, key: &[u8], request: &Request<'_>, cx: &mut Cx<'_>) -> Option<Sent> {
    let resource = site.cached(key, cx)?;
    let form = resource.form(request.accepts.codings.as_deref());
    if !resource.is_intact(form, cx.now) {
        site.forget(key);
        return None;
    }
    Some(send::file(form, request, site, cx))
}

fn at(
    options: &Arc<Options>,
    site: &Site,
    target: &Target,
    request: &Request<'_>,
    cx: &mut Cx<'_>,
) -> Result<Answer, Refusal> {
    if target.is_hidden() && !options.hidden {
        return Err(io::Error::from(rustix::io::Errno::NOENT).into());
    }
    let key = target.key();
    let is_sound = target.is_directory && !target.has_empty_names;
    if (is_sound || !target.is_directory)
        && let Some(sent) = from_cache(site, &key, request, cx)
    {
        return Ok(Answer::Done(sent));
    }
    let path = target.path();
    match site.find(path)? {
        Found::File(..) if target.is_directory => {
            Err(Refusal::new(Status::NOT_FOUND, "it is a file: ask for it without the slash"))
        }
        Found::File(file, metadata) => {
            let resource = site.load(&key, path, (file, metadata), options, cx)?;
            let form = resource.form(request.accepts.codings.as_deref());
            Ok(Answer::Done(send::file(form, request, site, cx)))
        }
        Found::Directory(_) if !is_sound => {
            let location = format!("Location: {}\r\n", target.location());
            let text = "it is a directory: see Location";
            Ok(Answer::Done(reply::text(Status::MOVED, text, &location, request.exchange, cx)))
        }
        Found::Directory(dir) => directory(options, site, (target, &dir), request, cx),
        Found::Special => Err(Refusal::new(Status::FORBIDDEN, NOT_A_FILE)),
    }
}

fn directory(
    options: &Arc<Options>,
    site: &Site,
    (target, dir): (&Target, &Dir),
    request: &Request<'_>,
    cx: &mut Cx<'_>,
) -> Result<Answer, Refusal> {
    if !options.index.is_empty() {
        let index = target.path().join(&options.index);
        match site.find(&index).map_err(Refusal::from) {
            Ok(Found::File(file, metadata)) => {
                let resource = site.load(&target.key(), &index, (file, metadata), options, cx)?;
                let form = resource.form(request.accepts.codings.as_deref());
                return Ok(Answer::Done(send::file(form, request, site, cx)));
            }
            Err(refusal) if refusal.status != Status::NOT_FOUND => return Err(refusal),
            Ok(_) | Err(_) => {}
        }
    }
    if !options.listing {
        return Err(Refusal::new(Status::FORBIDDEN, "this directory is not listed"));
    }
    // A listing has no validators: only `*` matches it.
    match evaluate(request.conditions(), Validators::default()) {
        Verdict::Failed => {
            return Err(Refusal::new(Status::PRECONDITION_FAILED, "a listing has no entity tag"));
        }
        Verdict::NotModified => {
            let head = Head::new(Status::NOT_MODIFIED, "", Length::None);
            return Ok(Answer::Done(Head { extra: CACHING, ..head }.write(request.exchange, cx)));
        }
        Verdict::Ranged | Verdict::Whole => {}
    }
    let order = Order::of(target.query());
    Listing::begin(Arc::clone(options), (target, dir), order, request, cx)
        .map(|begun| match begun {
            super::listing::Begun::Done(sent) => Answer::Done(sent),
            super::listing::Begun::More(listing) => Answer::Listing(listing),
        })
        .map_err(Refusal::from)
}
