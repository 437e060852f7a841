//! The configuration, read again while the daemon runs: what has become of the services, and of the places
//! where they listen.
//!
//! Everything is prepared here, and the new sockets are bound, before the engine hears of it. So what is
//! wrong changes nothing.

use std::sync::Arc;

use crate::bind::{self, Before, Place, SocketFiles};
use crate::cli::ServeArgs;
use crate::config::Plan;
use crate::engine::Engine;
use crate::engine::reload::{Reload, Renewed};
use crate::engine::successor::Estate;
use crate::mutation::{Mutant, is_planted};
use crate::protocol::chat;
use crate::service::{Service, Spot};
use crate::shared::Shared;
use crate::{directory, ports_file};

/// The daemon as it is by now.
#[derive(Debug)]
pub struct Renewal {
    args: ServeArgs,
    engine: Engine,
    /// Every service that there has ever been: engines know them by their indices.
    services: Vec<Service>,
    /// Where those that are wanted are to listen.
    places: Vec<Place>,
    spots: Vec<Spot>,
    /// Some service had faults on the wire at the start.
    has_faults: bool,
    shared: Arc<Shared>,
    files: Arc<SocketFiles>,
    estate: Estate,
}

/// What of a daemon changes with where it listens.
#[derive(Debug)]
pub struct Daemon {
    /// Where it listens.
    pub spots: Vec<Spot>,
    /// What its services share: the page that tells where they are.
    pub shared: Arc<Shared>,
    /// The files of its Unix sockets.
    pub files: Arc<SocketFiles>,
    /// What a successor will get.
    pub estate: Estate,
}

impl Renewal {
    /// The daemon at its start.
    pub fn new(args: ServeArgs, plan: &Plan, daemon: Daemon) -> Self {
        let (services, places) = (plan.services.clone(), plan.places.clone());
        let has_faults = services.iter().any(|service| service.policy.faults.are_any());
        let Daemon { spots, shared, files, estate } = daemon;
        Self { args, engine: plan.engine, services, places, spots, has_faults, shared, files, estate }
    }

    /// How an engine reads the configuration again.
    pub fn reload(mut self) -> Reload {
        Reload::new(move || self.read())
    }

    fn read(&mut self) -> Result<Renewed, String> {
        let plan = Plan::new(&self.args).map_err(|error| error.to_string())?;
        self.check_faults(&plan)?;
        let (services, places) = self.number(&plan);
        let is_same = services.len() == self.services.len() && are_same(&places, &self.places);
        if is_same {
            self.services.clone_from(&services);
            return Ok(Renewed { services, kept: self.spots.clone(), opened: Vec::new() });
        }
        if self.engine != Engine::Reactor {
            return Err(
                "services came or went, or listen somewhere else; with this engine that takes a restart"
                    .to_owned(),
            );
        }
        let before = Before { spots: &self.spots, places: &self.places };
        let mut again = bind::again(&services, &before, &places).map_err(|error| error.to_string())?;
        if let Some(backlog) = plan.backlog {
            bind::set_backlog(&again.opened, backlog).map_err(|error| error.to_string())?;
        }
        let estate = self.estate.renewed(&services, &again.kept, &again.opened);
        let estate = estate.map_err(|error| {
            drop(SocketFiles::of(&again.opened));
            error.to_string()
        })?;
        self.estate.set(estate);
        self.open_transcripts(&services);
        self.spots.clone_from(&again.kept);
        self.spots.extend(again.opened.iter().map(crate::service::Listener::spot));
        self.spots.sort_by_key(|spot| spot.service);
        (self.services, self.places) = (services.clone(), places);
        self.tell(&plan);
        Ok(Renewed { services, kept: std::mem::take(&mut again.kept), opened: again.opened })
    }

    /// An engine without faults has no place for them.
    fn check_faults(&self, plan: &Plan) -> Result<(), String> {
        let faulty = plan.services.iter().find(|service| service.policy.faults.are_any());
        match faulty.filter(|_| !self.has_faults && !is_planted(Mutant::FirstFaultsTaken)) {
            Some(service) => {
                Err(format!("service {}: the first faults on the wire take a restart", service.name))
            }
            None => Ok(()),
        }
    }

    /// The services, each with the number that it has had so far; new ones get the next. Those that have gone
    /// stay: they may still have connections.
    fn number(&self, plan: &Plan) -> (Vec<Service>, Vec<Place>) {
        let mut services = self.services.clone();
        let mut numbers = Vec::new();
        for service in &plan.services {
            let is_it = |old: &Service| old.name == service.name && old.row.kind == service.row.kind;
            let number = services.iter().position(is_it).unwrap_or(services.len());
            match services.get_mut(number) {
                Some(old) => *old = service.clone(),
                None => services.push(service.clone()),
            }
            numbers.push(number);
        }
        let place = |place: &Place| {
            let service = numbers.get(place.service).copied()?;
            Some(Place { service, ..place.clone() })
        };
        (services, plan.places.iter().filter_map(place).collect())
    }

    fn open_transcripts(&self, services: &[Service]) {
        let new = services.iter().skip(self.services.len());
        for journal in chat::transcripts(new.map(|service| &service.options)) {
            self.shared.rooms().write_transcript(journal);
        }
    }

    /// Says what listens now to everybody who was told what did.
    fn tell(&mut self, plan: &Plan) {
        self.files.set(&self.spots);
        self.shared.set_directory(directory::entries(&self.services, &self.spots));
        let Some(path) = &plan.ports_file else { return };
        if let Err(error) = ports_file::write(path, &self.services, &self.spots) {
            log::error!("ports file {}: {error}", path.display());
        }
    }
}

fn are_same(one: &[Place], other: &[Place]) -> bool {
    let at = |place: &Place| (place.service, place.at.clone());
    one.iter().map(at).eq(other.iter().map(at))
}
