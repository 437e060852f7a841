//! The style of the project, as far as a program can see it: nothing grows out of hand unnoticed.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use switchboard::protocol::TABLE;

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 60;

/// The project, or a copy of it with a mistake: see `tests/mutants`.
fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        std::env::var_os("SWITCHBOARD_TREE").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
    });
    &ROOT
}

/// The files below a directory of the project, with their text; what is not text is left out.
fn files(dir: &str) -> Vec<(PathBuf, String)> {
    let (mut found, mut dirs) = (Vec::new(), vec![root().join(dir)]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((path, text));
            }
        }
    }
    found
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let all = ["src", "tests", "benches"].into_iter().flat_map(files);
    let rust: Vec<_> = all.filter(|(path, _)| path.extension().is_some_and(|e| e == "rs")).collect();
    assert!(rust.len() > 30, "only {} files were found", rust.len());
    rust
}

fn report(what: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{what}:\n  {}", offenders.join("\n  "));
}

/// The functions of a file and how many lines each has. Code is formatted, so a function ends at the
/// next closing brace that is indented as it is.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let words = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "const fn ", "pub const fn "];
        let is_function = words.iter().any(|word| code.starts_with(word));
        if !is_function || code.ends_with('}') || code.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[start..].iter().position(|line| *line == end);
        found.push((code.to_owned(), length.map_or(1, |at| at + 1)));
    }
    found
}

#[test]
fn functions_are_measured_rightly() {
    let text =
        "impl X {\n    fn a(&self) {\n        if b {\n        }\n    }\n\n    fn c() {}\n}\nfn d() {\n}\n";
    assert_eq!(functions(text), [("fn a(&self) {".to_owned(), 4), ("fn d() {".to_owned(), 2)]);
}

#[test]
fn no_file_is_a_warehouse() {
    let lines = |(path, text): &(PathBuf, String)| {
        let n = text.lines().count();
        (n > FILE_LINES).then(|| format!("{}: {n} lines", path.display()))
    };
    report("files of too many lines", &rust_files().iter().filter_map(lines).collect::<Vec<_>>());
}

#[test]
fn no_function_is_long() {
    let mut long = Vec::new();
    for (path, text) in rust_files() {
        let functions = functions(&text).into_iter().filter(|(_, n)| *n > FUNCTION_LINES);
        long.extend(functions.map(|(name, n)| format!("{}: {n} lines: {name}", path.display())));
    }
    report("functions of too many lines", &long);
}

#[test]
fn unsafe_is_in_one_file_at_the_most() {
    let keyword = concat!("un", "safe");
    let is_used = |text: &str| {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        // `'unsafe-inline'` of a browser's policy is another matter.
        code.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))))
            .any(|word| word == keyword)
    };
    let files =
        files("src").into_iter().filter(|(path, text)| !path.ends_with("src/sys.rs") && is_used(text));
    report(keyword, &files.map(|(path, _)| path.display().to_string()).collect::<Vec<_>>());
}

#[test]
fn what_is_unsafe_says_why_it_is_sound() {
    let keyword = concat!("un", "safe", " {");
    let text = fs::read_to_string(root().join("src/sys.rs")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let is_bare = |at: &usize| {
        let mut before = lines[..*at].iter().rev().take_while(|line| line.trim_start().starts_with("//"));
        !before.any(|line| line.contains("SAFETY: "))
    };
    let bare = (0..lines.len()).filter(|at| lines[*at].contains(keyword)).filter(is_bare);
    report("no SAFETY comment", &bare.map(|at| format!("src/sys.rs:{}", at + 1)).collect::<Vec<_>>());
}

/// The tests that docs/reliability.md names.
fn tests_that_keep_promises() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    // Names of tests are sentences; options and commands have fewer words.
    let is_test = |word: &&str| {
        let is_name = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        is_name && word.matches('_').count() >= 2
    };
    let named: BTreeSet<_> = page.split('`').skip(1).step_by(2).filter(is_test).map(str::to_owned).collect();
    assert!(named.len() > 40, "only {} tests are named", named.len());
    named
}

#[test]
fn every_test_that_keeps_a_promise_exists() {
    let rust: String = rust_files().into_iter().map(|(_, text)| text).collect();
    let missing =
        tests_that_keep_promises().into_iter().filter(|name| !rust.contains(&format!("fn {name}(")));
    report("docs/reliability.md names tests that nobody has", &missing.collect::<Vec<_>>());
}

#[test]
fn every_promise_has_been_broken() {
    /// The first plants its mistakes itself; the others are younger than the last run, and one is no test.
    const EXCEPT: [&str; 4] = [
        "every_planted_mistake_is_found",
        "mistakes_are_said_in_one_line_with_their_place",
        "what_it_was_born_with_is_taken_over_once",
        "serve_by_reactor",
    ];
    let script = fs::read_to_string(root().join("tests/mutants")).unwrap();
    let rows = script.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found: Vec<_> = rows.filter(|row| row.len() == 3).map(|row| row[2].to_owned()).collect();
    let begins = |name: &str, row: &String| {
        let test = row.rsplit("::").next().unwrap();
        !test.is_empty() && name.starts_with(test)
    };
    let unbroken = tests_that_keep_promises().into_iter();
    let unbroken = unbroken
        .filter(|name| !EXCEPT.contains(&name.as_str()) && !found.iter().any(|row| begins(name, row)));
    report("tests that tests/mutants has no mistake for", &unbroken.collect::<Vec<_>>());
}

#[test]
fn every_protocol_is_documented() {
    let docs = fs::read_to_string(root().join("docs/protocols.md")).unwrap_or_default();
    let has_section = |name: &str| {
        let headings = docs.lines().filter(|line| line.starts_with('#'));
        headings
            .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '-'))
            .any(|word| word == name)
    };
    let missing = TABLE.iter().filter(|row| !has_section(row.name)).map(|row| row.name.to_owned());
    report("protocols without a heading in docs/protocols.md", &missing.collect::<Vec<_>>());
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let home = ["/", "home/"].concat();
    let marks = [home.as_str(), concat!("/", "work/"), concat!("/", "root/"), concat!("/", "Users/")];
    let mut offenders = Vec::new();
    let all = ["src", "tests", "docs", "benches", ".ci"].into_iter().flat_map(files);
    let top = ["README.md", "Cargo.toml", "CONTRIBUTING.md", "CHANGELOG.md"];
    let top = top.map(|name| (root().join(name), fs::read_to_string(root().join(name)).unwrap_or_default()));
    for (path, text) in all.chain(top) {
        for (number, line) in text.lines().enumerate() {
            // A path begins where no name or host is before it.
            let is_path = |at: usize| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|c| {
                    c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ')' | '*' | '}' | '>')
                })
            };
            if marks.iter().any(|mark| line.match_indices(mark).any(|(at, _)| is_path(at))) {
                offenders.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    report("paths of some machine", &offenders);
}

#[test]
fn every_file_of_tests_is_in_the_table() {
    let table = fs::read_to_string(root().join("tests/README.md")).unwrap();
    let paths = fs::read_dir(root().join("tests")).unwrap().map(|it| it.unwrap().path());
    let names = paths.filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let names = names.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let missing = names.filter(|name| !table.contains(&format!("`{name}`")));
    report("files that tests/README.md does not name", &missing.collect::<Vec<_>>());
}
