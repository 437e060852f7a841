//! What whoever supervises the program is told of it, if it asked to be: systemd, by `NOTIFY_SOCKET` (see
//! `sd_notify(3)`). A message that does not get through keeps nobody from being served.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::mutation::{Mutant, is_planted};

/// Something that is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Everything listens.
    Ready,
    /// The configuration is being read again; [`News::Ready`] follows.
    Reloading,
    /// The drain has begun.
    Stopping,
    /// The process of this number has taken over.
    Successor(u32),
    /// The loop still turns.
    Alive,
}

/// Tells the supervisor, if there is one.
pub fn tell(news: News) {
    if is_planted(Mutant::SupervisorUntold) && news != News::Ready {
        return;
    }
    let told = match news {
        News::Ready => sd_notify::notify(&[NotifyState::Ready]),
        News::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
        News::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        News::Successor(pid) => sd_notify::notify(&[NotifyState::MainPid(pid), NotifyState::Ready]),
        News::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    };
    if let Err(error) = told {
        log::debug!("the supervisor could not be told: {error}");
    }
}

/// How often [`News::Alive`] is wanted, if it is: twice in the time after which the program counts as dead.
pub fn alive_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|within| within / 2).filter(|every| !every.is_zero())
}
