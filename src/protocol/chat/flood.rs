//! How fast one may speak: a rate and a burst (the generic cell rate algorithm, one number per member).
//! Nobody's lines are dropped; they wait, and TCP passes the waiting on. Those on this machine may speak
//! as fast as they like.

use std::time::Duration;

use crate::protocol::Cx;
use crate::time::Time;

/// How long one who was too fast must have been slow to be told again.
const NEWS_AGAIN: u32 = 60 * 100;

/// How fast one may speak.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Messages a second for long; zero for any number.
    pub flood: u32,
    /// Messages at once beyond that.
    pub burst: u32,
}

/// One member's account.
#[derive(Debug, Default)]
pub struct Flood {
    /// When all that was said so far will have been paid for, in hundredths of a second of the engine's time.
    paid_at: u32,
    told: bool,
    news: bool,
}

impl Flood {
    /// Until when the next message must wait.
    pub fn wait(&mut self, rate: Rate, cx: &Cx<'_>) -> Option<Time> {
        let step = step(rate, cx)?;
        let debt = self.paid_at.saturating_sub(hundredths(cx.now));
        let free = step.saturating_mul(rate.burst.max(1));
        if debt + step <= free {
            return None;
        }
        self.news = !std::mem::replace(&mut self.told, true);
        Some(cx.now.after(Duration::from_millis(u64::from(debt + step - free) * 10)))
    }

    /// Whether one has not been told of that lately.
    pub fn is_news(&self) -> bool {
        self.news
    }

    /// Whether nothing must be remembered of it: a new account would do the same.
    pub fn is_settled(&self, now: Time) -> bool {
        let is_paid = self.paid_at <= hundredths(now);
        is_paid && (!self.told || hundredths(now) - self.paid_at > NEWS_AGAIN)
    }

    /// A message was taken.
    pub fn count(&mut self, rate: Rate, cx: &Cx<'_>) {
        let Some(step) = step(rate, cx) else { return };
        let now = hundredths(cx.now);
        if now.saturating_sub(self.paid_at) > NEWS_AGAIN {
            self.told = false;
        }
        self.paid_at = self.paid_at.max(now).saturating_add(step);
    }
}

/// Hundredths of a second for one message; `None` if nothing is limited.
fn step(rate: Rate, cx: &Cx<'_>) -> Option<u32> {
    let is_near = cx.peer.ip().is_none_or(|ip| ip.to_canonical().is_loopback());
    if is_near { None } else { 100_u32.checked_div(rate.flood).map(|step| step.max(1)) }
}

fn hundredths(time: Time) -> u32 {
    u32::try_from(time.as_millis() / 10).unwrap_or(u32::MAX)
}
