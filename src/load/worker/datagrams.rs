//! Requests and replies that are datagrams: each may be lost, late, doubled, or out of order.

use rustix::io::Errno;

use super::Worker;
use super::connection::Flight;
use crate::load::clock::{self, Nanos};
use crate::load::exchange::Mistake;
use crate::load::fault::Fault;

/// Replies that are remembered after they came or were given up.
const REMEMBERED: usize = 64;

impl Worker {
    /// Sends requests, a datagram each.
    pub(super) fn send_datagrams(&mut self, key: usize, due: Nanos, n: u32) {
        for _ in 0..n {
            let Some(connection) = self.connections.get_mut(key) else { return };
            let sent = if self.tally.service.is_some() { clock::now() } else { due };
            if connection.in_flight == 0 {
                connection.since = sent;
            }
            let at = self.exchange.next_reply(&mut connection.place);
            connection.flights.push(Flight { due, sent, count: 1, at });
            connection.in_flight += 1;
            let text = self.exchange.outgoing(&connection.place, self.exchange.request_len);
            let outcome = rustix::io::write(&connection.socket, text);
            let len = text.len();
            self.exchange.sent(&mut connection.place, len);
            match outcome {
                Ok(n) => self.tally.sent += n as u64,
                // Dropped here instead of on the way: it is missed when its time is up.
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => {}
                Err(errno) => return self.fail_errno(key, errno),
            }
        }
        if self.exchange.is_one_way() {
            self.sent_one_way(key);
        }
    }

    /// A datagram has come: to which request?
    pub(super) fn received_datagram(&mut self, key: usize, came: &[u8], now: Nanos) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let exchange = &self.exchange;
        let fits = |at| exchange.is_reply(at, came);
        // Those sent before it are not lost yet: datagrams may overtake each other.
        let Some(flight) = connection.flights.bring_forward(|flight| fits(flight.at)) else {
            if connection.past.iter().any(|at| fits(*at)) {
                return self.tally.faults.count(Fault::Stray);
            }
            let expected = connection.flights.first().map(|flight| exchange.reply_text(flight.at));
            let note = "a datagram that answers none of the last requests".to_owned();
            let mistake = Mistake::new(0, expected.unwrap_or_default(), came, note);
            return self.wrong(key, &mistake);
        };
        connection.past.push_back(flight.at);
        connection.place.replies += 1;
        if connection.past.len() > REMEMBERED {
            connection.past.pop_front();
        }
        self.replied(key, 1, now);
    }

    /// Gives up requests whose time is up, and goes on.
    pub(super) fn lose_datagrams(&mut self, key: usize, now: Nanos) {
        let timeout = self.job.timeout;
        let Some(connection) = self.connections.get_mut(key) else { return };
        let is_over = |flight: &Flight| now.saturating_sub(flight.sent) > timeout;
        let mut lost = 0;
        while connection.flights.first().is_some_and(is_over) {
            if let Some(flight) = connection.flights.pop() {
                connection.past.push_back(flight.at);
                lost += 1;
            }
        }
        let forgotten = connection.past.len().saturating_sub(REMEMBERED);
        connection.past.drain(..forgotten);
        connection.in_flight -= lost;
        connection.since = now;
        self.gauges.in_flight -= u64::from(lost);
        self.tally.faults.count_many(Fault::Lost, lost.into());
        if self.driving {
            self.get_going(key);
        }
    }
}
