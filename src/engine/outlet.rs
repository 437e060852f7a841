//! The side of a datagram socket that speaks unasked: to everybody on a network, what the members of a room
//! say. Bounded: a line makes as many datagrams as it has pieces, and no more than
//! [`limits::LAN_PER_SECOND`] leave or are taken in a second.

use std::net::SocketAddr;

use crate::lan::copies::Copies;
use crate::lan::pieces;
use crate::limits;
use crate::peer::Peer;
use crate::protocol::ConnId;
use crate::time::Time;

/// The generation of what stands for a datagram socket among the members of a room; no connection has it.
const GENERATION: u32 = super::net::LAST_GENERATION + 1;

/// See the module.
#[derive(Debug)]
pub(super) struct Speaker {
    copies: Copies,
    sent: Rate,
    taken: Rate,
}

impl Speaker {
    /// Sends from one port, to everybody who receives on another.
    pub(super) fn new(own_port: u16, chat_port: u16) -> Self {
        Self { copies: Copies::new(own_port, chat_port), sent: Rate::default(), taken: Rate::default() }
    }

    /// How the datagram socket of this index is named as a member.
    pub(super) fn id(index: usize) -> ConnId {
        ConnId { key: u32::try_from(index).unwrap_or(u32::MAX), generation: GENERATION }
    }

    /// The index of the datagram socket that a member's name stands for.
    pub(super) fn index(id: ConnId) -> Option<usize> {
        (id.generation == GENERATION).then_some(id.key as usize)
    }

    /// Whether a datagram is to be heard: it is no copy, and not one too many.
    pub(super) fn hears(&mut self, datagram: &[u8], from: &Peer, now: Time) -> bool {
        let Some(ip) = from.ip() else { return false };
        self.copies.is_new(datagram, SocketAddr::new(ip, from.port()), now) && self.taken.allows(now)
    }

    /// Whether it may send anything in the present second.
    pub(super) fn may_send(&self, now: Time) -> bool {
        self.sent.has_left(now)
    }

    /// When it may send again.
    pub(super) fn next_second(now: Time) -> Time {
        Time::from_millis((now.as_millis() / 1000 + 1) * 1000)
    }

    /// Sends the lines that are whole, as many as may be sent now; gives how many bytes they were. What the
    /// room tells its members (`* ..`) is of no interest to a network.
    pub(super) fn speak(&mut self, lines: &[u8], now: Time, mut send: impl FnMut(&[u8])) -> usize {
        let mut spoken = 0;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\n") else { break };
            if !text.starts_with(b"* ") {
                if !self.may_send(now) {
                    break;
                }
                for piece in pieces(&String::from_utf8_lossy(text)) {
                    self.sent.allows(now);
                    self.copies.note_sent(piece.as_bytes(), now);
                    send(piece.as_bytes());
                }
            }
            spoken += line.len();
        }
        spoken
    }
}

/// A count per second.
#[derive(Debug, Default)]
struct Rate {
    second: u64,
    count: u32,
}

impl Rate {
    fn has_left(&self, now: Time) -> bool {
        self.second != now.as_millis() / 1000 || self.count < limits::LAN_PER_SECOND
    }

    /// Counts one more, if that is allowed.
    fn allows(&mut self, now: Time) -> bool {
        let second = now.as_millis() / 1000;
        if self.second != second {
            (self.second, self.count) = (second, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= limits::LAN_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(speaker: &mut Speaker, lines: &str, ms: u64) -> (usize, Vec<String>) {
        let mut sent = Vec::new();
        let taken = speaker.speak(lines.as_bytes(), Time::from_millis(ms), |datagram| {
            sent.push(String::from_utf8(datagram.to_vec()).unwrap());
        });
        (taken, sent)
    }

    #[test]
    fn lines_become_datagrams_and_notices_do_not() {
        let mut speaker = Speaker::new(5000, 40_000);
        let lines = "* ali joined\nali: hi\nali: half";
        assert_eq!(spoken(&mut speaker, lines, 0), (lines.len() - 9, vec!["ali: hi".to_owned()]));
        let long = format!("ali: {}\n", "é".repeat(700));
        let (taken, sent) = spoken(&mut speaker, &long, 0);
        assert_eq!((taken, sent.len(), sent.concat().len() + 1), (long.len(), 2, long.len()));
    }

    #[test]
    fn no_more_leave_in_a_second_than_are_allowed() {
        let mut speaker = Speaker::new(5000, 40_000);
        let lines = "ali: hi\n".repeat(250);
        let (first, sent) = spoken(&mut speaker, &lines, 10);
        assert_eq!(sent.len(), limits::LAN_PER_SECOND as usize);
        assert_eq!(spoken(&mut speaker, &lines[first..], 999), (0, vec![]));
        assert_eq!(Speaker::next_second(Time::from_millis(999)), Time::from_millis(1000));
        assert_eq!(spoken(&mut speaker, &lines[first..], 1000).1.len(), limits::LAN_PER_SECOND as usize);
    }

    #[test]
    fn a_flood_is_heard_in_part_and_our_own_never() {
        let mut speaker = Speaker::new(5000, 40_000);
        spoken(&mut speaker, "ali: hi\n", 0);
        let from = |text: &str| Peer::from(text.parse::<SocketAddr>().unwrap());
        assert!(!speaker.hears(b"ali: hi", &from("192.0.2.1:5000"), Time::START));
        let heard =
            (0..500u32).filter(|n| speaker.hears(&n.to_be_bytes(), &from("192.0.2.7:40000"), Time::START));
        assert_eq!(heard.count(), limits::LAN_PER_SECOND as usize);
    }
}
