//! How long an engine waits for a peer, whatever the session says: three periods of a service, each off
//! unless set. The session has deadlines of its own beside these, which are finer where the protocol
//! knows more.

use std::time::Duration;

use crate::access::Policy;
use crate::time::Time;

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Patience {
    idle: Option<Duration>,
    first_byte: Option<Duration>,
    progress: Option<Duration>,
}

impl From<&Policy> for Patience {
    fn from(policy: &Policy) -> Self {
        let Policy { idle, first_byte, progress, .. } = *policy;
        Self { idle, first_byte, progress }
    }
}

impl Patience {
    /// Whether it has no end.
    #[inline]
    pub(super) fn is_endless(self) -> bool {
        self == Self::default()
    }

    /// When a peer from whom the last byte came `last`, if any has, has been silent for too long.
    pub(super) fn silence_due(self, last: Time, has_spoken: bool) -> Time {
        let first = self.first_byte.filter(|_| !has_spoken);
        let wait = [self.idle, first].into_iter().flatten().min();
        wait.map_or(Time::NEVER, |wait| last.after(wait))
    }

    /// When a peer that has been owed something since then must have taken some of it.
    pub(super) fn progress_due(self, since: Time) -> Time {
        if since == Time::NEVER {
            return since;
        }
        self.progress.map_or(Time::NEVER, |wait| since.after(wait))
    }

    /// Whether anybody looks at progress.
    pub(super) fn minds_progress(self) -> bool {
        self.progress.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(set: &[(&str, &str)]) -> Patience {
        let mut policy = Policy::default();
        for (key, value) in set {
            policy.set(key, toml::Value::String((*value).to_owned())).unwrap();
        }
        Patience::from(&policy)
    }

    #[test]
    fn the_first_byte_has_a_period_of_its_own() {
        let patience = patience(&[("idle", "10s"), ("first_byte", "2s"), ("progress", "3s")]);
        let last = Time::from_millis(500);
        assert_eq!(patience.silence_due(last, false), Time::from_millis(2500));
        assert_eq!(patience.silence_due(last, true), Time::from_millis(10_500));
        assert_eq!(patience.progress_due(last), Time::from_millis(3500));
        assert_eq!(patience.progress_due(Time::NEVER), Time::NEVER);
    }

    #[test]
    fn without_any_it_is_endless() {
        let patience = patience(&[]);
        assert!(patience.is_endless());
        assert_eq!(patience.silence_due(Time::START, false), Time::NEVER);
        assert_eq!(patience.progress_due(Time::START), Time::NEVER);
    }
}
