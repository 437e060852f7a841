//! Plays every transcript of docs/labs.md, with the real programs at their default ports, and compares what
//! they show with what the page says.
//!
//! `LABS=TEXT cargo test --test labs` plays only the blocks with the text in their heading or their commands.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::program::{file, find};
use support::stage::{Stage, play};
use support::transcript::{Block, Step, blocks, matches};
use support::{left_out, not_allowed};

mod support;

/// Played at once; most of the time each waits for something.
const AT_ONCE: usize = 3;

/// Other people's programs that the page runs.
const PROGRAMS: &[&str] = &["telnet", "nc", "curl", "python3", "tcpdump", "ip", "unshare", "nsenter"];

fn page() -> String {
    fs::read_to_string(file("../docs/labs.md")).unwrap()
}

fn transcripts() -> Vec<Block> {
    blocks(&page()).into_iter().filter(|block| block.language == "console").collect()
}

/// The Python that has Twisted: the one that `tests/run` made, or the one there is.
fn python_with_twisted() -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/twisted/bin/python3");
    let has = |python: &PathBuf| {
        let run = std::process::Command::new(python).args(["-c", "import twisted"]).output();
        run.is_ok_and(|output| output.status.success())
    };
    [Some(made), find("python3")].into_iter().flatten().find(has)
}

/// The programs that a block needs and this machine lacks.
fn missing(block: &Block, python: Option<&Path>) -> BTreeSet<String> {
    let mut words = words(block);
    words.extend(["unshare", "nsenter", "ip", "python3"].map(str::to_owned));
    let is_missing = |word: &String| PROGRAMS.contains(&word.as_str()) && find(word).is_none();
    let mut missing: BTreeSet<String> = words.iter().filter(|word| is_missing(word)).cloned().collect();
    if words.contains("python3-twisted") && python.is_none() {
        missing.insert("Twisted".to_owned());
    }
    missing
}

/// The words of a block's commands.
fn words(block: &Block) -> BTreeSet<String> {
    let commands = block.commands();
    commands.iter().flat_map(|command| command.split([' ', '|', '(', ')', ';'])).map(str::to_owned).collect()
}

/// What became of the blocks.
#[derive(Default)]
struct Results {
    played: usize,
    failed: String,
    /// What there is no program for.
    left_out: BTreeMap<usize, String>,
    /// What this user may not do here, and why.
    not_allowed: BTreeMap<usize, (String, String)>,
}

#[test]
fn the_page_is_true() {
    let (all, python) = (transcripts(), python_with_twisted());
    let only = std::env::var("LABS").unwrap_or_default();
    let wanted = |block: &&Block| {
        block.heading.contains(&only) || block.commands().iter().any(|command| command.contains(&only))
    };
    let chosen: Vec<&Block> = all.iter().filter(wanted).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Results::default()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(block) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    play_one(block, python.as_deref(), &results);
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    assert!(results.failed.is_empty(), "docs/labs.md is wrong:\n{}", results.failed);
    let left = results.left_out.len() + results.not_allowed.len();
    assert_eq!(results.played + left, chosen.len(), "a block was skipped");
    for (what, why) in results.not_allowed.into_values() {
        not_allowed(&what, &why);
    }
    if !results.left_out.is_empty() {
        let lines: Vec<String> = results.left_out.into_values().collect();
        left_out(&lines.join("\n"));
    }
}

fn play_one(block: &Block, python: Option<&Path>, results: &Mutex<Results>) {
    let name = format!("docs/labs.md:{} ({})", block.line, block.heading);
    let missing = missing(block, python);
    if !missing.is_empty() {
        let text = format!("  {name}: not installed: {missing:?}");
        results.lock().unwrap().left_out.insert(block.line, text);
        return;
    }
    let captures = words(block).contains("tcpdump");
    let stage = Stage::new(block.machines(), python).and_then(|stage| {
        let may = stage.is_root || !captures;
        may.then_some(stage).ok_or_else(|| "tcpdump captures nothing for others than root".to_owned())
    });
    let stage = match stage {
        Ok(stage) => stage,
        Err(why) => {
            results.lock().unwrap().not_allowed.insert(block.line, (name, why));
            return;
        }
    };
    let played = catch_unwind(AssertUnwindSafe(|| play(block, &stage)));
    let played = played.unwrap_or_else(|panic| {
        Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic, see above".to_owned()))
    });
    let mut results = results.lock().unwrap();
    match played {
        Ok(()) => results.played += 1,
        Err(reason) => writeln!(results.failed, "  {name}: {reason}").unwrap(),
    }
}

