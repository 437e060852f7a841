//! Who may use a service, and how much of it: limits and access lists in the words of xinetd.
//!
//! A [`Policy`] is what was configured; a [`Gate`] applies it, one for each service, at the moment a
//! connection is accepted. It is asked with an address and a time, so it knows no engine and no clock.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Value;

use crate::config::duration;
use crate::time::Time;

mod networks;

pub use networks::Networks;

/// Bits of an IPv6 address that name a site: one client has the rest of them to choose from.
const SITE: u32 = 64;

/// What a service may be told of limits. Everything is off unless set; a service that listens on an open
/// address begins with [`Policy::for_open_bind`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Connections at once.
    pub instances: Option<u32>,
    /// Connections at once from one address (of IPv6: from one /64 network).
    pub per_source: Option<u32>,
    /// Connections per second, and how long nobody is let in when there were more.
    pub cps: Option<Cps>,
    /// If not empty: the only networks that are let in.
    pub only_from: Networks,
    /// Networks that are not let in. Of the two lists, the one with the longer prefix that fits decides.
    pub no_access: Networks,
    /// What is sent to everyone who is let in, before anything else; a line end is added.
    pub banner: Option<String>,
    /// How long nothing may come and nothing may go.
    pub idle: Option<Duration>,
    /// How long the first byte may take to come.
    pub first_byte: Option<Duration>,
    /// How long a peer may take next to nothing of what is owed to it.
    pub progress: Option<Duration>,
}

impl Policy {
    /// The settings that every service has.
    pub const KEYS: [&'static str; 9] = [
        "instances",
        "per_source",
        "cps",
        "only_from",
        "no_access",
        "banner",
        "idle",
        "first_byte",
        "progress",
    ];

    /// What holds on an address that others can reach, where nothing else is set: a class of 300 behind
    /// one address gets in, one program that runs wild does not take everything.
    pub fn for_open_bind() -> Self {
        let cps = Cps { rate: 1000, pause: Duration::from_secs(1) };
        Self {
            per_source: Some(1000),
            cps: Some(cps),
            idle: Some(Duration::from_secs(60 * 60)),
            first_byte: Some(Duration::from_secs(5 * 60)),
            progress: Some(Duration::from_secs(2 * 60)),
            ..Self::default()
        }
    }

    /// Sets one of [`Policy::KEYS`]. `"unlimited"` switches a limit off that is on by default.
    ///
    /// # Errors
    /// What is wrong with the value, in a few words; or there is no such key.
    pub fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        match key {
            "instances" => self.instances = count(value)?,
            "per_source" => self.per_source = count(value)?,
            "cps" => self.cps = limit(value)?,
            "only_from" => self.only_from = read(value)?,
            "no_access" => self.no_access = read(value)?,
            "banner" => self.banner = Some(read(value)?).filter(|text: &String| !text.is_empty()),
            "idle" => self.idle = period(value)?,
            "first_byte" => self.first_byte = period(value)?,
            "progress" => self.progress = period(value)?,
            key => return Err(format!("unknown key \"{key}\"")),
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// A limit, or none.
fn limit<T: DeserializeOwned>(value: Value) -> Result<Option<T>, String> {
    if value.as_str() == Some("unlimited") { Ok(None) } else { read(value).map(Some) }
}

fn count(value: Value) -> Result<Option<u32>, String> {
    limit(value).map_err(|_| "a whole number, or \"unlimited\", is wanted".to_owned())
}

fn period(value: Value) -> Result<Option<Duration>, String> {
    let Some(text) = limit::<String>(value).map_err(|_| "a duration such as \"90s\" is wanted")? else {
        return Ok(None);
    };
    let period = duration::parse(&text)?;
    if period.is_zero() {
        Err("0 is no time; \"unlimited\" switches it off".to_owned())
    } else {
        Ok(Some(period))
    }
}

/// xinetd's `cps`: a rate and a pause. Written `"50 10s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cps {
    /// Connections per second.
    pub rate: u32,
    /// How long nobody is let in after a second that had more.
    pub pause: Duration,
}

impl<'de> Deserialize<'de> for Cps {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        let wrong = || {
            serde::de::Error::custom(format!(
                "{text:?} is no rate and pause, which look like \"50 10s\": 50 connections a second, else \
                 none for 10 seconds"
            ))
        };
        let (rate, pause) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let rate = rate.parse().ok().filter(|rate| *rate > 0).ok_or_else(wrong)?;
        // xinetd's own form has seconds without a unit.
        let seconds = pause.trim().parse().map(Duration::from_secs);
        let pause = seconds.or_else(|_| duration::parse(pause)).map_err(|_| wrong())?;
        Ok(Self { rate, pause })
    }
}

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The address is in `no_access`, or not in `only_from`.
    NoAccess,
    /// As many as `instances` are there.
    Instances,
    /// As many as `per_source` are there from this address.
    PerSource,
    /// Too many came within a second: `cps`.
    Rate,
}

