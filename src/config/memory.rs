//! The bound of what buffers may take together.

use std::str::FromStr;

use bytesize::ByteSize;
use serde::Deserialize;

use super::file::ConfigFile;
use super::{Error, Origin};
use crate::bind::Place;
use crate::cli::ServeArgs;
use crate::engine::Engine;
use crate::limits;
use crate::mutation::{Mutant, is_planted};

/// A number of bytes such as `64MiB`, or `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MaxBuffers(Option<usize>);

impl FromStr for MaxBuffers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self(None));
        }
        let size = text.trim().parse::<ByteSize>().ok().and_then(|size| usize::try_from(size.as_u64()).ok());
        let size =
            size.ok_or_else(|| format!("{text:?} is no size, which looks like 64MiB; or unlimited"))?;
        if size < limits::BUFFERS_LEAST {
            return Err(format!(
                "{text} is too little: {} is the least",
                ByteSize(limits::BUFFERS_LEAST as u64)
            ));
        }
        Ok(Self(Some(size)))
    }
}

impl TryFrom<String> for MaxBuffers {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What counts: what is set, else a bound where others can connect. Only the reactor keeps accounts.
pub(super) fn max_buffers(
    args: &ServeArgs,
    file: &ConfigFile,
    engine: Engine,
    places: &[Place],
) -> Result<Option<usize>, Error> {
    let flag = args.max_buffers.map(|most| (most, args.origin("max_buffers")));
    match flag.or_else(|| file.max_buffers.clone()) {
        Some((MaxBuffers(Some(_)), origin)) if engine != Engine::Reactor => Err(only_reactor(&origin)),
        Some((MaxBuffers(most), _)) => Ok(most),
        None if is_planted(Mutant::NoBoundByDefault) => Ok(None),
        None if places.iter().any(|place| place.at.is_open()) => Ok(Some(limits::BUFFERS_OPEN)),
        None => Ok(None),
    }
}

fn only_reactor(origin: &Origin) -> Error {
    Error::at(
        origin,
        "max_buffers goes with --engine reactor only: with others, each client has its own buffers",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!("64MiB".parse(), Ok(MaxBuffers(Some(64 << 20))));
        assert_eq!("1 GiB".parse(), Ok(MaxBuffers(Some(1 << 30))));
        assert_eq!("unlimited".parse(), Ok(MaxBuffers(None)));
        for (text, said) in [("lots", "64MiB"), ("1000", "too little: 4.0 MiB is the least")] {
            assert!(text.parse::<MaxBuffers>().is_err_and(|error| error.contains(said)), "{text}");
        }
    }
}
