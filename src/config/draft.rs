//! A service that is being put together: its settings, the later ones stronger.

use toml::{Table, Value};

use super::explain::{explain, is_unknown_key};
use super::file::Setting;
use super::{Error, Origin};
use crate::access::Policy;
use crate::protocol::{Kind, Options, Row, TABLE};

/// Keys of every service; all others are options of its protocol.
pub(super) const SHARED_KEYS: [&str; 5] = ["protocol", "port", "bind", "listen", "enabled"];

/// See the module.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    /// Weakest first.
    pub(super) settings: Vec<Setting>,
    /// Where the service is first named.
    pub(super) origin: Origin,
}

impl Draft {
    /// A service that has only a name.
    ///
    /// # Errors
    /// The name would not fit where names stand: on the command line, in the table, in the log.
    pub(super) fn new(name: &str, origin: Origin) -> Result<Self, Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 32 || !name.chars().all(fits) {
            let rule = "a service's name has 1 to 32 letters, digits, - and _";
            return Err(Error::at(&origin, format_args!("{name:?}: {rule}")));
        }
        Ok(Self { name: name.to_owned(), settings: Vec::new(), origin })
    }

    /// The strongest setting of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().rev().find(|setting| setting.key == key)
    }

    /// An error of one of the settings: `switchboard.toml:7: service.echo.port: ...`.
    pub(super) fn error(&self, setting: &Setting, message: &str) -> Error {
        path_error(&setting.origin, &format!("{}.{}", self.name, setting.key), message)
    }

    /// An error of the service as a whole: `switchboard.toml:5: service.shout: ...`.
    pub(super) fn own_error(&self, message: &str) -> Error {
        path_error(&self.origin, &self.name, message)
    }

    /// The protocol: the one set, else that of the same name.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn row(&self) -> Result<&'static Row, Error> {
        let set = self.get("protocol");
        let name = match set {
            Some(setting) => {
                setting.value.as_str().ok_or_else(|| self.error(setting, "a string is wanted"))?
            }
            None => &self.name,
        };
        let known = || TABLE.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        Row::find(name).ok_or_else(|| match set {
            Some(setting) => self.error(setting, &format!("no protocol \"{name}\"; there are {}", known())),
            None => self
                .own_error(&format!("no such service; a new one needs {name}.protocol (one of {})", known())),
        })
    }

    /// Whether it is to run, by its own settings.
    pub(super) fn enabled(&self) -> Result<bool, Error> {
        let Some(setting) = self.get("enabled") else { return Ok(self.runs_unasked()) };
        setting.value.as_bool().ok_or_else(|| self.error(setting, "true or false is wanted"))
    }

    /// Some services of the table run only when they are asked for; a service that somebody made is.
    fn runs_unasked(&self) -> bool {
        Row::find(&self.name).is_none_or(|row| !row.off)
    }

    /// The protocol's options. `defaults` count where the protocol knows them and nothing else is set.
    pub(super) fn options(&self, kind: Kind, defaults: &[Setting]) -> Result<Options, Error> {
        let mut table = Table::new();
        for setting in defaults.iter().filter(|setting| !is_limit(setting)) {
            match accept(kind, setting) {
                Ok(value) => drop(table.insert(setting.key.clone(), value)),
                Err(message) if is_unknown_key(&message) => {}
                Err(message) => {
                    let place = format_args!("defaults.{}: {}", setting.key, explain(&message, &[]));
                    return Err(Error::at(&setting.origin, place));
                }
            }
        }
        for setting in self.settings.iter().filter(|it| !is_shared(&it.key)) {
            let value = accept(kind, setting).map_err(|message| self.refuse(setting, &message))?;
            table.insert(setting.key.clone(), value);
        }
        Options::parse(kind, table).map_err(|error| self.own_error(&explain(error.message(), &[])))
    }

    /// Who may use the service, and how much of it. One that others can reach begins with limits.
    pub(super) fn policy(&self, is_open: bool, defaults: &[Setting]) -> Result<Policy, Error> {
        let mut policy = if is_open { Policy::for_open_bind() } else { Policy::default() };
        for setting in defaults.iter().filter(|setting| is_limit(setting)) {
            set(&mut policy, setting).map_err(|message| {
                Error::at(&setting.origin, format_args!("defaults.{}: {message}", setting.key))
            })?;
        }
        for setting in self.settings.iter().filter(|setting| is_limit(setting)) {
            set(&mut policy, setting).map_err(|message| self.error(setting, &message))?;
        }
        Ok(policy)
    }

    /// Makes sure that a banner breaks no protocol.
    pub(super) fn check_banner(&self, policy: &Policy, options: &Options) -> Result<(), Error> {
        if policy.banner.is_none() || options.takes_banner() {
            return Ok(());
        }
        let message = "this protocol has no place for a banner: it would be taken for an answer";
        match self.get("banner") {
            Some(setting) => Err(self.error(setting, message)),
            // A default is for those that have a place for it.
            None => Ok(()),
        }
    }

    fn refuse(&self, setting: &Setting, message: &str) -> Error {
        let text = explain(message, &[&SHARED_KEYS[..], &Policy::KEYS[..]].concat());
        if is_unknown_key(message) && matches!(setting.origin, Origin::File(..)) {
            return path_error(&setting.origin, &self.name, &text);
        }
        self.error(setting, &text)
    }
}

fn is_shared(key: &str) -> bool {
    SHARED_KEYS.contains(&key) || Policy::KEYS.contains(&key)
}

/// Whether it is for every service, of whatever protocol.
pub(super) fn is_limit(setting: &Setting) -> bool {
    Policy::KEYS.contains(&setting.key.as_str())
}

/// Sets it: the value given, or else, from a flag, what was typed.
fn set(policy: &mut Policy, setting: &Setting) -> Result<(), String> {
    let complaint = match policy.set(&setting.key, setting.value.clone()) {
        Ok(()) => return Ok(()),
        Err(complaint) => explain(&complaint, &[]),
    };
    let typed = setting.typed.as_ref().map(|text| Value::String(text.clone()));
    typed.and_then(|text| policy.set(&setting.key, text).ok()).ok_or(complaint)
}

/// Whether any of the protocols has an option of this name.
pub(super) fn is_known_option(setting: &Setting) -> bool {
    let knows = |row: &Row| !matches!(accept(row.kind, setting), Err(message) if is_unknown_key(&message));
    TABLE.iter().any(knows)
}

/// The value that the protocol takes: the one given; or, from a flag, what was typed, so that a name may
/// be `42` without quotes. It is tried alone, so that a complaint is about this setting.
fn accept(kind: Kind, setting: &Setting) -> Result<Value, String> {
    let fits = |value: &Value| {
        let table = Table::from_iter([(setting.key.clone(), value.clone())]);
        Options::parse(kind, table).map(drop).map_err(|error| error.message().to_owned())
    };
    let complaint = match fits(&setting.value) {
        Ok(()) => return Ok(setting.value.clone()),
        Err(complaint) => complaint,
    };
    let typed = setting.typed.as_ref().map(|text| Value::String(text.clone()));
    typed.filter(|text| fits(text).is_ok()).ok_or(complaint)
}

/// `switchboard.toml:7: service.echo: ...`, or `--set echo: ...`.
fn path_error(origin: &Origin, path: &str, message: &str) -> Error {
    match origin {
        Origin::Argument(flag) => Error(format!("{flag} {path}: {message}")),
        _ => Error::at(origin, format_args!("service.{path}: {message}")),
    }
}
