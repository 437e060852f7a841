//! Puts the layers together: the table of protocols, the file, the environment and the flags.

use std::collections::HashMap;
use std::path::Path;

use toml::Value;

use super::draft::{Draft, is_known_option, is_limit};
use super::file::{ConfigFile, Names, Setting};
use super::places::{Common, hosts, loopback, places, strings};
use super::{Error, Origin, files};
use crate::bind::{Place, Refused};
use crate::cli::ServeArgs;
use crate::engine::Engine;
use crate::mutation::{Mutant, is_planted};
use crate::protocol::TABLE;
use crate::service::Service;

/// What is to run.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) services: Vec<Service>,
    /// Where they are to listen.
    pub(super) places: Vec<Place>,
    /// Those that the engine does not serve.
    pub(super) unserved: Vec<Refused>,
}

/// The services that are to run, and where.
pub(super) fn services(args: &ServeArgs, file: &ConfigFile, engine: Engine) -> Result<Chosen, Error> {
    let drafts = drafts(args, file)?;
    let chosen = choose(&drafts, args, file)?;
    let common = common(args, file)?;
    let defaults = defaults(file)?;
    let (mut services, mut all_places, mut unserved) = (Vec::new(), Vec::new(), Vec::new());
    for draft in &drafts {
        let row = draft.row()?;
        let options = draft.options(row.kind, &defaults)?;
        // What is wrong with a service that does not run is said all the same.
        let places = places(draft, row, &options, services.len(), &common)?;
        let mut policy = draft.policy(places.iter().any(|place| place.at.is_open()), &defaults)?;
        draft.check_banner(&policy, &options)?;
        policy.banner = policy.banner.filter(|_| options.takes_banner());
        if let Some(asked) = chosen.get(&draft.name) {
            if let Some(reason) = engine.refusal(row) {
                unserved.push(refuse(engine, services.len(), reason, asked.as_ref())?);
            } else {
                all_places.extend(places);
            }
            services.push(Service { name: draft.name.clone(), row, options, policy });
        }
    }
    if services.len() == unserved.len() {
        return Err(Error("no service is left to run; see `switchboard services`".to_owned()));
    }
    prepare(&services)?;
    if args.once && !services.iter().any(|service| service.options.is_once()) {
        let message = "no service that stores files is to run; it goes with --only upload";
        return Err(Error::at(&args.origin("once"), message));
    }
    Ok(Chosen { services, places: all_places, unserved })
}

/// A service that an engine does not serve: an error if somebody asked for it, else it is left out.
fn refuse(
    engine: Engine,
    service: usize,
    reason: &str,
    asked: Option<&(String, Origin)>,
) -> Result<Refused, Error> {
    let name = engine.name();
    match asked {
        None => Ok(Refused { service, reason: format!("not with --engine {name}: {reason}") }),
        Some((asked, origin)) => {
            Err(Error::at(origin, format_args!("{asked}: --engine {name} does not serve it: {reason}")))
        }
    }
}

/// Makes sure that what the services' options name is there, and that they get along with each other.
fn prepare(services: &[Service]) -> Result<(), Error> {
    let mut private: Vec<_> =
        services.iter().filter_map(|it| it.options.private()).map(Path::to_owned).collect();
    private.retain(|path| !is_planted(Mutant::NotesServed) || path.is_dir());
    for Service { name, options, .. } in services {
        if options.is_once() && services.len() > 1 {
            let message = "--once stops the daemon after one file, so it goes with one service only";
            return Err(Error(format!("service {name}: {message}: --only {name}")));
        }
        options.keep_out(&private);
        options.prepare().map_err(|message| Error(format!("service {name}: {message}")))?;
    }
    Ok(())
}

/// All services with all settings, the weakest layer first.
fn drafts(args: &ServeArgs, file: &ConfigFile) -> Result<Vec<Draft>, Error> {
    let mut drafts = Vec::new();
    for row in TABLE {
        drafts.push(Draft::new(row.name, Origin::Default)?);
    }
    for section in &file.services {
        let draft = named(&mut drafts, &section.name, &section.origin)?;
        draft.settings.extend(section.settings.iter().cloned());
    }
    for given in &args.port {
        let origin = args.origin("port");
        let setting =
            Setting { key: "port".to_owned(), value: i64::from(given.port).into(), typed: None, origin };
        named(&mut drafts, &given.service, &args.origin("port"))?.settings.push(setting);
    }
    for given in &args.set {
        let origin = args.origin("set");
        let setting = Setting {
            key: given.key.clone(),
            value: value(&given.value),
            typed: Some(given.value.clone()),
            origin,
        };
        named(&mut drafts, &given.service, &args.origin("set"))?.settings.push(setting);
    }
    for draft in &mut drafts {
        files::add(draft, args, file)?;
    }
    Ok(drafts)
}

