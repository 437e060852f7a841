//! Where a connection is in its life, in two bytes.

use crate::protocol::Why;

/// Where a connection is between its first and its last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// The session runs.
    Open,
    /// The session is over; what is owed is being sent.
    Finishing(Why),
    /// All is sent and the peer knows; what it still sends is dropped so that no reset destroys the reply.
    Lingering(Why),
    /// To be closed.
    Dead(Why),
}

impl Life {
    /// Whether nothing will be sent but what is there: the end of the stream follows at once.
    #[inline]
    pub fn is_finishing(self) -> bool {
        matches!(self, Self::Finishing(_))
    }
}

/// A [`Life`], and how much was dropped at the end of it: two bytes instead of four, which an idle
/// connection pays for. The stage is in the lowest two bits, then four for the reason, then kibibytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed(u16);

const STAGE: u16 = 0b11;
const WHY: u16 = 0b1111;
/// Where the reason and the kibibytes begin.
const WHY_AT: u32 = 2;
const KIB_AT: u32 = 6;

/// The most kibibytes that can be counted.
pub(super) const MOST_KIB: u16 = u16::MAX >> KIB_AT;

const REASONS: [Why; 10] = [
    Why::PeerDone,
    Why::PeerReset,
    Why::Complete,
    Why::TimedOut,
    Why::BadInput,
    Why::Refused,
    Why::Shutdown,
    Why::Failed,
    Why::GaveWay,
    Why::Fault,
];

const _: () = assert!(REASONS.len() == Why::Fault as usize + 1 && REASONS.len() <= WHY as usize + 1);

impl Packed {
    /// That of a new connection.
    pub(super) const OPEN: Self = Self(0);

    /// Whether the session runs.
    #[inline]
    pub(super) fn is_open(self) -> bool {
        self.0 & STAGE == 0
    }

    /// The life itself.
    #[inline]
    pub(super) fn life(self) -> Life {
        let reason = REASONS.get(usize::from(self.0 >> WHY_AT & WHY));
        let why = reason.copied().unwrap_or(Why::Failed);
        match self.0 & STAGE {
            0 => Life::Open,
            1 => Life::Finishing(why),
            2 => Life::Lingering(why),
            _ => Life::Dead(why),
        }
    }

    /// Goes on to another stage; what was dropped stays.
    pub(super) fn set(&mut self, life: Life) {
        let (stage, why) = match life {
            Life::Open => (0, Why::PeerDone),
            Life::Finishing(why) => (1, why),
            Life::Lingering(why) => (2, why),
            Life::Dead(why) => (3, why),
        };
        self.0 = self.kib() << KIB_AT | (why as u16) << WHY_AT | stage;
    }

    /// Counts kibibytes dropped; gives all of them.
    pub(super) fn drop_kib(&mut self, kib: usize) -> u16 {
        let all = self.kib().saturating_add(u16::try_from(kib).unwrap_or(u16::MAX)).min(MOST_KIB);
        self.0 = all << KIB_AT | self.0 & (WHY << WHY_AT | STAGE);
        all
    }

    fn kib(self) -> u16 {
        self.0 >> KIB_AT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_life_comes_back_with_what_was_dropped() {
        let mut packed = Packed::OPEN;
        assert!(packed.is_open() && packed.life() == Life::Open);
        assert_eq!(packed.drop_kib(1001), 1001);
        for why in REASONS {
            for life in [Life::Finishing(why), Life::Lingering(why), Life::Dead(why)] {
                packed.set(life);
                assert_eq!((packed.life(), packed.is_open(), packed.drop_kib(0)), (life, false, 1001));
            }
        }
        assert_eq!(packed.drop_kib(usize::MAX), MOST_KIB);
        assert_eq!(packed.life(), Life::Dead(Why::Fault));
    }

    #[test]
    fn reasons_stand_in_their_order() {
        assert!(REASONS.iter().enumerate().all(|(at, why)| *why as usize == at));
    }
}
