//! The flags that are options of services: those of files that are served, sent, stored and written, and
//! the names of the console.
//!
//! A flag is stronger than the file and weaker than `--set`, which names its service; the file's own
//! `root` and `uploads` are weaker than what the file says of a service.

use std::path::{Path, PathBuf};

use toml::Value;

use super::draft::Draft;
use super::file::{ConfigFile, Setting};
use super::{Error, Origin};
use crate::cli::ServeArgs;

/// A flag, the option that it sets, and its value if it was given.
type Flag = (&'static str, &'static str, Option<Value>);

/// Adds what the flags say to a service.
///
/// # Errors
/// A path is not UTF-8.
pub(super) fn add(draft: &mut Draft, args: &ServeArgs, file: &ConfigFile) -> Result<(), Error> {
    let (flags, whole_file) = match draft.row()?.name {
        "http" => ([served(args)?, web(args)?].concat(), &file.root),
        "download" => (served(args)?, &file.root),
        "upload" => (stored(args)?, &file.uploads),
        "chat" => (written(args)?, &None),
        "console" => (named(args), &None),
        _ => return Ok(()),
    };
    let setting = |(flag, key, value): Flag| {
        Some(Setting { key: key.to_owned(), value: value?, typed: None, origin: args.origin(flag) })
    };
    let is_argument = |setting: &Setting| matches!(setting.origin, Origin::Argument(_));
    let at = draft.settings.iter().position(is_argument).unwrap_or(draft.settings.len());
    let stronger = draft.settings.split_off(at);
    draft.settings.extend(flags.into_iter().filter_map(setting));
    draft.settings.extend(stronger);
    if let Some(setting) = whole_file {
        draft.settings.insert(0, setting.clone());
    }
    Ok(())
}

/// The flags of all who serve files.
fn served(args: &ServeArgs) -> Result<Vec<Flag>, Error> {
    Ok(vec![
        ("root", "root", path(args, "root", args.root.as_ref())?),
        ("hidden", "hidden", when(args.hidden, true)),
        ("follow_symlinks", "follow_symlinks", when(args.follow_symlinks, true)),
    ])
}

/// The flags of http alone.
fn web(args: &ServeArgs) -> Result<Vec<Flag>, Error> {
    Ok(vec![
        ("index", "index", args.index.clone().map(Value::from)),
        ("no_listing", "listing", when(args.no_listing, false)),
        ("not_found", "not_found", path(args, "not_found", args.not_found.as_ref())?),
        ("cors", "cors", when(args.cors, true)),
        ("cache_control", "cache_control", args.cache_control.clone().map(Value::from)),
        ("access_log", "access_log", path(args, "access_log", args.access_log.as_ref())?),
    ])
}

/// The flags of those who store files.
fn stored(args: &ServeArgs) -> Result<Vec<Flag>, Error> {
    let dir = path(args, "uploads", args.uploads.as_ref())?;
    Ok(vec![("uploads", "dir", dir), ("once", "once", when(args.once, true))])
}

/// The flags of chat.
fn written(args: &ServeArgs) -> Result<Vec<Flag>, Error> {
    Ok(vec![("transcript", "transcript", path(args, "transcript", args.transcript.as_ref())?)])
}

/// The flags of the console.
fn named(args: &ServeArgs) -> Vec<Flag> {
    let hosts = (!args.host.is_empty()).then(|| Value::from(args.host.clone()));
    vec![("host", "host", hosts)]
}

fn when(on: bool, value: bool) -> Option<Value> {
    on.then(|| Value::from(value))
}

fn path(args: &ServeArgs, flag: &str, path: Option<&PathBuf>) -> Result<Option<Value>, Error> {
    path.map(|path| text(args, flag, path)).transpose()
}

fn text(args: &ServeArgs, flag: &str, path: &Path) -> Result<Value, Error> {
    let text = path.to_str().ok_or_else(|| Error::at(&args.origin(flag), "the path is not UTF-8"))?;
    Ok(text.into())
}
