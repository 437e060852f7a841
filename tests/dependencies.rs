//! What the crates below this one are: their licences, where they come from, and that none of them is an
//! async runtime. The lists are those of `deny.toml`, so that `cargo deny` says the same.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// The project, or a copy of it with a mistake: see `tests/mutants`.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::var_os("SWITCHBOARD_TREE").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
});

/// What `deny.toml` says.
static RULES: LazyLock<toml::Table> =
    LazyLock::new(|| std::fs::read_to_string(ROOT.join("deny.toml")).unwrap().parse().unwrap());

fn rules(section: &str, key: &str) -> Vec<&'static toml::Value> {
    RULES[section][key].as_array().unwrap().iter().collect()
}

/// What cargo knows of this crate and those below it, for this platform: those were needed to build the
/// tests, so nothing is loaded now.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let cargo = |words: &[&str]| {
        let output = Command::new(env!("CARGO")).args(words).current_dir(&*ROOT).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let text = cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform", host]);
    serde_json::from_str(&text).unwrap()
});

fn array<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().unwrap().iter()
}

/// The packages that are in the program itself: neither tests nor build scripts need them alone.
fn shipped() -> BTreeSet<&'static str> {
    let nodes: HashMap<_, _> =
        array(&METADATA["resolve"], "nodes").map(|node| (node["id"].as_str().unwrap(), node)).collect();
    let mut found = BTreeSet::new();
    let mut next = vec![METADATA["resolve"]["root"].as_str().unwrap()];
    while let Some(id) = next.pop() {
        if found.insert(id) {
            let is_normal = |dep: &&Value| array(dep, "dep_kinds").any(|kind| kind["kind"].is_null());
            let deps = array(nodes[id], "deps").filter(is_normal);
            next.extend(deps.map(|dep| dep["pkg"].as_str().unwrap()));
        }
    }
    found
}

/// Whether a licence expression (SPDX, or the slash of old crates) can be met with the licences allowed.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let verdict = any(&mut words, allowed);
    verdict && words.is_empty()
}

/// `A OR B`, with the words in reverse order.
fn any(words: &mut Vec<&str>, allowed: &[&str]) -> bool {
    let mut verdict = all(words, allowed);
    while words.last().is_some_and(|word| word.eq_ignore_ascii_case("or")) {
        words.pop();
        verdict |= all(words, allowed);
    }
    verdict
}

/// `A AND B`, which binds tighter than `OR`.
fn all(words: &mut Vec<&str>, allowed: &[&str]) -> bool {
    let mut verdict = one(words, allowed);
    while words.last().is_some_and(|word| word.eq_ignore_ascii_case("and")) {
        words.pop();
        verdict &= one(words, allowed);
    }
    verdict
}

/// A licence, perhaps with an exception, or an expression in parentheses.
fn one(words: &mut Vec<&str>, allowed: &[&str]) -> bool {
    let Some(word) = words.pop() else { return false };
    if word == "(" {
        let verdict = any(words, allowed);
        return words.pop() == Some(")") && verdict;
    }
    if words.last() == Some(&"WITH") {
        words.pop();
        let exception = words.pop().unwrap_or_default();
        return allowed.contains(&format!("{word} WITH {exception}").as_str());
    }
    allowed.contains(&word)
}

#[test]
fn licence_expressions_are_read_rightly() {
    let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "GPL-3.0 AND GPL-2.0 OR MIT",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT AND (GPL-3.0 OR GPL-2.0)",
        "Apache-2.0",
        "MIT WITH x",
        "(MIT",
        "MIT MIT",
    ] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let allowed: Vec<_> =
        rules("licenses", "allow").into_iter().map(|licence| licence.as_str().unwrap()).collect();
    let packages: Vec<_> = array(&METADATA, "packages").collect();
    assert!(packages.len() > 100, "only {} packages", packages.len());
    let is_bad = |package: &&&Value| !is_allowed(package["license"].as_str().unwrap_or_default(), &allowed);
    let bad: Vec<_> =
        packages.iter().filter(is_bad).map(|it| format!("{}: {}", it["id"], it["license"])).collect();
    assert!(bad.is_empty(), "licences that are not allowed:\n{}", bad.join("\n"));
}

#[test]
fn no_async_runtime_is_in_the_program() {
    let banned: Vec<_> = rules("bans", "deny").into_iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(banned.contains(&"tokio") && banned.contains(&"smol"));
    let shipped = shipped();
    let names = array(&METADATA, "packages")
        .filter(|package| shipped.contains(package["id"].as_str().unwrap()))
        .map(|package| package["name"].as_str().unwrap());
    let names: BTreeSet<_> = names.collect();
    assert!(names.contains("mio") && !names.contains("proptest"), "{names:?}");
    let found: Vec<_> = banned.iter().filter(|name| names.contains(**name)).collect();
    assert!(found.is_empty(), "in the program: {found:?}");
}

/// Also those of other platforms.
#[test]
fn every_crate_comes_from_the_registry() {
    let allowed: Vec<_> = rules("sources", "allow-registry")
        .into_iter()
        .map(|registry| format!("registry+{}", registry.as_str().unwrap()))
        .collect();
    let text = std::fs::read_to_string(ROOT.join("Cargo.lock")).unwrap();
    let lock: toml::Table = text.parse().unwrap();
    for package in lock["package"].as_array().unwrap() {
        let (name, source) = (package["name"].as_str().unwrap(), package.get("source"));
        let source = source.map(|source| source.as_str().unwrap().to_owned());
        let is_ours = name == env!("CARGO_PKG_NAME") && source.is_none();
        assert!(is_ours || source.as_ref().is_some_and(|it| allowed.contains(it)), "{name}: {source:?}");
        assert!(is_ours || package.get("checksum").is_some(), "{name} has no checksum");
    }
}
