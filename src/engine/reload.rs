//! Reading the configuration once more while the daemon runs.

use std::fmt;

use crate::mutation::{Mutant, is_planted};
use crate::service::{Listener, Service, Spot};
use crate::supervisor::{self, News};

type Read = dyn FnMut() -> Result<Renewed, String> + Send;

/// What is to be from now on.
#[derive(Debug)]
pub struct Renewed {
    /// The services, with the limits and options that the configuration has by now: those so far under their
    /// numbers, also if they have gone, then new ones.
    pub services: Vec<Service>,
    /// The sockets that stay, perhaps for another service; all others are to be closed.
    pub kept: Vec<Spot>,
    /// New sockets, which listen already.
    pub opened: Vec<Listener>,
}

/// How an engine gets what is to be from now on.
#[derive(Default)]
pub struct Reload(Option<Box<Read>>);

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reload").field(&self.0.is_some()).finish()
    }
}

impl Reload {
    /// Reads by calling this.
    pub fn new(read: impl FnMut() -> Result<Renewed, String> + Send + 'static) -> Self {
        Self(Some(Box::new(read)))
    }

    /// The services from now on, for an engine whose listeners stay.
    pub(super) fn services(&mut self) -> Option<Vec<Service>> {
        self.read().map(|renewed| renewed.services)
    }

    /// What is to be from now on; `None` if something is wrong, which is logged: then nothing is to change.
    pub(super) fn read(&mut self) -> Option<Renewed> {
        let read = self.0.as_mut()?;
        supervisor::tell(News::Reloading);
        let renewed = read();
        // Whatever has come of it, the program serves.
        supervisor::tell(News::Ready);
        match renewed {
            Ok(renewed) => {
                log::info!("the configuration was read again; it counts for who connects from now on");
                Some(renewed)
            }
            Err(_) if is_planted(Mutant::ProblemUnsaid) => None,
            Err(problem) => {
                log::error!("the configuration was read again, and nothing has changed: {problem}");
                None
            }
        }
    }
}
