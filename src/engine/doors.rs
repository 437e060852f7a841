//! Who is let in: the gates of all services, what is said of those who are refused, and what has been
//! counted. Every engine asks here, at the moment it accepts and when a connection has closed.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::patience::Patience;
use crate::access::{Gate, Policy, Refusal};
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::service::Service;
use crate::time::Time;

/// How often a log that is refused over and over is told of it.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// The gates of all services, by their indices.
#[derive(Debug, Default)]
pub(super) struct Doors {
    doors: Vec<Door>,
    /// Those who were refused and are still being told.
    being_told: usize,
}

/// One service's.
#[derive(Debug)]
struct Door {
    name: String,
    gate: Gate,
    patience: Patience,
    notes: [Note; Refusal::ALL.len()],
    total: u64,
    read: u64,
    written: u64,
}

/// When a reason was last logged, and how often it has been given since.
#[derive(Debug, Clone, Copy, Default)]
struct Note {
    said: Option<Time>,
    since: u64,
}

/// What an engine says of a connection that it has closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub(super) source: Option<IpAddr>,
    /// It was let in; else it was only told why not.
    pub(super) was_in: bool,
    pub(super) read: u64,
    pub(super) written: u64,
}

impl Doors {
    /// Doors where nobody has come yet.
    pub(super) fn new(services: &[Service]) -> Self {
        let door = |service: &Service| Door::new(&service.name, service.policy.clone());
        Self { doors: services.iter().map(door).collect(), being_told: 0 }
    }

    /// Lets somebody in, who [leaves](Doors::leave) later; or says why not, and whether the one refused may
    /// be told: a bounded number are at once. Whoever is told leaves as well.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn enter(&mut self, service: usize, source: Option<IpAddr>, now: Time) -> Result<(), Refusal> {
        let Some(door) = self.doors.get_mut(service) else { return Ok(()) };
        let entered = door.gate.enter(source, now);
        match entered {
            Ok(()) => door.total += 1,
            Err(refusal) => door.note(refusal, source, now),
        }
        entered
    }

    /// Notes a connection that was closed before it was known whose it is.
    pub(super) fn refuse_proxy(&mut self, service: usize, now: Time) {
        if let Some(door) = self.doors.get_mut(service) {
            door.gate.count(Refusal::Proxy);
            door.note(Refusal::Proxy, None, now);
        }
    }

    /// Whether one more who was refused may be told why; who may not is just closed.
    pub(super) fn may_tell(&mut self) -> bool {
        let may = self.being_told < limits::REFUSED_AT_ONCE || is_planted(Mutant::RefusedUnbounded);
        self.being_told += usize::from(may);
        may
    }

    /// Whether a datagram from there is looked at.
    pub(super) fn hears(&mut self, service: usize, source: Option<IpAddr>, now: Time) -> bool {
        let (Some(door), Some(source)) = (self.doors.get_mut(service), source) else { return true };
        let hears = door.gate.hears(source) || is_planted(Mutant::DatagramsUnasked);
        if !hears {
            door.note(Refusal::NoAccess, Some(source), now);
        }
        hears
    }

    /// A connection has closed.
    pub(super) fn leave(&mut self, service: usize, left: &Left) {
        if !left.was_in {
            self.being_told = self.being_told.saturating_sub(1);
        } else if let Some(door) = self.doors.get_mut(service) {
            door.gate.leave(left.source);
            door.read += left.read;
            door.written += left.written;
        }
    }

    /// How long whoever is in is waited for.
    #[inline]
    pub(super) fn patience(&self, service: usize) -> Patience {
        self.doors.get(service).map(|door| door.patience).unwrap_or_default()
    }

    /// What whoever enters is sent first.
    pub(super) fn banner(&self, service: usize) -> Option<&str> {
        let banner = self.doors.get(service).and_then(|door| door.gate.banner());
        banner.filter(|_| !is_planted(Mutant::BannerForgotten))
    }

    /// What has been counted of each service, a line each.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.doors.iter().map(Door::to_string).filter(|_| !is_planted(Mutant::ServicesUnsaid))
    }

    /// Goes by the rules of these services from now on; one that is new gets a door. `inside` are the
    /// sources of who is in, by service.
    pub(super) fn set_policies(
        &mut self,
        services: &[Service],
        inside: impl Iterator<Item = (usize, Option<IpAddr>)>,
    ) {
        for (index, service) in services.iter().enumerate() {
            match self.doors.get_mut(index) {
                Some(door) => {
                    door.name.clone_from(&service.name);
                    door.patience = Patience::from(&service.policy);
                    door.gate.set_policy(service.policy.clone());
                }
                None => self.doors.push(Door::new(&service.name, service.policy.clone())),
            }
        }
        for (service, source) in inside {
            if let (Some(door), Some(source)) = (self.doors.get_mut(service), source) {
                door.gate.count_source(source);
            }
        }
    }
}