/// No block that looks like a transcript is none; what is no transcript is reading, and said to be.
#[test]
fn every_block_is_a_transcript() {
    for block in blocks(&page()) {
        if block.language == "text" {
            assert!(block.heading.contains("reading"), "line {}: only for reading?", block.line);
            continue;
        }
        assert_eq!(block.language, "console", "line {}", block.line);
        let steps = block.steps();
        let expects = steps.iter().any(|step| matches!(step, Step::Expect(_)));
        assert!(!block.commands().is_empty() && expects, "line {}: it does or shows nothing", block.line);
    }
}

/// The commands of the tables are in transcripts as well, so that they are tried.
#[test]
fn what_the_tables_say_is_tried() {
    let commands: Vec<String> = transcripts().iter().flat_map(Block::commands).collect();
    for row in page().lines().filter(|line| line.starts_with("| ")) {
        let cell = row.split(" | ").nth(1).unwrap_or_default();
        for command in cell.split('`').skip(1).step_by(2) {
            let is_tried = commands.iter().any(|tried| tried.contains(&command.replace("\\|", "|")));
            assert!(is_tried, "{command:?} is in no transcript; row: {row}");
        }
    }
}

/// A program that no transcript runs would be kept runnable by nobody.
#[test]
fn every_program_of_the_labs_is_run() {
    let commands: Vec<String> = transcripts().iter().flat_map(Block::commands).collect();
    for entry in fs::read_dir(file("labs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_run = commands.iter().any(|command| command.split(' ').any(|word| word == name));
        assert!(is_run || path.extension().is_none_or(|end| end != "py"), "{name} is in no transcript");
    }
}

#[test]
fn links_lead_somewhere() {
    let page = page();
    let headings: Vec<String> = page.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    for link in page.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(headings.iter().any(|heading| heading == link), "no heading for #{link}");
    }
}

/// As GitHub makes it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[test]
fn a_line_is_compared_with_care() {
    for (pattern, line, fits) in [
        ("Hello", "Hello", true),
        ("Hello", "Hello ", false),
        ("<any>", "", true),
        ("port <port>", "port 9090", true),
        ("port <port>", "port x", false),
        ("port <port>", "port ", false),
        ("from <address> to", "from 127.0.0.1 to", true),
        ("a<number>1b<any>", "a111b", true),
        ("it is <time>", "it is Sat Nov 21 01:07:09 2026", true),
        ("it is <time>", "it is (never)", false),
    ] {
        assert_eq!(matches(pattern, line), fits, "{pattern:?} {line:?}");
    }
}

/// A page that lies is noticed: the test of the test.
#[test]
fn a_wrong_page_fails() {
    let tried = |text: &str| {
        let text = format!("# a\n```console\n{text}\n```\n");
        Stage::new(1, None).map(|stage| play(&blocks(&text)[0], &stage))
    };
    for (wrong, why) in [
        ("$ echo one\ntwo", "expected \"two\", came \"one\""),
        ("$ echo one; echo two\none", "the page does not have \"two\""),
        ("$ echo one; echo two\n...\nthree", "expected \"three\""),
        ("$ cat\n> one\ntwo", "expected \"two\", came \"one\""),
    ] {
        let Ok(played) = tried(wrong) else {
            return not_allowed("the test of the transcripts' test", "no namespaces");
        };
        assert!(played.clone().is_err_and(|reason| reason.contains(why)), "{wrong}: {played:?}");
    }
    let right = "$ cat\n> one\none\n> <Ctrl-D>\n$ echo one; echo two; echo three\none\n...\nthree";
    assert_eq!(tried(right), Ok(Ok(())));
}
