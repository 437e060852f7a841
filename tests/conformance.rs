//! Every engine must do what the conformance cases say, the same ones that `switchboard check` runs
//! against anybody's server.

use std::sync::{Arc, Mutex, Weak};

use switchboard::check;

mod support;

use support::{Daemon, Start};

/// One daemon per engine, for as long as any test uses it. It must not outlive the tests, so nothing
/// but them keeps it.
static REACTOR: Mutex<Weak<Daemon>> = Mutex::new(Weak::new());
static THREADS: Mutex<Weak<Daemon>> = Mutex::new(Weak::new());

fn daemon(engine: &'static str) -> Arc<Daemon> {
    let daemon = if engine == "reactor" { &REACTOR } else { &THREADS };
    // A test that failed while it started the daemon must not fail the others by its lock.
    let mut daemon = daemon.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    daemon.upgrade().unwrap_or_else(|| {
        // Long enough to say something on a busy machine, short enough to wait for the Goodbye.
        let new = Arc::new(Start::engine(engine).set("hello.quiet=2s").run());
        *daemon = Arc::downgrade(&new);
        new
    })
}

fn conforms(engine: &'static str, protocol: &str) {
    conforms_on(&daemon(engine), engine, protocol);
}

fn conforms_on(daemon: &Daemon, engine: &str, protocol: &str) {
    let target = daemon.target(protocol);
    let cases = check::cases(protocol);
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
    ($($protocol:ident)*) => {
        mod reactor { $(#[test] fn $protocol() { super::conforms("reactor", stringify!($protocol)); })* }
        mod threads { $(#[test] fn $protocol() { super::conforms("threads", stringify!($protocol)); })* }

        #[test]
        fn no_engine_is_left_out() {
            assert!(support::daemon::engines().eq(["reactor", "threads"]), "an engine has no tests here");
        }

        #[test]
        fn no_protocol_is_left_out() {
            let tested = [$(stringify!($protocol)),*];
            for row in switchboard::protocol::TABLE.iter().filter(|row| row.transport.has_tcp()) {
                assert!(tested.contains(&row.name), "{} is not tested", row.name);
            }
        }
    };
}

/// In a room, one client's news is another's wake-up. Where other services are busy a lost one does not
/// show, so the chat is tried alone as well.
#[test]
fn chat_alone_on_the_reactor() {
    conforms_on(&Start::reactor().run(), "reactor", "chat");
}

#[test]
fn chat_alone_on_the_threads() {
    conforms_on(&Start::engine("threads").run(), "threads", "chat");
}

conformance! { http console modify chat collect hello upload download echo discard daytime chargen time reqtime }
