//! `switchboard stress` against the daemon: every protocol, every way of driving it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

mod support;

use support::stress::{command, done, stress};
use support::{PATIENCE, Program, Start, wait_for};

#[test]
fn every_protocol_is_driven_and_verified() {
    let daemon = Start::reactor().set("modify.greeting=Welcome").set("modify.name=Zoe").run();
    std::fs::write(daemon.path("request"), "some bytes\n").unwrap();
    let request = daemon.path("request").display().to_string();
    let cases: &[(&str, &str, &[&str])] = &[
        ("echo", "echo", &[]),
        ("echo", "echo", &["--size", "100k", "--active", "3"]),
        ("echo", "echo", &["--size", "1", "--pipeline", "32"]),
        ("modify", "modify", &["--pipeline", "4"]),
        ("modify", "modify", &["--expect", "{} Zoe", "--size", "200"]),
        ("http", "http", &["--path", "/hello.txt", "--pipeline", "3"]),
        ("http", "http", &["--churn"]),
        ("reqtime", "reqtime", &[]),
        ("chat", "chat", &["--active", "10", "--senders", "3", "--pipeline", "4"]),
        ("echo", "raw", &["--send", &request]),
        ("discard", "raw", &["--send", &request]),
        ("discard", "raw", &["--send", &request, "--rate", "500"]),
        ("daytime", "raw", &["--send", &request, "--churn", "--no-verify"]),
        ("echo", "echo", &["--churn", "--rate", "200"]),
        ("echo", "echo", &["--churn", "--reset"]),
    ];
    for (service, speak, more) in cases {
        let fixed = ["--as", speak, "--duration", "400ms", "--active", "8"];
        let own_active = more.contains(&"--active");
        let arguments = [&fixed[..if own_active { 4 } else { 6 }], more].concat();
        let done = stress(daemon.tcp(service), &arguments);
        done.passed();
        assert!(done.number("/requests/answered") >= 8.0, "{service} {more:?}: {:#}", done.brief());
        if more.contains(&"--churn") {
            assert!(done.number("/connections/made") >= done.number("/requests/answered"), "{more:?}");
        }
    }
    for (service, speak) in [("echo", "echo"), ("reqtime", "reqtime")] {
        let done = stress(daemon.udp(service), &["--udp", "--as", speak, "--duration", "300ms"]);
        assert!(done.code == 0 && done.number("/requests/answered") >= 8.0, "{:#}", done.brief());
    }
}

#[test]
fn a_number_of_requests_is_sent_and_no_more() {
    let daemon = Start::reactor().run();
    for more in [&["--pipeline", "7"][..], &["--workers", "3"], &["--churn"], &["--rate", "2000"]] {
        let done = stress(daemon.tcp("echo"), &[&["--requests", "1001", "--active", "10"], more].concat());
        done.passed();
        assert_eq!((done.count("/requests/sent"), done.count("/requests/answered")), (1001, 1001));
        assert_eq!(done.count("/latency_us/count"), 1001);
        assert_eq!(done.count("/bytes/received"), 64 * 1001);
    }
}

#[test]
fn idle_connections_are_proven_alive() {
    let daemon = Start::reactor().run();
    let pid = daemon.pid().to_string();
    for (service, speak) in [("echo", "echo"), ("modify", "modify"), ("http", "http"), ("chat", "chat")] {
        let arguments =
            ["--as", speak, "--idle", "150", "--active", "4", "--duration", "300ms", "--pid", &pid];
        let done = stress(daemon.tcp(service), &arguments);
        done.passed();
        for what in ["idle_wanted", "idle_made", "idle_proven"] {
            assert_eq!(done.report["connections"][what], 150, "{speak} {what}: {:#}", done.brief());
        }
        assert!(done.number("/server/rss") > 1e6 && done.number("/server/threads") >= 1.0);
    }
    let done = stress(daemon.tcp("chat"), &["--as", "chat", "--idle", "3", "--duration", "100ms"]);
    assert_eq!(done.passed().report["connections"]["idle_proven"], 3, "without anybody else in the room");
}

#[test]
fn past_the_limit_on_descriptors_there_are_more_processes() {
    let daemon = Start::reactor().run();
    let target = daemon.tcp("echo").to_string();
    let run = |limit: u32, idle: &str| {
        let mut shell = std::process::Command::new("sh");
        let line = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        let words =
            ["stress", &target, "--idle", idle, "--active", "9", "--duration", "300ms", "--json", "-", "-q"];
        shell.args(["-c", &line, env!("CARGO_BIN_EXE_switchboard")]).args(words).output().unwrap()
    };
    let several = done(run(164, "300"));
    several.passed();
    assert_eq!((several.count("/generator/processes"), several.count("/connections/idle_proven")), (4, 300));
    assert!(several.number("/requests/answered") > 9.0 && several.number("/latency_us/p99") > 0.0);
    // Past what 64 processes may have, it says so before it begins.
    let none = run(70, "1000");
    let text = String::from_utf8_lossy(&none.stderr).into_owned();
    assert_eq!(none.status.code(), Some(2), "{text}");
    assert!(text.contains("room for 384 connections, not 1,009") && text.contains("ulimit"), "{text}");
}

