//! The flags that are options of every http service, chat service or console.
//!
//! A flag is stronger than the file and weaker than `--set`, which names its service; the file's own
//! `root` is weaker than what the file says of a service.

use std::path::Path;

use toml::Value;

use super::draft::Draft;
use super::file::{ConfigFile, Setting};
use super::{Error, Origin};
use crate::cli::ServeArgs;

/// Adds what the flags say to an http service.
///
/// # Errors
/// A path is not UTF-8.
pub(super) fn add(draft: &mut Draft, args: &ServeArgs, file: &ConfigFile) -> Result<(), Error> {
    insert(draft, given(args)?);
    if let Some(root) = &file.root {
        draft.settings.insert(0, root.clone());
    }
    Ok(())
}

/// Adds what the flags say to a chat service.
///
/// # Errors
/// A path is not UTF-8.
pub(super) fn add_to_chat(draft: &mut Draft, args: &ServeArgs) -> Result<(), Error> {
    let Some(path) = &args.transcript else { return Ok(()) };
    let value = text(args, "transcript", path)?;
    let origin = args.origin("transcript");
    insert(draft, vec![Setting { key: "transcript".to_owned(), value, typed: None, origin }]);
    Ok(())
}

/// Adds what the flags say to a console.
pub(super) fn add_hosts(draft: &mut Draft, args: &ServeArgs) {
    if !args.host.is_empty() {
        let origin = args.origin("host");
        let value = Value::from(args.host.clone());
        insert(draft, vec![Setting { key: "host".to_owned(), value, typed: None, origin }]);
    }
}

/// Puts the settings of flags where they are stronger than the file and weaker than `--set`.
fn insert(draft: &mut Draft, settings: Vec<Setting>) {
    let is_argument = |setting: &Setting| matches!(setting.origin, Origin::Argument(_));
    let at = draft.settings.iter().position(is_argument).unwrap_or(draft.settings.len());
    let stronger = draft.settings.split_off(at);
    draft.settings.extend(settings);
    draft.settings.extend(stronger);
}

/// The flags of http that were given, as settings.
fn given(args: &ServeArgs) -> Result<Vec<Setting>, Error> {
    let path = |flag: &str, path: &Option<std::path::PathBuf>| {
        path.as_deref().map(|path| text(args, flag, path)).transpose()
    };
    let when = |on: bool, value: bool| on.then(|| Value::from(value));
    let flags = [
        ("root", "root", path("root", &args.root)?),
        ("index", "index", args.index.clone().map(Value::from)),
        ("no_listing", "listing", when(args.no_listing, false)),
        ("hidden", "hidden", when(args.hidden, true)),
        ("not_found", "not_found", path("not_found", &args.not_found)?),
        ("cors", "cors", when(args.cors, true)),
        ("cache_control", "cache_control", args.cache_control.clone().map(Value::from)),
        ("follow_symlinks", "follow_symlinks", when(args.follow_symlinks, true)),
        ("access_log", "access_log", path("access_log", &args.access_log)?),
    ];
    let setting = |(flag, key, value): (&str, &str, Option<Value>)| {
        Some(Setting { key: key.to_owned(), value: value?, typed: None, origin: args.origin(flag) })
    };
    Ok(flags.into_iter().filter_map(setting).collect())
}

fn text(args: &ServeArgs, flag: &str, path: &Path) -> Result<Value, Error> {
    let text = path.to_str().ok_or_else(|| Error::at(&args.origin(flag), "the path is not UTF-8"))?;
    Ok(text.into())
}