fn named<'a>(drafts: &'a mut Vec<Draft>, name: &str, origin: &Origin) -> Result<&'a mut Draft, Error> {
    let known = drafts.iter().position(|draft| draft.name == name);
    if known.is_none() {
        drafts.push(Draft::new(name, origin.clone())?);
    }
    let at = known.unwrap_or(drafts.len() - 1);
    drafts.get_mut(at).ok_or_else(|| Error::at(origin, name))
}

/// What stands behind `--set SERVICE.KEY=`: TOML, or else the text itself.
fn value(text: &str) -> Value {
    text.parse().unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// The names of the services that are to run. Who is named by `only` or `with` runs even if it is disabled.
/// With each, who asked for it by name, if anybody did.
fn choose(
    drafts: &[Draft],
    args: &ServeArgs,
    file: &ConfigFile,
) -> Result<HashMap<String, Option<(String, Origin)>>, Error> {
    let only = names(&args.only, args.origin("only")).or_else(|| file.only.clone());
    let without = names(&args.without, args.origin("without")).or_else(|| file.without.clone());
    let with = names(&args.with, args.origin("with")).or_else(|| file.with.clone());
    for list in [&only, &without, &with].into_iter().flatten() {
        check(drafts, list)?;
    }
    let has = |list: &Option<Names>, name: &String| list.as_ref().map(|list| list.names.contains(name));
    let mut chosen = HashMap::new();
    for draft in drafts {
        let enabled = draft.enabled()?;
        let asked = has(&with, &draft.name).unwrap_or(false);
        let wanted = asked || has(&only, &draft.name).unwrap_or(enabled);
        if wanted && !has(&without, &draft.name).unwrap_or(false) {
            let by_list = [&with, &only].into_iter().flatten().find(|list| list.names.contains(&draft.name));
            let by_setting = || draft.get("enabled").map(|setting| setting.origin.clone());
            let asked = by_list.map(|list| list.origin.clone()).or_else(by_setting);
            chosen.insert(draft.name.clone(), asked.map(|origin| (draft.name.clone(), origin)));
        }
    }
    Ok(chosen)
}

fn names(given: &[String], origin: Origin) -> Option<Names> {
    (!given.is_empty()).then(|| Names { names: given.to_vec(), origin })
}

fn check(drafts: &[Draft], list: &Names) -> Result<(), Error> {
    let known = |name: &&String| drafts.iter().any(|draft| draft.name == **name);
    let Some(unknown) = list.names.iter().find(|name| !known(name)) else { return Ok(()) };
    let all: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
    Err(Error::at(&list.origin, format_args!("no service \"{unknown}\"; there are {}", all.join(", "))))
}

fn common(args: &ServeArgs, file: &ConfigFile) -> Result<Common, Error> {
    let well_known = args.well_known.then(|| args.origin("well_known")).or_else(|| file.well_known.clone());
    let bind = if args.bind.is_empty() {
        file.defaults.iter().find(|setting| setting.key == "bind").map(|setting| {
            let words = strings(&setting.value).filter(|words| !words.is_empty());
            words.map(|words| (words, setting.origin.clone())).ok_or(setting)
        })
    } else {
        Some(Ok((args.bind.clone(), args.origin("bind"))))
    };
    let hosts = match bind {
        None => loopback(),
        Some(Ok((words, origin))) => hosts(&words).map_err(|message| Error::at(&origin, message))?,
        Some(Err(setting)) => {
            let message = "defaults.bind: a string, or a list of strings, is wanted";
            return Err(Error::at(&setting.origin, message));
        }
    };
    Ok(Common { hosts, well_known })
}

/// The defaults that are options: each must be known to some protocol.
fn defaults(file: &ConfigFile) -> Result<Vec<Setting>, Error> {
    let options: Vec<Setting> =
        file.defaults.iter().filter(|setting| setting.key != "bind").cloned().collect();
    match options.iter().find(|setting| !is_limit(setting) && !is_known_option(setting)) {
        None => Ok(options),
        Some(unknown) => {
            let message = format_args!("defaults: unknown key \"{}\"; no protocol has it", unknown.key);
            Err(Error::at(&unknown.origin, message))
        }
    }
}

/// The value of a key that would count.
#[cfg(test)]
pub(super) fn strongest(
    args: &ServeArgs,
    file: &ConfigFile,
    service: &str,
    key: &str,
) -> Result<Option<Value>, Error> {
    let drafts = drafts(args, file)?;
    let draft = drafts.iter().find(|draft| draft.name == service);
    Ok(draft.and_then(|draft| draft.get(key)).map(|setting| setting.value.clone()))
}
