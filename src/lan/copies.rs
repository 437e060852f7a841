//! Which datagrams have been seen before: our own, which come back, and those that come over two networks.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::time::Time;

/// How long a copy may be on its way: everybody is one hop away.
const FRESH: Duration = Duration::from_secs(2);
/// Datagrams remembered, of either kind.
const REMEMBERED: usize = 512;

/// Tells copies from what is said again.
///
/// * A datagram from our own port with a text that was sent a moment ago is our own. The port alone would
///   not do: on another machine somebody else may have it.
/// * A sender with several networks sends to each; who shares two of them gets two copies, from the same
///   port, but from different addresses. What is said twice comes from the same address twice. The port of
///   the chat itself says nothing, since the labs' programs all send from it.
#[derive(Debug)]
pub struct Copies {
    own_port: u16,
    chat_port: u16,
    sent: VecDeque<(Time, u64)>,
    heard: VecDeque<(Time, u64, IpAddr)>,
}

impl Copies {
    /// For somebody who sends from one port to another.
    pub fn new(own_port: u16, chat_port: u16) -> Self {
        Self { own_port, chat_port, sent: VecDeque::new(), heard: VecDeque::new() }
    }

    /// Notes what is about to be sent.
    pub fn note_sent(&mut self, datagram: &[u8], now: Time) {
        forget(&mut self.sent, |entry| entry.0, now);
        self.sent.push_back((now, fingerprint(datagram, self.own_port)));
    }

    /// Whether a datagram is new, and not a copy.
    pub fn is_new(&mut self, datagram: &[u8], from: SocketAddr, now: Time) -> bool {
        let print = fingerprint(datagram, from.port());
        if from.port() == self.own_port {
            forget_old(&mut self.sent, |entry| entry.0, now);
            if self.sent.iter().any(|(_, sent)| *sent == print) {
                return false;
            }
        }
        if from.port() == self.chat_port {
            return true;
        }
        forget_old(&mut self.heard, |entry| entry.0, now);
        let ip = from.ip().to_canonical();
        if self.heard.iter().any(|(_, heard, by)| *heard == print && *by != ip) {
            return false;
        }
        forget(&mut self.heard, |entry| entry.0, now);
        self.heard.push_back((now, print, ip));
        true
    }
}

fn fingerprint(datagram: &[u8], port: u16) -> u64 {
    let mut hasher = DefaultHasher::new();
    (datagram, port).hash(&mut hasher);
    hasher.finish()
}

fn forget_old<T>(entries: &mut VecDeque<T>, at: impl Fn(&T) -> Time, now: Time) {
    while entries.front().is_some_and(|entry| at(entry).after(FRESH) <= now) {
        entries.pop_front();
    }
}

/// Makes room for one more.
fn forget<T>(entries: &mut VecDeque<T>, at: impl Fn(&T) -> Time, now: Time) {
    forget_old(entries, at, now);
    if entries.len() >= REMEMBERED {
        entries.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ms(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn our_own_come_back_from_every_network_and_are_known() {
        let mut copies = Copies::new(51_000, 40_000);
        copies.note_sent(b"hi", ms(0));
        for own in ["192.0.2.2:51000", "127.0.0.1:51000"] {
            assert!(!copies.is_new(b"hi", at(own), ms(1)), "{own}");
        }
        assert!(copies.is_new(b"hi", at("192.0.2.2:51001"), ms(1)), "another program on this machine");
        assert!(copies.is_new(b"ho", at("192.0.2.9:51000"), ms(1)), "another machine, the same port");
        assert!(copies.is_new(b"hi", at("192.0.2.9:51000"), ms(2500)), "long after");
    }

    #[test]
    fn a_copy_over_another_network_is_dropped_and_a_repetition_is_not() {
        let mut copies = Copies::new(51_000, 40_000);
        assert!(copies.is_new(b"ha", at("192.0.2.9:4444"), ms(0)));
        assert!(!copies.is_new(b"ha", at("198.51.100.9:4444"), ms(5)), "the same over wireless");
        assert!(copies.is_new(b"ha", at("192.0.2.9:4444"), ms(700)), "said again");
        assert!(!copies.is_new(b"ha", at("198.51.100.9:4444"), ms(705)));
        assert!(copies.is_new(b"ha", at("198.51.100.9:4444"), ms(9000)));
    }

    #[test]
    fn two_of_the_labs_programs_may_say_the_same() {
        let mut copies = Copies::new(51_000, 40_000);
        assert!(copies.is_new(b"Hello there", at("192.0.2.8:40000"), ms(0)));
        assert!(copies.is_new(b"Hello there", at("192.0.2.9:40000"), ms(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut copies = Copies::new(51_000, 40_000);
        for n in 0..5000_u32 {
            copies.note_sent(&n.to_be_bytes(), ms(1));
            copies.is_new(&n.to_be_bytes(), at("192.0.2.9:4444"), ms(1));
        }
        assert_eq!((copies.sent.len(), copies.heard.len()), (REMEMBERED, REMEMBERED));
    }
}
