//! The one line that the log gets for each connection, when it has closed.

use log::Level;

use crate::peer::Peer;
use crate::protocol::Why;

/// A connection that has ended.
#[derive(Debug)]
pub(super) struct Closed<'a> {
    pub(super) service: &'a str,
    pub(super) peer: &'a Peer,
    /// How long it was open.
    pub(super) seconds: f64,
    /// Bytes read from it and written to it.
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) why: Why,
}

/// Logs it. Nothing is formatted when nobody listens.
pub(super) fn tell(closed: &Closed<'_>) {
    if log::log_enabled!(Level::Info) {
        log::info!(
            service = closed.service, peer:% = closed.peer, secs = (closed.seconds * 100.0).round() / 100.0,
            "in" = closed.read, out = closed.written, why = closed.why.words();
            "closed"
        );
    }
}