impl Refusal {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::NoAccess, Self::Instances, Self::PerSource, Self::Rate];

    /// What the one who is refused is told, where the protocol has words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoAccess => "your address may not use this service",
            Self::Instances => "this service has as many clients as it takes; try again later",
            Self::PerSource => "your address has as many connections as it may have",
            Self::Rate => "too many connections at once; try again in a moment",
        }
    }

    /// The setting, as the log and the counters call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAccess => "access",
            Self::Instances => "instances",
            Self::PerSource => "per_source",
            Self::Rate => "cps",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The state of one service: who is in, who was refused.
#[derive(Debug, Default)]
pub struct Gate {
    policy: Policy,
    open: u32,
    /// Connections by source; only while `per_source` is set.
    sources: HashMap<IpAddr, u32>,
    /// The second that is counted, and how many came in it.
    second: u64,
    came: u32,
    closed_until: Option<Time>,
    refused: [u64; Refusal::ALL.len()],
}

impl Gate {
    /// A gate where nobody has come yet.
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// What is sent first to who is let in.
    pub fn banner(&self) -> Option<&str> {
        self.policy.banner.as_deref()
    }

    /// Connections that are open.
    pub fn open(&self) -> u32 {
        self.open
    }

    /// How often each reason was given.
    pub fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> {
        Refusal::ALL.into_iter().zip(self.refused)
    }

    /// Lets a connection in, which must be [left](Gate::leave) when it closes; or says why not. `source`
    /// is `None` for a Unix socket, which has only the limits that are for all.
    ///
    /// # Errors
    /// The first limit that is in the way. Counted.
    pub fn enter(&mut self, source: Option<IpAddr>, now: Time) -> Result<(), Refusal> {
        let entered = self.check(source, now);
        match entered {
            Ok(()) => self.open += 1,
            Err(refusal) => self.count(refusal),
        }
        entered
    }

    fn check(&mut self, source: Option<IpAddr>, now: Time) -> Result<(), Refusal> {
        if !source.is_none_or(|ip| self.policy.lets_in(ip)) {
            return Err(Refusal::NoAccess);
        }
        if self.policy.cps.is_some_and(|cps| self.is_too_fast(cps, now)) {
            return Err(Refusal::Rate);
        }
        if self.policy.instances.is_some_and(|most| self.open >= most) {
            return Err(Refusal::Instances);
        }
        if let (Some(most), Some(ip)) = (self.policy.per_source, source) {
            let there = self.sources.entry(site(ip)).or_default();
            if *there >= most {
                return Err(Refusal::PerSource);
            }
            *there += 1;
        }
        Ok(())
    }

    /// Counts one more in this second. Once there are too many, everyone is refused until the pause is over.
    fn is_too_fast(&mut self, cps: Cps, now: Time) -> bool {
        if self.closed_until.is_some_and(|until| now < until) {
            return true;
        }
        self.closed_until = None;
        let second = now.as_millis() / 1000;
        if second != self.second {
            (self.second, self.came) = (second, 0);
        }
        self.came = self.came.saturating_add(1);
        let too_fast = self.came > cps.rate;
        if too_fast {
            self.closed_until = Some(now.after(cps.pause));
            self.came = 0;
        }
        too_fast
    }

    /// Whether a datagram of this source is looked at: the access lists count for those as well.
    pub fn hears(&mut self, source: IpAddr) -> bool {
        let hears = self.policy.lets_in(source);
        if !hears {
            self.count(Refusal::NoAccess);
        }
        hears
    }

    fn count(&mut self, refusal: Refusal) {
        if let Some(count) = self.refused.get_mut(refusal as usize) {
            *count += 1;
        }
    }

    /// Counts somebody who is in, by its source, after [`Gate::set_policy`].
    pub fn count_source(&mut self, source: IpAddr) {
        if self.policy.per_source.is_some() {
            *self.sources.entry(site(source)).or_default() += 1;
        }
    }

    /// A connection that was let in has closed.
    pub fn leave(&mut self, source: Option<IpAddr>) {
        self.open = self.open.saturating_sub(1);
        let Some(site) = source.map(site) else { return };
        if let Some(there) = self.sources.get_mut(&site) {
            *there -= 1;
            if *there == 0 {
                self.sources.remove(&site);
            }
        }
    }

    /// Goes by other rules from now on. Who is in stays in, and is counted by source again with
    /// [`Gate::count_source`].
    pub fn set_policy(&mut self, policy: Policy) {
        self.sources.clear();
        if policy.cps != self.policy.cps {
            self.closed_until = None;
        }
        self.policy = policy;
    }
}

impl Policy {
    /// By xinetd's rule: the list whose entry fits more exactly decides; on a tie, and where neither fits
    /// though `only_from` is set, nobody is let in.
    fn lets_in(&self, ip: IpAddr) -> bool {
        let allowed = self.only_from.longest_match(ip);
        let denied = self.no_access.longest_match(ip);
        match (allowed, denied) {
            (Some(allowed), Some(denied)) => allowed > denied,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => self.only_from.is_empty(),
        }
    }
}

/// What counts as one source.
fn site(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (Ipv6Addr::BITS - SITE))).into()
        }
        ip => ip,
    }
}

#[cfg(test)]
mod tests;
