//! `switchboard check` finds what is wrong with a server: right ones pass, and each mistake planted into
//! one is found by the case that is about it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;

mod support;

use support::{Program, Start, program};

fn has_python() -> bool {
    support::have(&["python3"], "planted mistakes")
}

/// A server of tests/planted, and its port.
fn planted(server: &str, mistake: &str) -> (Program, String) {
    let file = program::file("planted").join(format!("{server}.py"));
    let mut program = Program::start("python3", [file.to_str().unwrap(), mistake]);
    program.expect("\n");
    let port = program.text().lines().next().unwrap().to_owned();
    assert!(port.parse::<u16>().is_ok(), "{server}, {mistake}: {}", program.text());
    (program, format!("127.0.0.1:{port}"))
}

fn check(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_switchboard")).arg("check").args(arguments).output().unwrap()
}

/// How every case went, or each of these.
fn verdicts(protocol: &str, address: &str, only: &[&str]) -> BTreeMap<String, String> {
    let only = only.join(",");
    let mut arguments = vec![address, "--as", protocol, "--json", "--timeout", "1s"];
    if !only.is_empty() {
        arguments.extend(["--only", &only]);
    }
    let output = check(&arguments);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failed = report["counts"]["failed"].as_u64().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(failed > 0)), "{report:#}");
    let text = |case: &Value, key: &str| case[key].as_str().unwrap().to_owned();
    report["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (text(case, "name"), text(case, "result")))
        .collect()
}

fn passes(protocol: &str, variant: &str) {
    if !has_python() {
        return;
    }
    let (_server, address) = planted(protocol, variant);
    let failed: Vec<_> =
        verdicts(protocol, &address, &[]).into_iter().filter(|(_, r)| r == "failed").collect();
    assert!(failed.is_empty(), "{protocol}, {variant}: {failed:?}");
}

/// A mistake is found by this case; and not by these, which have nothing to do with it.
fn finds(protocol: &str, mistake: &str, case: &str, fine: &[&str]) {
    if !has_python() {
        return;
    }
    let (_server, address) = planted(protocol, mistake);
    let verdicts = verdicts(protocol, &address, &[&[case], fine].concat());
    let result = verdicts.get(case).map(String::as_str);
    assert!(matches!(result, Some("failed" | "warned")), "{protocol}, {mistake}: {case} in {verdicts:?}");
    for case in fine {
        assert_eq!(verdicts.get(*case).map(String::as_str), Some("passed"), "{protocol}, {mistake}: {case}");
    }
}

/// A test per protocol: what is right, then each mistake, the case that finds it, and cases that pass.
macro_rules! planted {
    ($($protocol:ident: [$($right:literal),*] { $($mistake:literal => $case:literal [$($fine:literal),*];)* })*) => {
        $(mod $protocol {
            #[test]
            fn right_ones_pass() {
                $(super::passes(stringify!($protocol), $right);)*
            }

            #[test]
            fn mistakes_are_found() {
                $(super::finds(stringify!($protocol), $mistake, $case, &[$($fine),*]);)*
            }
        })*
    };
}

