//! What long work may do in a turn, all of it together: N of its kind take no longer than one.
//!
//! Most of what a turn does is bounded per connection, because it is short. Work that takes long, such as a
//! listing of a large directory, would add up: so it asks for a part of the turn's share first, and comes again
//! in the next turn for more. Nobody gets a second part before everybody who waits has had one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits;
use crate::mutation::{Mutant, is_planted};

/// See the module. An engine calls [`Ration::renew`] at the end of each turn.
#[derive(Debug, Default)]
pub struct Ration {
    state: Mutex<State>,
    /// Somebody has asked in this turn: else there is nothing to renew.
    is_touched: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Of the turn's share, in units.
    left: usize,
    /// In which everybody gets one part.
    round: u32,
    /// Somebody has got nothing in this turn that is due in this round.
    is_short: bool,
    /// The same of the last turn.
    was_short: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { left: limits::LONG_WORK_PER_TURN, round: 0, is_short: false, was_short: false }
    }
}

/// What somebody who asks again and again has had: the round of the last part.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claim(Option<u32>);

impl Ration {
    /// A part of the turn's share, in units of about a microsecond or two; 0 if it is not
    /// `claim`'s turn, which will ask again. What is not used of it is to be [given back](Ration::give_back).
    pub fn part(&self, claim: &mut Claim) -> usize {
        if is_planted(Mutant::RationIgnored) {
            return limits::LONG_WORK_PART;
        }
        self.is_touched.store(true, Ordering::Relaxed);
        let mut state = self.state();
        let round = state.round;
        if claim.0.is_none() && (state.is_short || state.was_short) {
            // Whoever has just come does not go before those who wait.
            claim.0 = Some(round);
        }
        if claim.0 == Some(round) {
            return 0;
        }
        // A whole one or none: a step that takes a whole part would never be done with less.
        if let Some(left) = state.left.checked_sub(limits::LONG_WORK_PART) {
            state.left = left;
            claim.0 = Some(round);
            return limits::LONG_WORK_PART;
        }
        state.is_short = true;
        claim.0 = Some(round.wrapping_sub(1));
        0
    }

    /// What was not used of a part.
    pub fn give_back(&self, units: usize) {
        let mut state = self.state();
        state.left = (state.left + units).min(limits::LONG_WORK_PER_TURN);
    }

    /// A turn has ended. Costs nothing where nobody has asked.
    #[inline]
    pub fn renew(&self) {
        if self.is_touched.load(Ordering::Relaxed) {
            self.begin_turn();
        }
    }

    fn begin_turn(&self) {
        self.is_touched.store(false, Ordering::Relaxed);
        let mut state = self.state();
        if !state.is_short {
            state.round = state.round.wrapping_add(1);
        }
        state.was_short = std::mem::take(&mut state.is_short);
        state.left = limits::LONG_WORK_PER_TURN;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: usize = limits::LONG_WORK_PER_TURN;
    const PART: usize = limits::LONG_WORK_PART;

    /// Everybody asks once a turn, in the same order; what each has got by then.
    fn ask(ration: &Ration, claims: &mut [Claim], turns: usize) -> Vec<usize> {
        let mut got = vec![0; claims.len()];
        for _ in 0..turns {
            let mut sum = 0;
            for (claim, got) in claims.iter_mut().zip(&mut got) {
                let part = ration.part(claim);
                sum += part;
                *got += part;
            }
            assert!(sum <= SHARE, "{sum}");
            ration.renew();
        }
        got
    }

    #[test]
    fn all_together_never_take_more_than_the_share_and_all_get_as_much() {
        for n in [1, 2, SHARE / PART, SHARE / PART + 1, 40, 1000] {
            let (ration, mut claims) = (Ration::default(), vec![Claim::default(); n]);
            let got = ask(&ration, &mut claims, 2000);
            let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
            // They do not begin in the same round.
            assert!(most - least <= 2 * PART, "{n}: {least} to {most}");
            // Nothing of the share is wasted where there are enough to use it, but at the end of a round.
            let usable = (n * PART).min(SHARE) * 2000;
            assert!(got.iter().sum::<usize>() * 2 > usable, "{n}");
        }
    }

    #[test]
    fn those_who_have_just_come_do_not_go_before_those_who_wait() {
        let (ration, mut claims) = (Ration::default(), vec![Claim::default(); 3 * SHARE / PART]);
        let mut got = 0;
        for _ in 0..300 {
            // More than the share is for, and each asks once and never again.
            for _ in 0..2 * SHARE / PART {
                ration.part(&mut Claim::default());
            }
            got += ask(&ration, &mut claims, 1).iter().filter(|got| **got > 0).count();
        }
        assert!(got >= 300 * SHARE / PART / 2, "{got}");
    }

    #[test]
    fn what_is_given_back_is_for_others() {
        let ration = Ration::default();
        for _ in 0..10 * SHARE / PART {
            let part = ration.part(&mut Claim::default());
            assert_eq!(part, PART);
            ration.give_back(part);
        }
    }

    #[test]
    fn nobody_is_asked_for_a_second_part_in_a_turn() {
        let (ration, mut claim) = (Ration::default(), Claim::default());
        assert_eq!((ration.part(&mut claim), ration.part(&mut claim)), (PART, 0));
        ration.renew();
        assert_eq!(ration.part(&mut claim), PART);
    }
}
