//! Instructions per event, which do not depend on what else the machine is doing: a gate. An event that
//! takes more than [`TOLERANCE`] above what is recorded in `instructions.toml` fails the run.
//!
//! `cargo bench --bench instructions` (needs valgrind); `-- --record` writes down what is measured. The
//! tolerance is what another version of the compiler may make of the same code.
//!
//! Callgrind counts all of a process, so each event is counted in two: one in which it happens a few times,
//! one in which it happens often. The difference is what the events take.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, clippy::cast_precision_loss)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

mod common;

use common::{Bench, EVENTS, Event};

/// A share of what is recorded.
const TOLERANCE: f64 = 0.10;
const FEW: u64 = 100;
const MANY: u64 = 1100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [_, name, times] = arguments.as_slice() {
        happen(name, times.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.toml");
    let measured: BTreeMap<&str, u64> =
        EVENTS.iter().filter(|event| event.is_steady).map(|event| (event.name, count(event))).collect();
    if arguments.first().is_some_and(|flag| flag == "--record") {
        let head = "# Instructions per event: cargo bench --bench instructions -- --record\n";
        let table = toml::to_string(&measured).unwrap();
        std::fs::write(&file, format!("{head}{table}")).unwrap();
    }
    let recorded = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    judge(&measured, &recorded)
}

/// Prints both, and fails where one is too far above the other, or unknown.
fn judge(measured: &BTreeMap<&str, u64>, recorded: &BTreeMap<String, u64>) -> ExitCode {
    println!("{:<28} {:>12} {:>10} {:>8}", "event", "instructions", "recorded", "change");
    let (mut failed, mut better) = (false, false);
    for (&name, &now) in measured {
        let Some(&then) = recorded.get(name) else {
            println!("{name:<28} {now:>12} {:>10}  NOT RECORDED", "");
            failed = true;
            continue;
        };
        let change = now as f64 / then as f64 - 1.0;
        let is_worse = change > TOLERANCE;
        failed |= is_worse;
        better |= change < -TOLERANCE;
        let mark = if is_worse { "  TOO MANY" } else { "" };
        println!("{name:<28} {now:>12} {then:>10} {:>+7.1}%{mark}", 100.0 * change);
    }
    for name in recorded.keys().filter(|name| !measured.contains_key(name.as_str())) {
        println!("{name:<28} is recorded and not measured");
        failed = true;
    }
    println!("\nup to {:.0} % more than recorded is tolerated", 100.0 * TOLERANCE);
    if failed {
        println!("if it is worth it, record it and say why: cargo bench --bench instructions -- --record");
        return ExitCode::FAILURE;
    }
    if better {
        println!("some are far below what is recorded: record them, or what was won can be lost unseen");
    }
    ExitCode::SUCCESS
}

/// What is counted: the event, so many times.
fn happen(name: &str, times: u64) {
    let mut bench = Bench::new(EVENTS.iter().find(|event| event.name == name).unwrap());
    for _ in 0..times {
        bench.run();
    }
}

fn count(event: &Event) -> u64 {
    let (many, few) = std::thread::scope(|scope| {
        let few = scope.spawn(|| instructions(event.name, FEW));
        (instructions(event.name, MANY), few.join().unwrap())
    });
    many.saturating_sub(few) / (MANY - FEW)
}

/// Instructions of a process in which the event happens so many times.
fn instructions(name: &str, times: u64) -> u64 {
    let mut command = Command::new("valgrind");
    // Without its output file, which nobody reads.
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap());
    command.args(["--happen", name, &times.to_string()]).stdin(Stdio::null());
    let output = command.output().expect("valgrind cannot be started; is it installed?");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let line = text.lines().find_map(|line| line.split_once("Collected :")).expect("callgrind's sum");
    line.1.trim().parse().unwrap()
}