#[test]
fn too_few_descriptors_of_the_server_are_said_before_they_run_out() {
    let daemon = Start::reactor().descriptors(200).run();
    let (target, pid) = (daemon.tcp("echo").to_string(), daemon.pid().to_string());
    let run = |idle: &str| {
        let words = [&target, "--idle", idle, "--duration", "200ms", "--timeout", "300ms", "--pid", &pid];
        let output = command(&words).output().unwrap();
        (String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (stderr, stdout) = run("300");
    let said = format!("note: the server (process {pid}) may open 200 files");
    assert!(stderr.starts_with(&said) && stderr.contains("prlimit"), "{stderr}");
    assert!(stdout.contains("may open 200 files"), "also where only the report is kept: {stdout}");
    let (stderr, _) = run("20");
    assert!(!stderr.contains("may open"), "{stderr}");
}

#[test]
fn a_ramp_ends_at_what_was_asked_for() {
    let daemon = Start::reactor().run();
    let ramp = |which: &str, more: &[&str]| {
        let flag = format!("--ramp={which}");
        stress(daemon.tcp("echo"), &[&[flag.as_str(), "--duration", "200ms"], more].concat())
    };
    let active = ramp("active", &["--active", "8", "--max-latency", "10s"]);
    assert_eq!(active.code, 0, "{:#}", active.brief());
    let steps = active.report["ramp"]["steps"].as_array().unwrap();
    assert_eq!(
        steps.iter().map(|step| step["connections"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1, 2, 4, 8]
    );
    assert!(steps.iter().all(|step| step["rate"].as_f64().unwrap() > 0.0));
    let idle = ramp("idle", &["--idle", "200", "--active", "2", "--max-latency", "10s"]);
    assert_eq!(idle.report["ramp"]["gave_way"], "nothing", "{:#}", idle.brief());
    assert_eq!((idle.count("/ramp/knee"), idle.count("/connections/idle_proven")), (200, 200));
}

#[test]
fn the_report_has_the_names_that_scripts_count_on() {
    let daemon = Start::reactor().run();
    let done =
        stress(daemon.tcp("echo"), &["--requests", "100", "--rate", "1k", "--idle", "2", "--active", "2"]);
    let keys = |pointer: &str| {
        let value = done.report.pointer(pointer).unwrap().as_object().unwrap();
        value.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        keys(""),
        "bytes connect_us connections errors generator interrupted latency_histogram_ns latency_us \
         lateness_us limits load passed program ramp requests schema seconds server service_us slices warnings wrong"
    );
    assert_eq!(keys("/latency_us"), "count max mean min p50 p75 p90 p99 p99_9 p99_99 stdev");
    assert_eq!(keys("/requests"), "answered deliveries deliveries_rate rate sent unsent");
    assert_eq!(keys("/connections"), "idle_asked idle_made idle_proven idle_wanted made sources");
    assert_eq!(
        keys("/load"),
        "active address as churn exchange idle pipeline rate size target transport verified"
    );
    assert_eq!(keys("/generator"), "busiest cpu_seconds is_limit processes workers");
    assert_eq!(keys("/slices/0"), "at connections errors latency replies seconds");
    assert_eq!(done.report["schema"], 1);
}

#[test]
fn ctrl_c_ends_it_with_the_results_so_far() {
    let daemon = Start::reactor().run();
    let target = daemon.tcp("echo").to_string();
    let file = daemon.path("report");
    let path = file.display().to_string();
    for more in [&[][..], &["--idle", "20", "--workers", "2"]] {
        let arguments =
            [&[target.as_str(), "--duration", "1h", "--active", "5", "--json", &path], more].concat();
        let mut child = command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
        // It writes a line a second where there is no terminal.
        assert!(lines.any(|line| line.unwrap().contains("driving")));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let status = wait_for(PATIENCE, || child.try_wait().unwrap()).unwrap();
        assert_eq!(status.code(), Some(0));
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!((&report["interrupted"], &report["passed"]), (&true.into(), &true.into()));
        assert!(report["requests"]["answered"].as_u64().unwrap() > 100);
    }
}

#[test]
fn the_live_view_is_drawn_in_place_on_a_terminal() {
    let daemon = Start::reactor().run();
    let target = daemon.tcp("echo").to_string();
    let pty = support::program::file("support/pty.py");
    let words = [
        pty.to_str().unwrap(),
        env!("CARGO_BIN_EXE_switchboard"),
        "stress",
        &target,
        "--active",
        "6",
        "--idle",
        "3",
        "--duration",
        "2s",
    ];
    let mut program = Program::start("python3", words);
    program.expect_times("driving", 3);
    let screen = |bytes: &[u8]| {
        let mut terminal = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
        terminal.process(bytes);
        terminal.screen().contents()
    };
    let during = screen(&program.output());
    assert_eq!(during.matches("echo at").count(), 1, "drawn over itself:\n{during}");
    for line in ["connections  6 active, 3 idle of 9", "requests", "latency      p50", "errors       none"] {
        assert!(during.contains(line), "{line}:\n{during}");
    }
    let text = program.succeed();
    let after = screen(text.as_bytes());
    assert!(!after.contains("driving"), "the view is gone:\n{after}");
    assert!(after.contains("every byte right") && after.contains("3 of 3 held, 3 alive"), "{after}");
}