planted! {
    echo: ["none"] {
        "waits_for_a_newline" => "lockstep" ["nothing", "reset"];
        "one_at_a_time" => "three_clients" ["lockstep", "every_byte", "half_close"];
        "decodes" => "every_byte" ["nothing", "reset"];
        "ends_at_nul" => "every_byte" ["lockstep"];
        "strips" => "lockstep" ["nothing"];
        "one_recv_only" => "lockstep" ["every_byte", "nothing"];
        "adds_at_the_end" => "nothing" ["coalesced"];
        "forgets_to_close" => "nothing" ["coalesced"];
        "dies_on_reset" => "reset" ["lockstep", "thirty_clients"];
        "loses_what_is_owed" => "half_close" ["lockstep", "thirty_clients"];
        "loses_what_is_owed_slowly" => "half_close" ["lockstep"];
        "mixes_clients_up" => "three_clients" ["lockstep", "nothing"];
        "ignores_what_send_returns" => "half_close" ["lockstep", "reset"];
    }
    modify: ["none", "right_prefix", "right_reversed", "right_length"] {
        "ignores_the_message" => "depends" [];
        "waits_for_a_newline" => "depends" [];
        "one_message" => "lockstep" ["depends", "last_words"];
        "ends_with_the_first_client" => "leaves_at_once" [];
        "never_notices_the_end" => "next_client" ["leaves_at_once"];
        "loses_last_words" => "last_words" ["depends", "lockstep"];
        "small_recv" => "a_thousand_bytes" [];
        "ascii_only" => "not_ascii" ["lockstep"];
        "one_at_a_time" => "three_clients" ["lockstep", "last_words"];
        "dies_on_reset" => "reset" ["lockstep", "last_words"];
    }
    reqtime: ["none"] {
        "waits_for_a_newline" => "unterminated" [];
        "another_format" => "unterminated" [];
        "closes_after_one" => "unterminated" ["half_close"];
        "one_at_a_time" => "three_clients" ["unterminated", "half_close"];
    }
    chat: ["none"] {
        "sends_it_back" => "not_oneself" ["all_others", "thirty_members"];
        "sends_it_to_one" => "all_others" ["not_oneself"];
        "waits_for_a_newline" => "no_line_end" ["all_others", "in_order"];
        "cuts_lines" => "in_order" ["all_others"];
        "says_it_twice" => "thirty_members" ["all_others"];
        "drops_last_words" => "last_words" ["all_others", "in_order"];
        "keeps_the_closed" => "leaves_at_once" [];
        "dies_on_reset" => "member_resets" ["all_others"];
        "text_of_ascii" => "characters" ["all_others"];
    }
    hello: ["none"] {
        "waits_for_a_newline" => "session" [];
        "misspells" => "session" [];
        "never_says_goodbye" => "session" [];
        "never_closes" => "session" [];
    }
    collect: ["none"] {
        "one_recv_only" => "pieces" ["nothing"];
        "answers" => "silence" ["nothing"];
        "never_closes" => "silence" [];
        "one_at_a_time" => "silent_client" ["silence", "pieces"];
    }
    http: ["none"] {
        "one_recv_only" => "every_split" ["get", "not_found"];
        "finds_everything" => "not_found" ["get"];
        "counts_characters" => "http_1_0" [];
        "no_blank_line" => "get" [];
        "never_closes" => "http_1_0" ["get"];
        "one_at_a_time" => "silent_client" ["get", "http_1_0"];
    }
}

#[test]
fn a_failure_says_what_was_sent_what_came_and_what_that_means() {
    if !has_python() {
        return;
    }
    let (_server, address) = planted("echo", "waits_for_a_newline");
    let output = check(&[&address, "--as", "echo", "--only", "lockstep,datagram", "--timeout", "300ms"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "FAIL  lockstep",
        "expected  \"Hello\"",
        "sent      \"Hello\"",
        "came      \"\"",
        "then      nothing more for 300ms",
        "usually   the server waits for a newline",
        "try       answer what recv() gives",
        "not tried say --udp",
        "0 passed, 1 failed, 1 not tried",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn when_the_server_is_gone_the_rest_is_not_counted_as_tried() {
    if !has_python() {
        return;
    }
    let (_server, address) = planted("echo", "dies_on_reset");
    let verdicts = verdicts("echo", &address, &[]);
    assert_eq!(verdicts["stalled_reader"], "not_tried");
}

#[test]
fn the_daemon_is_held_to_everything_it_does() {
    let daemon = Start::reactor().run();
    let address = daemon.target("modify").tcp.to_string();
    let output = check(&[&address, "--as", "modify", "--exact", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report:#}");
    let cases = switchboard::check::cases("modify").len() as u64;
    assert_eq!(report["counts"]["passed"].as_u64(), Some(cases));
}

#[test]
fn cases_are_explained_without_a_server() {
    let output = check(&["--as", "chat", "--explain"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.contains("all_others (required)\n      wants     what one types"), "{text}");
    assert!(!text.contains("(exact)"), "{text}");
}

#[test]
fn wrong_usage_exits_with_2_and_no_server_with_1() {
    let code = |arguments: &[&str]| check(arguments).status.code();
    assert_eq!(code(&["--as", "echo"]), Some(2));
    assert_eq!(code(&["127.0.0.1:1", "--as", "gopher"]), Some(2));
    assert_eq!(code(&["127.0.0.1:1", "--as", "echo", "--only", "nonsense"]), Some(2));
    assert_eq!(code(&["127.0.0.1:1", "--as", "echo"]), Some(1));
}
