//! What a connection keeps between two calls: nothing on the heap, unless a request is being worked on.
//!
//! Thousands of connections may wait for their next request, or in the middle of its head.

use std::sync::Arc;

use bitflags::bitflags;

use super::access::Said;
use super::body::Body;
use super::head::Search;
use super::listing::Listing;
use super::options::Options;
use super::refusal::Refusal;
use super::request::{Exchange, Request};
use crate::protocol::Why;

/// See the module.
#[derive(Debug)]
pub(super) enum Stage {
    /// Between two requests, or within a head.
    Waiting(Progress, Arc<Options>),
    /// Within a body or a listing.
    Working(Progress, Box<Working>),
}

// It lies in the connection's slot: see `Session`.
const _: () = assert!(size_of::<Stage>() <= 16);

/// How far a connection has come, whatever it is doing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) search: Search,
    pub(super) marks: Marks,
    /// The connection ends when what has come is answered.
    pub(super) ending: Option<Why>,
}

bitflags! {
    /// Whose deadline runs.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub(super) struct Marks: u8 {
        /// A head has begun.
        const BEGUN = 1;
        /// A reply is being sent.
        const REPLYING = 1 << 1;
    }
}

/// What the current request still needs.
#[derive(Debug)]
pub(super) struct Working {
    options: Arc<Options>,
    work: Work,
}

#[derive(Debug)]
pub(super) enum Work {
    /// The rest of the body is to be dropped, then the request answered.
    Body(Body, Waiting),
    /// The rest of the reply is to be sent, then what was asked noted.
    Listing(Box<Listing>, Option<Said<'static>>),
}

/// A request that waits for the end of its body: its head, to be taken apart again.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) head: Box<[u8]>,
    pub(super) exchange: Exchange,
}

impl Waiting {
    /// The request, taken apart.
    ///
    /// # Errors
    /// None: it was sound before.
    pub(super) fn request(&self) -> Result<Request<'_>, Refusal> {
        let line = self.head.iter().position(|b| *b == b'\n').map_or(0, |end| end + 1);
        Request::parse(&self.head, line, None)
    }
}

impl Stage {
    /// That of a new connection.
    pub(super) fn new(options: &Arc<Options>) -> Self {
        Self::Waiting(Progress::default(), Arc::clone(options))
    }

    /// What the service may be told.
    pub(super) fn options(&self) -> &Arc<Options> {
        match self {
            Self::Waiting(_, options) => options,
            Self::Working(_, working) => &working.options,
        }
    }

    pub(super) fn progress(&mut self) -> &mut Progress {
        let (Self::Waiting(progress, _) | Self::Working(progress, _)) = self;
        progress
    }

    /// What is to be done before the next request is looked for.
    pub(super) fn work(&mut self) -> Option<&mut Work> {
        match self {
            Self::Waiting(..) => None,
            Self::Working(_, working) => Some(&mut working.work),
        }
    }

    /// Bytes of memory that this takes.
    pub(super) fn holds(&self) -> usize {
        match self {
            Self::Waiting(..) => 0,
            Self::Working(_, working) => match &working.work {
                Work::Body(_, waiting) => waiting.head.len(),
                Work::Listing(listing, _) => listing.holds(),
            },
        }
    }

    /// Something is to be done.
    pub(super) fn begin(&mut self, work: Work) {
        let working = Working { options: Arc::clone(self.options()), work };
        *self = Self::Working(*self.progress(), Box::new(working));
    }

    /// It is done.
    pub(super) fn finish(&mut self) -> Option<Work> {
        let Self::Working(progress, working) = self else { return None };
        let waiting = Self::Waiting(*progress, Arc::clone(&working.options));
        match std::mem::replace(self, waiting) {
            Self::Working(_, working) => Some(working.work),
            Self::Waiting(..) => None,
        }
    }
}
