//! Faults on the wire, on demand: what a service is to do wrong with its connections, so that somebody can
//! see what their client makes of it.
//!
//! [`Faults`] is what was configured, a [`Script`] what it comes to for one connection: a matter of the seed
//! and of the connection's number, and of nothing else, so that what went wrong once goes wrong again. A
//! script knows no socket and no clock; an engine asks it before every write.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use fastrand::Rng;
use toml::Value;

use crate::config::duration;

mod script;

pub use script::{Script, Step};

/// What a service does wrong. Nothing, unless set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// How long every write waits.
    pub latency: Option<Latency>,
    /// How many bytes a write has at the most; drawn for each.
    pub chunk: Option<Amount>,
    /// After how many bytes nothing more is sent, and the connection stays.
    pub stall_after: Option<Amount>,
    /// After how many bytes the connection is reset.
    pub reset_after: Option<Amount>,
    /// After how many bytes the connection ends as if that had been all.
    pub truncate: Option<Amount>,
    /// How many of all connections are reset as soon as they are made, from 0 to 1.
    pub refuse: f64,
    /// What all that is drawn comes from.
    pub seed: u64,
}

/// A time, and by how much it varies to either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// The time.
    pub delay: Duration,
    /// What is drawn each time is added or taken off.
    pub jitter: Duration,
}

/// Bytes: a number, or what is drawn between two, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    least: u64,
    most: u64,
}

impl Faults {
    /// The settings.
    pub const KEYS: [&'static str; 7] =
        ["latency", "chunk", "stall_after", "reset_after", "truncate", "refuse", "seed"];

    /// Sets one of [`Faults::KEYS`]. `"off"` takes back what was set for all services.
    ///
    /// # Errors
    /// What is wrong with the value, in a few words; or there is no such key.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "latency" => self.latency = unless_off(value, latency)?,
            "chunk" => {
                self.chunk = unless_off(value, amount)?;
                if self.chunk.is_some_and(|chunk| chunk.least == 0) {
                    return Err("a write of 0 bytes is none; it has 1 at least".to_owned());
                }
            }
            "stall_after" => self.stall_after = unless_off(value, amount)?,
            "reset_after" => self.reset_after = unless_off(value, amount)?,
            "truncate" => self.truncate = unless_off(value, amount)?,
            "refuse" => self.refuse = unless_off(value, probability)?.unwrap_or(0.0),
            "seed" => {
                let seed = value.as_integer().and_then(|seed| u64::try_from(seed).ok());
                self.seed = seed.ok_or("a whole number is wanted")?;
            }
            key => return Err(format!("unknown key \"{key}\"")),
        }
        Ok(())
    }

    /// Whether anything is done wrong: a seed alone does nothing.
    pub fn are_any(&self) -> bool {
        *self != Self { seed: self.seed, ..Self::default() }
    }
}

fn unless_off<T>(value: &Value, read: impl FnOnce(&Value) -> Result<T, String>) -> Result<Option<T>, String> {
    if value.as_str() == Some("off") { Ok(None) } else { read(value).map(Some) }
}

/// `"200ms"`, or with a jitter `"200ms 50ms"`.
fn latency(value: &Value) -> Result<Latency, String> {
    let wrong = || {
        "a time is wanted, as in \"200ms\", or one and how much it varies to either side, as in \"200ms 50ms\""
            .to_owned()
    };
    let text = value.as_str().ok_or_else(wrong)?;
    let (delay, jitter) = text.trim().split_once(' ').unwrap_or((text, "0s"));
    let (delay, jitter) = (duration::parse(delay), duration::parse(jitter));
    let latency = Latency { delay: delay.map_err(|_| wrong())?, jitter: jitter.map_err(|_| wrong())? };
    if latency.jitter > latency.delay {
        return Err("it cannot vary by more than it is".to_owned());
    }
    Ok(latency)
}

/// `1000`, `"64 KiB"`, or `"100..5000"`.
fn amount(value: &Value) -> Result<Amount, String> {
    let wrong =
        || "a number of bytes is wanted, as in 1000 or \"64 KiB\", or two as in \"100..5000\"".to_owned();
    if let Some(number) = value.as_integer() {
        let number = u64::try_from(number).map_err(|_| wrong())?;
        return Ok(Amount { least: number, most: number });
    }
    let text = value.as_str().ok_or_else(wrong)?;
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let bytes = |text: &str| text.trim().parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| wrong());
    let amount = Amount { least: bytes(least)?, most: bytes(most)? };
    if amount.most < amount.least { Err(wrong()) } else { Ok(amount) }
}

/// `"all"`, or a number from 0 to 1.
fn probability(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::String(text) if text == "all" => Some(1.0),
        Value::Integer(0) => Some(0.0),
        Value::Integer(1) => Some(1.0),
        Value::Float(number) => Some(*number).filter(|number| (0.0..=1.0).contains(number)),
        _ => None,
    };
    number.ok_or_else(|| "a number from 0 to 1 is wanted, as in 0.25, or \"all\"".to_owned())
}

impl Latency {
    fn draw(self, rng: &mut Rng) -> Duration {
        let jitter = u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX / 2);
        let least = self.delay.saturating_sub(self.jitter);
        least + Duration::from_micros(rng.u64(0..=2 * jitter))
    }
}

impl Amount {
    fn draw(self, rng: &mut Rng) -> u64 {
        rng.u64(self.least..=self.most)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least == self.most {
            write!(f, "{}", self.least)
        } else {
            write!(f, "{}..{}", self.least, self.most)
        }
    }
}

#[cfg(test)]
mod tests;
