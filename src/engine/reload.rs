//! Reading the configuration once more while the daemon runs.

use std::fmt;

use crate::service::Service;

type Read = dyn FnMut() -> Result<Vec<Service>, String> + Send;

/// How an engine gets the services as they are to be from now on: the same ones in the same places, with
/// the limits and options that the configuration has by now.
#[derive(Default)]
pub struct Reload(Option<Box<Read>>);

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reload").field(&self.0.is_some()).finish()
    }
}

impl Reload {
    /// Reads by calling this.
    pub fn new(read: impl FnMut() -> Result<Vec<Service>, String> + Send + 'static) -> Self {
        Self(Some(Box::new(read)))
    }

    /// The services from now on; `None` if something is wrong, which is logged: then nothing is to change.
    pub(super) fn services(&mut self) -> Option<Vec<Service>> {
        let read = self.0.as_mut()?;
        match read() {
            Ok(services) => {
                log::info!("the configuration was read again; it counts for who connects from now on");
                Some(services)
            }
            Err(problem) => {
                log::error!("the configuration was read again, and nothing has changed: {problem}");
                None
            }
        }
    }
}
