//! What is noted of connections: totals, and the one line that the log gets for each when it has closed.
//!
//! An engine tells when a connection opens and when it has closed, and nothing in between: byte counts lie
//! in the connection and are added up at its end, so that an echo pays nothing for them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use log::Level;

use crate::peer::Peer;
use crate::protocol::Why;

/// A connection that has ended.
#[derive(Debug)]
pub struct Closed<'a> {
    /// The service's name.
    pub service: &'a str,
    /// Who was at the other end.
    pub peer: &'a Peer,
    /// How long it was open.
    pub seconds: f64,
    /// Bytes read from it.
    pub read: u64,
    /// Bytes written to it.
    pub written: u64,
    /// Why it ended.
    pub why: Why,
}

/// Totals since the start. The numbers of several threads may be a moment apart.
#[derive(Debug, Default)]
pub struct Observer {
    opened: AtomicU64,
    closed: AtomicU64,
    read: AtomicU64,
    written: AtomicU64,
}

impl Observer {
    /// A connection was accepted.
    pub fn opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    /// A connection has closed, in another process which has written the line of the log: only the totals.
    pub fn count(&self, read: u64, written: u64) {
        self.closed.fetch_add(1, Relaxed);
        self.read.fetch_add(read, Relaxed);
        self.written.fetch_add(written, Relaxed);
    }

    /// A connection has closed. Nothing is formatted when nobody listens to the log.
    pub fn closed(&self, closed: &Closed<'_>) {
        self.count(closed.read, closed.written);
        if log::log_enabled!(Level::Info) {
            log::info!(
                service = closed.service, peer:% = closed.peer, secs = (closed.seconds * 100.0).round() / 100.0,
                "in" = closed.read, out = closed.written, why = closed.why.words();
                "closed"
            );
        }
    }
}

impl fmt::Display for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [opened, closed, read, written] =
            [&self.opened, &self.closed, &self.read, &self.written].map(|count| count.load(Relaxed));
        let plural = if opened == 1 { "" } else { "s" };
        let cut_off = opened.saturating_sub(closed);
        write!(f, "{opened} connection{plural}, {cut_off} cut off, {read} bytes in, {written} out")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_added_up_at_the_end_of_connections() {
        let observer = Observer::default();
        (0..3).for_each(|_| observer.opened());
        for read in [5, 7] {
            observer.closed(&Closed {
                service: "echo",
                peer: &Peer::Unix,
                seconds: 0.5,
                read,
                written: 2 * read,
                why: Why::Complete,
            });
        }
        assert_eq!(observer.to_string(), "3 connections, 1 cut off, 12 bytes in, 24 out");
    }
}
