//! The configuration file: TOML, with the line of every key kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::{Spanned, Value};

use super::explain::explain;
use super::{Error, MaxBuffers, Origin, duration};
use crate::cli::{EngineName, LogFormat};

/// Keys with their values, as the file has them.
type Table = BTreeMap<Spanned<String>, Value>;

/// A setting and where it was made.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: Value,
    /// What was typed, where it may mean a string without quotes as well.
    pub(super) typed: Option<String>,
    pub(super) origin: Origin,
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    pub(super) engine: Option<EngineName>,
    pub(super) backlog: Option<u16>,
    pub(super) grace: Option<Duration>,
    pub(super) max_buffers: Option<(MaxBuffers, Origin)>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) log_level: Option<LevelFilter>,
    pub(super) ports_file: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) well_known: Option<Origin>,
    /// The directory of http and download services; a [`Setting`] of all of them.
    pub(super) root: Option<Setting>,
    /// The directory of upload services; a [`Setting`] of all of them.
    pub(super) uploads: Option<Setting>,
    pub(super) only: Option<Names>,
    pub(super) without: Option<Names>,
    pub(super) with: Option<Names>,
    /// `[defaults]`.
    pub(super) defaults: Vec<Setting>,
    /// `[service.NAME]`, in the order of the file.
    pub(super) services: Vec<Section>,
}

/// Names of services and where they are listed.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) names: Vec<String>,
    pub(super) origin: Origin,
}

/// A `[service.NAME]`.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) settings: Vec<Setting>,
    pub(super) origin: Origin,
}

/// The file as serde reads it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    backlog: Option<u16>,
    engine: Option<EngineName>,
    #[serde(deserialize_with = "some_duration")]
    grace: Option<Duration>,
    max_buffers: Option<Spanned<MaxBuffers>>,
    log_format: Option<LogFormat>,
    #[serde(deserialize_with = "some_level")]
    log_level: Option<LevelFilter>,
    ports_file: Option<PathBuf>,
    user: Option<String>,
    well_known: Option<Spanned<bool>>,
    root: Option<Spanned<Value>>,
    uploads: Option<Spanned<Value>>,
    only: Option<Spanned<Vec<String>>>,
    without: Option<Spanned<Vec<String>>>,
    with: Option<Spanned<Vec<String>>>,
    defaults: Table,
    service: BTreeMap<Spanned<String>, Table>,
}

fn some_duration<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Duration>, D::Error> {
    duration::deserialize(source).map(Some)
}

fn some_level<'de, D: Deserializer<'de>>(source: D) -> Result<Option<LevelFilter>, D::Error> {
    let name = String::deserialize(source)?;
    let unknown = || D::Error::custom(format!("{name:?} is none of off, error, warn, info, debug, trace"));
    name.parse().map(Some).map_err(|_| unknown())
}

impl ConfigFile {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Error(format!("{name}: {error}")))?;
        Self::parse(&name, &text)
    }

    /// Reads the text of a file of this name.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let lines = Lines { name, text };
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Error::at(&lines.origin(at), explain(error.message(), &[]))
        })?;
        let mut sections: Vec<_> = raw.service.into_iter().collect();
        sections.sort_by_key(|(name, _)| name.span().start);
        let services = sections.into_iter().map(|(name, table)| Section {
            origin: lines.origin(name.span().start),
            name: name.into_inner(),
            settings: lines.settings(table),
        });
        Ok(Self {
            backlog: raw.backlog,
            engine: raw.engine,
            grace: raw.grace,
            max_buffers: raw.max_buffers.map(|most| (*most.get_ref(), lines.origin(most.span().start))),
            log_format: raw.log_format,
            log_level: raw.log_level,
            ports_file: raw.ports_file,
            user: raw.user,
            well_known: raw.well_known.filter(|on| *on.get_ref()).map(|on| lines.origin(on.span().start)),
            root: raw.root.map(|value| lines.setting("root", value)),
            uploads: raw.uploads.map(|value| lines.setting("dir", value)),
            only: raw.only.map(|names| lines.names(names)),
            without: raw.without.map(|names| lines.names(names)),
            with: raw.with.map(|names| lines.names(names)),
            defaults: lines.settings(raw.defaults),
            services: services.collect(),
        })
    }
}

/// Where in a text things stand.
struct Lines<'a> {
    name: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn origin(&self, at: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(at);
        Origin::File(self.name.to_owned(), 1 + before.filter(|byte| **byte == b'\n').count())
    }

    fn settings(&self, table: Table) -> Vec<Setting> {
        let setting = |(key, value): (Spanned<String>, Value)| Setting {
            origin: self.origin(key.span().start),
            key: key.into_inner(),
            value,
            typed: None,
        };
        table.into_iter().map(setting).collect()
    }

    fn setting(&self, key: &str, value: Spanned<Value>) -> Setting {
        let origin = self.origin(value.span().start);
        Setting { key: key.to_owned(), value: value.into_inner(), typed: None, origin }
    }

    fn names(&self, names: Spanned<Vec<String>>) -> Names {
        Names { origin: self.origin(names.span().start), names: names.into_inner() }
    }
}
