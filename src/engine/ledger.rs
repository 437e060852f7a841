//! What connections hold in buffers, and whose are given up when that is too much.
//!
//! An engine notes what a connection holds when it has been dealt with and still holds something. Most never
//! do: what they are owed leaves in the turn in which it came up. So an echo costs nothing here, and neither
//! does whoever is idle.
//!
//! **Who gives way:** whoever holds the most and makes the least of it. What a connection holds is multiplied
//! by how long it has held something, and divided by what its peer has taken in that time; the highest come
//! first, until an eighth of the bound is free again. Who has taken little for long is far above all those who
//! have just come or read on, even if they hold more.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::time::Time;

/// The share of the ceiling that is freed at once, so that looking for the highest is worth it.
const FREED: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What all may hold together, if there is a bound.
    most: Option<usize>,
    held: usize,
    accounts: FxHashMap<u32, Account>,
    gave_way: u64,
    freed: u64,
    /// The last who gave way, in words.
    last: Option<String>,
}

/// Somebody who holds something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// Bytes of memory.
    pub(super) held: usize,
    /// Since when there has been any.
    pub(super) since: Time,
    /// What its peer had been sent by then.
    sent: u64,
}

impl Ledger {
    /// With this bound, in bytes.
    pub(super) fn new(most: Option<usize>) -> Self {
        Self { most, ..Self::default() }
    }

    /// A connection, which has been sent so much so far, holds this much by now: more than nothing.
    pub(super) fn note(&mut self, key: u32, held: usize, sent: u64, now: Time) {
        let account = self.accounts.entry(key).or_insert(Account { held: 0, since: now, sent });
        self.held = (self.held + held).saturating_sub(account.held);
        account.held = held;
    }

    /// It holds nothing any more.
    pub(super) fn forget(&mut self, key: u32) {
        if let Some(account) = self.accounts.remove(&key) {
            self.held = self.held.saturating_sub(account.held);
        }
    }

    /// Whether somebody must give way.
    pub(super) fn is_over(&self) -> bool {
        self.most.is_some_and(|most| self.held > most && !is_planted(Mutant::BoundIgnored))
    }

    /// Who must give way, the first first; `sent` says what somebody has been sent by now.
    pub(super) fn victims(&self, now: Time, sent: impl Fn(u32) -> u64) -> Vec<(u32, Account)> {
        let Some(most) = self.most else { return Vec::new() };
        let weight = |key: u32, account: &Account| {
            let age = now.as_millis().saturating_sub(account.since.as_millis()) + 1;
            let taken = sent(key).saturating_sub(account.sent) / limits::PROGRESS + 1;
            account.held as u64 * age / taken
        };
        let mut all: Vec<_> =
            self.accounts.iter().map(|(key, it)| (Reverse(weight(*key, it)), *key, *it)).collect();
        all.sort_unstable_by_key(|(weight, key, _)| (*weight, *key));
        if is_planted(Mutant::WrongVictims) {
            all.reverse();
        }
        let mut excess = self.held.saturating_sub(most - most / FREED);
        let wanted = all.into_iter().map_while(|(_, key, account)| {
            let is_enough = excess == 0;
            excess = excess.saturating_sub(account.held);
            (!is_enough).then_some((key, account))
        });
        wanted.collect()
    }

    /// Somebody has given way: `who` it was, in words. Said at once the first time, then each time
    /// the number of them has doubled.
    pub(super) fn gave_way(&mut self, key: u32, held: usize, who: String) {
        self.forget(key);
        self.gave_way += 1;
        self.freed += held as u64;
        if self.gave_way.is_power_of_two() {
            log::warn!(
                "buffers have grown to their bound of {} bytes: {who} gave way; {} so far",
                self.most.unwrap_or(0),
                self.gave_way
            );
        }
        self.last = Some(who).filter(|_| !is_planted(Mutant::VictimUnsaid));
    }

    /// How things are, in a few lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let Self { most, held, accounts, gave_way, freed, last } = self;
        let most = most.map_or("without a bound".to_owned(), |most| format!("of {most}"));
        let first = format!(
            "buffers: {held} bytes {most}, held by {}; {gave_way} gave way with {freed} bytes",
            accounts.len()
        );
        let last = last.as_ref().map(|last| format!("the last who gave way: {last}"));
        std::iter::once(first).chain(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    /// Who would have to go, at second 10, of these: since when, how much, and what was taken since.
    fn order(accounts: &[(u64, usize, u64)]) -> Vec<u32> {
        let mut ledger = Ledger::new(Some(0));
        for (key, (since, held, _)) in (0..).zip(accounts) {
            ledger.note(key, *held, 7, at(*since));
        }
        let victims = ledger.victims(at(10), |key| 7 + accounts[key as usize].2);
        victims.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn who_holds_the_most_and_makes_the_least_of_it_goes_first() {
        assert_eq!(order(&[(0, 1000, 0), (0, 3000, 0), (0, 2000, 0)]), [1, 2, 0], "by what is held");
        assert_eq!(order(&[(9, 1000, 0), (0, 1000, 0), (5, 1000, 0)]), [1, 2, 0], "by how long");
        assert_eq!(
            order(&[(0, 1000, 90_000), (0, 1000, 0), (0, 1000, 5000)]),
            [1, 2, 0],
            "by what was taken"
        );
        assert_eq!(order(&[(10, 200_000, 0), (0, 1000, 0)]), [1, 0], "who has just come is spared");
        assert_eq!(order(&[(0, 200_000, 9_000_000), (0, 1000, 0)]), [1, 0], "who reads on is spared");
    }

    #[test]
    fn so_many_give_way_that_an_eighth_is_free() {
        let mut ledger = Ledger::new(Some(8000));
        for key in 0..9 {
            assert!(!ledger.is_over());
            ledger.note(key, 1000, 0, at(u64::from(key)));
        }
        assert!(ledger.is_over());
        let victims: Vec<u32> = ledger.victims(at(10), |_| 0).into_iter().map(|(key, _)| key).collect();
        assert_eq!(victims, [0, 1]);
        for key in victims {
            ledger.gave_way(key, 1000, format!("number {key}"));
        }
        assert_eq!(
            ledger.lines().collect::<Vec<_>>(),
            [
                "buffers: 7000 bytes of 8000, held by 7; 2 gave way with 2000 bytes",
                "the last who gave way: number 1"
            ]
        );
    }

    #[test]
    fn what_is_held_is_the_sum_whatever_changes() {
        let mut ledger = Ledger::new(None);
        ledger.note(1, 1000, 0, at(0));
        ledger.note(2, 500, 0, at(0));
        ledger.note(1, 300, 0, at(1));
        assert_eq!((ledger.held, ledger.accounts[&1].since), (800, at(0)));
        ledger.forget(2);
        ledger.forget(2);
        ledger.forget(1);
        assert_eq!((ledger.held, ledger.accounts.len()), (0, 0));
        assert!(!ledger.is_over());
    }
}
