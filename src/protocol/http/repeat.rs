//! Requests that come again byte by byte, as those of pollers, health checks and reloads do: what was
//! found out about such a head once is remembered, and it is not taken apart again.
//!
//! Only heads of requests without a body get here, whose reply depends on nothing but the file and the
//! codings accepted; the file is still looked up as for any other request. Bounded: a few heads, none of them long.

use std::ops::Range;

use super::request::{Exchange, Framing, Method, Request};

/// Heads that are remembered; a newer one takes the place of an older one.
const PLACES: usize = 64;

/// Longest head that is, in bytes.
const LONGEST: usize = 2048;

/// As many of the first bytes tell where a head is remembered.
const START: usize = 32;

/// The exchange of nearly all requests, and of all that are remembered.
pub(super) const USUAL: Exchange = Exchange { head_only: false, minor: 1, keep: true, cors: false };

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Repeats(Vec<Option<Head>>);

/// A head, and what it came to.
#[derive(Debug)]
pub(super) struct Head {
    /// All of it, the blank line included.
    bytes: Box<[u8]>,
    /// Where in it the key of the cache is.
    key: Range<usize>,
    accepts: Option<Box<[u8]>>,
}

impl Head {
    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What names its file in the cache.
    pub(super) fn key(&self) -> &[u8] {
        self.bytes.get(self.key.clone()).unwrap_or_default()
    }

    /// The codings it accepts.
    pub(super) fn accepts(&self) -> Option<&[u8]> {
        self.accepts.as_deref()
    }
}

impl Repeats {
    /// The remembered head that `bytes` begin with, if there is one.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<&Head> {
        let head = self.0.get(place(bytes)?)?.as_ref()?;
        bytes.starts_with(&head.bytes).then_some(head)
    }

    /// Remembers a head that the cache has just answered under this key, a part of it.
    pub(super) fn remember(&mut self, bytes: &[u8], key: &[u8], request: &Request<'_>) {
        // What follows a head with a body is not a request: such a head is never remembered.
        let is_alone = request.framing == Framing::Length(0);
        let is_usual = is_alone && request.exchange == USUAL && request.line.method == Method::Get;
        if !is_usual || !request.conditions().are_preferences() || bytes.len() > LONGEST {
            return;
        }
        // The key is the target without its first slash, behind the method and a blank.
        let start = b"GET /".len();
        let key_at = start..start + key.len();
        let Some(at) = place(bytes).filter(|_| bytes.get(key_at.clone()) == Some(key)) else { return };
        self.0.resize_with(PLACES, || None);
        if let Some(place) = self.0.get_mut(at) {
            let accepts = request.conditions().accept_encoding.as_deref().map(Into::into);
            *place = Some(Head { bytes: bytes.into(), key: key_at, accepts });
        }
    }
}

/// Where a head is remembered, by its first bytes: by its method and path, most often.
fn place(bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.get(..START)?.as_chunks::<8>();
    let mixed = words.iter().fold(0_u64, |mixed, word| {
        (mixed.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(0x517c_c1b7_2722_0a95)
    });
    usize::try_from(mixed >> 32).ok().map(|mixed| mixed % PLACES)
}