impl Door {
    fn new(name: &str, policy: Policy) -> Self {
        let (patience, gate) = (Patience::from(&policy), Gate::new(policy));
        Self {
            name: name.to_owned(),
            gate,
            patience,
            notes: Default::default(),
            total: 0,
            read: 0,
            written: 0,
        }
    }

    /// Logs a refusal: the first of its kind at once, then how many there were, once a minute.
    fn note(&mut self, refusal: Refusal, source: Option<IpAddr>, now: Time) {
        let Some(note) = self.notes.get_mut(refusal as usize) else { return };
        note.since += 1;
        if is_planted(Mutant::RefusalUnsaid) || note.said.is_some_and(|said| now < said.after(SAID_EVERY)) {
            return;
        }
        let nobody = if refusal == Refusal::Proxy { "unknown" } else { "unix" };
        let source = source.map_or_else(|| nobody.to_owned(), |ip| ip.to_string());
        let times = std::mem::take(&mut note.since);
        note.said = Some(now);
        log::warn!(service = self.name.as_str(), source = source.as_str(), reason = refusal.name(), times; "refused");
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, gate, total, read, written, .. } = self;
        write!(f, "service {name}: {} open, {total} in all, refused", gate.open())?;
        for (refusal, times) in gate.refused() {
            write!(f, " {refusal} {times}")?;
        }
        write!(f, "; {read} bytes in, {written} out by those that closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Options, Row};

    fn doors(set: &[(&str, i64)]) -> Doors {
        let row = Row::find("echo").unwrap();
        let options = Options::parse(row.kind, toml::Table::new()).unwrap();
        let mut policy = Policy::default();
        for (key, value) in set {
            policy.set(key, toml::Value::Integer(*value)).unwrap();
        }
        Doors::new(&[Service { name: "echo".to_owned(), row, options, policy }])
    }

    #[test]
    fn what_happens_at_a_door_is_counted() {
        let mut doors = doors(&[("instances", 1)]);
        assert_eq!(doors.enter(0, None, Time::START), Ok(()));
        assert_eq!(doors.enter(0, None, Time::START), Err(Refusal::Instances));
        doors.leave(0, &Left { source: None, was_in: true, read: 3, written: 4 });
        assert_eq!(
            doors.lines().collect::<Vec<_>>(),
            ["service echo: 0 open, 1 in all, refused access 0 instances 1 per_source 0 cps 0 proxy 0; \
              3 bytes in, 4 out by those that closed"]
        );
    }

    #[test]
    fn only_so_many_are_told_at_once() {
        let mut doors = doors(&[]);
        let told = (0..2 * limits::REFUSED_AT_ONCE).filter(|_| doors.may_tell()).count();
        assert_eq!(told, limits::REFUSED_AT_ONCE);
        doors.leave(0, &Left { source: None, was_in: false, read: 0, written: 0 });
        assert!(doors.may_tell());
        assert!(!doors.may_tell());
    }

    #[test]
    fn the_log_is_told_at_once_and_then_once_a_minute() {
        let mut doors = doors(&[("instances", 0)]);
        let mut since = Vec::new();
        for second in 0..=60 {
            let _ = doors.enter(0, None, Time::from_millis(second * 1000));
            since.push(doors.doors[0].notes[Refusal::Instances as usize].since);
        }
        assert_eq!((since[0], since[59], since[60]), (0, 59, 0));
    }
}
