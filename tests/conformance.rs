//! Every engine must do what the conformance cases say, the same ones that `switchboard check` runs
//! against anybody's server.

// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use clap::ValueEnum;
use switchboard::check::{self, Case, Needs};
use switchboard::engine::Engine;
use switchboard::protocol::Row;

mod support;

use support::{Daemon, Start};

/// One daemon per engine, for as long as any test uses it. It must not outlive the tests, so nothing
/// but them keeps it.
static DAEMONS: Mutex<BTreeMap<&str, Weak<Daemon>>> = Mutex::new(BTreeMap::new());

fn start(engine: &'static str) -> Start {
    // Long enough to say something on a busy machine, short enough to wait for the Goodbye.
    Start::engine(engine).set("hello.quiet=2s")
}

fn daemon(engine: &'static str) -> Arc<Daemon> {
    // A test that failed while it started the daemon must not fail the others by its lock.
    let mut daemons = DAEMONS.lock().unwrap_or_else(PoisonError::into_inner);
    let daemon = daemons.entry(engine).or_default();
    daemon.upgrade().unwrap_or_else(|| {
        let new = Arc::new(start(engine).run());
        *daemon = Arc::downgrade(&new);
        new
    })
}

fn conforms(engine: &'static str, protocol: &str) {
    let row = Row::find(protocol).unwrap();
    let named = named(engine);
    if let Some(reason) = named.refusal(row) {
        refuses(engine, protocol, reason);
    } else if named.is_concurrent() {
        conforms_on(&daemon(engine), engine, protocol);
    } else {
        // The tests of other protocols would be clients that it has to finish with first.
        conforms_on(&start(engine).run(), engine, protocol);
    }
}

fn named(engine: &str) -> Engine {
    Engine::from_str(engine, false).unwrap()
}

/// What an engine does not serve it says, in its list and when it is asked for it.
fn refuses(engine: &'static str, protocol: &str, reason: &str) {
    let list =
        Command::new(env!("CARGO_BIN_EXE_switchboard")).args(["services", "--engine", engine]).output();
    let list = String::from_utf8(list.unwrap().stdout).unwrap();
    let line = list.lines().find(|line| line.trim_start().starts_with(&format!("{protocol} "))).unwrap();
    assert!(line.contains("not served") && line.ends_with(reason), "{list}");

    let dir = support::daemon::new_dir();
    let words = Start::engine(engine).argument("--only").argument(protocol).command_line(dir.path());
    let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains(reason) && complaint.contains(protocol), "{complaint}");
    assert!(!complaint.trim_end().contains('\n'), "one line: {complaint}");

    // Who did not ask for it gets the others, and reads why this one is not there.
    let daemon = start(engine).run();
    assert_eq!(daemon.address(protocol, "tcp"), None);
    // The ports file is there before the table is.
    let row = support::wait_for(support::PATIENCE, || {
        let table = String::from_utf8(daemon.stdout()).unwrap();
        let row = table.lines().find(|line| line.trim_start().starts_with(&format!("{protocol} ")));
        row.filter(|row| row.ends_with(reason)).map(str::to_owned)
    });
    assert!(row.is_some_and(|row| row.contains("off")), "{}", String::from_utf8_lossy(&daemon.stdout()));
}

fn conforms_on(daemon: &Daemon, engine: &str, protocol: &str) {
    let target = daemon.target(protocol);
    let can = |case: &&Case| case.needs != Needs::Several || named(engine).is_concurrent();
    let cases: Vec<_> = check::cases(protocol).into_iter().filter(can).collect();
    assert!(!cases.is_empty(), "{protocol} has no cases");
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(failure) = (case.run)(&target) {
            failures.push(format!("{}: {}\n    {failure}", case.name, case.about));
        }
    }
    let (failed, all, list) = (failures.len(), cases.len(), failures.join("\n"));
    assert!(
        failures.is_empty(),
        "{engine}, {protocol}: {failed} of {all} failed\n{list}\n{}",
        daemon.output()
    );
}

/// A test for each engine and protocol.
macro_rules! conformance {
    ([$($engine:ident)*] $protocols:tt) => {
        $(conformance! { $engine $protocols })*

        #[test]
        fn no_engine_is_left_out() {
            assert!(support::daemon::engines().eq([$(stringify!($engine)),*]), "an engine has no tests here");
        }
    };
    ($engine:ident [$($protocol:ident)*]) => {
        mod $engine {
            $(#[test] fn $protocol() { super::conforms(stringify!($engine), stringify!($protocol)); })*

            #[test]
            fn no_protocol_is_left_out() {
                let tested = [$(stringify!($protocol)),*];
                for row in switchboard::protocol::TABLE.iter().filter(|row| row.transport.has_tcp()) {
                    assert!(tested.contains(&row.name), "{} is not tested", row.name);
                }
            }
        }
    };
}

/// In a room, one client's news is another's wake-up. Where other services are busy a lost one does not
/// show, so the chat is tried alone as well.
#[test]
fn chat_alone() {
    for engine in support::daemon::engines().filter(|engine| named(engine).is_concurrent()) {
        conforms_on(&Start::engine(engine).run(), engine, "chat");
    }
}

conformance! {
    [reactor threads processes iterative]
    [http console modify chat collect hello upload download echo discard daytime chargen time reqtime]
}
