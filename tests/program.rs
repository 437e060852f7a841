//! The program as scripts see it: what it prints, and its exit codes.

// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{BufRead, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Output, Stdio};

use assert_cmd::Command;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, kill_process};

mod support;

use support::daemon::engines;
use support::{PATIENCE, Start, wait_for};

/// Runs the program with none of this process's settings.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::cargo_bin("switchboard").unwrap();
    for name in support::own_settings() {
        command.env_remove(name);
    }
    command.args(arguments).envs(environment.iter().copied()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `Instant + Duration` panics where the clock cannot count so far: no argument may lead there.
#[test]
fn a_duration_that_no_clock_can_count_is_refused() {
    const FOR_EVER: &str = "9223372036854775807s";
    for words in [
        &["serve", "--grace", FOR_EVER][..],
        &["serve", "--set", "chat.quiet_reader=9223372036854775807s"],
        &["check", "127.0.0.1:1", "--as", "echo", "--timeout", FOR_EVER],
        &["stress", "127.0.0.1:1", "--timeout", FOR_EVER],
        &["stress", "127.0.0.1:1", "--duration", FOR_EVER],
        &["echo", "127.0.0.1:1", "--timeout", FOR_EVER],
        &["listen", "0", "--timeout", FOR_EVER],
    ] {
        let output = run(words, &[]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
        assert!(text.contains("ten years") || text.contains("30 days"), "{words:?}: {text}");
        assert!(!text.contains("panicked"), "{words:?}: {text}");
    }
}

#[test]
fn services_are_listed_a_line_each() {
    let output = run(&["services"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    let echo = text.lines().find(|line| line.starts_with("echo")).unwrap();
    assert!(echo.contains("10007  tcp+udp") && echo.ends_with("RFC 862; lab E"), "{echo}");
    assert!(!text.contains('\x1b'), "no colours where there is no terminal");
    // What the environment says about serving is no business of the list.
    assert_eq!(stdout(&run(&["services"], &[("SWITCHBOARD_ONLY", "echo")])), text);
}

#[test]
fn help_shows_every_flag() {
    let output = run(&["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    for flag in
        ["bind", "port", "well-known", "ports-file", "only", "without", "set", "root", "config", "engine"]
    {
        assert!(text.contains(&format!("--{flag}")), "{flag}");
    }
    for flag in ["grace", "verbose", "quiet", "log-format"] {
        assert!(text.contains(&format!("--{flag}")), "{flag}");
    }
    assert_eq!(run(&["serve", "--help"], &[]).status.code(), Some(0));
    assert_eq!(run(&["--version"], &[]).status.code(), Some(0));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &["--nonsense"][..],
        &["--port", "echo"],
        &["--port", "echo=x"],
        &["--set", "echo"],
        &["--only", "ecko"],
        &["--grace", "soon"],
        &["-v", "-q"],
        &["serve", "--set", "echo.color=red"],
    ] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).starts_with("error: "), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_mistake_in_the_file_is_one_line_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    std::fs::write(&path, "[service.shout]\nprotocol = \"modify\"\nport = 0\nmodee = \"upper\"\n").unwrap();
    let output = run(&["--config", path.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    let expected =
        format!("error: {}:4: service.shout: unknown key \"modee\"; it knows mode, ", path.display());
    assert!(said.starts_with(&expected) && said.lines().count() == 1, "{said}");
}

#[test]
fn a_variable_counts_unless_there_is_a_flag_and_is_named_in_complaints() {
    let output = run(&[], &[("SWITCHBOARD_ONLY", "ecko")]);
    assert!(
        stderr(&output).starts_with("error: SWITCHBOARD_ONLY: no service \"ecko\""),
        "{}",
        stderr(&output)
    );
    let output = run(&["serve", "--only", "eckoo"], &[("SWITCHBOARD_ONLY", "ecko")]);
    assert!(stderr(&output).starts_with("error: --only: no service \"eckoo\""), "{}", stderr(&output));
}

#[test]
fn a_taken_port_that_was_named_is_exit_code_1() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let output = run(&["--only", "echo", "--port", &format!("echo={port}")], &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.starts_with(&format!("error: --port: service echo: port {port} (127.0.0.1) is ")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn the_ports_file_is_whole_and_socket_files_do_not_outlive_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let (ports, socket) = (dir.path().join("ports"), dir.path().join("socket"));
    std::fs::write(&ports, "left over\n").unwrap();
    let listen = format!("echo.listen=unix:{}", socket.display());
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["--only", "echo", "--port", "echo=0", "--set", &listen, "--ports-file"])
        .arg(&ports)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut table = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(table.any(|line| line.unwrap() == "Ctrl-C stops it"), "the table comes after the file");
    let text = std::fs::read_to_string(&ports).unwrap();
    // The engine may have ended by itself; then there is nothing to end.
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    assert!(child.wait().unwrap().success());

    assert!(text.starts_with("echo tcp 127.0.0.1:") && text.ends_with('\n'), "{text}");
    assert!(text.contains(&format!("echo unix {}\n", socket.display())), "{text}");
    assert!(!socket.exists());
}

/// The log of a daemon that serves some clients and is stopped, as it was written, a `write` each.
fn writes_of_the_log(engine: &'static str, format: &str) -> Vec<String> {
    let dir = support::daemon::new_dir();
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    let (log, stderr) = socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
    let start = Start::engine(engine).argument("--log-format").argument(format);
    let words = start.command_line(dir.path());
    let mut child = std::process::Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let ports = wait_for(PATIENCE, || std::fs::read_to_string(dir.path().join("ports")).ok()).unwrap();
    let modify = support::daemon::read_ports(&ports)[&("modify".to_owned(), "tcp".to_owned())];
    for _ in 0..5 {
        let mut stream = TcpStream::connect(modify).unwrap();
        stream.write_all(b"hi\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(wait_for(PATIENCE, || child.try_wait().unwrap()).unwrap().success());
    let mut packet = vec![0; 65_536];
    let mut read = || rustix::io::read(&log, &mut packet).map(|n| packet[..n].to_vec()).unwrap();
    let packets = std::iter::from_fn(|| Some(read()).filter(|packet| !packet.is_empty()));
    packets.map(|packet| String::from_utf8(packet).unwrap()).collect()
}

/// Processes may share a log, so that what is written by two calls could have another's line in it.
#[test]
fn a_line_of_the_log_and_its_end_are_one_write() {
    let formats = [("text", "20", "service=modify"), ("json", "{\"time\":\"20", "\"service\":\"modify\"")];
    for (engine, (format, begins, about)) in engines().flat_map(|engine| formats.map(|it| (engine, it))) {
        let writes = writes_of_the_log(engine, format);
        for write in &writes {
            assert!(write.ends_with('\n'), "{engine}: {write:?}");
            assert!(write.lines().all(|line| line.starts_with(begins)), "{engine}: {write:?}");
        }
        let closed = writes.iter().map(|write| write.matches(about).count()).sum::<usize>();
        assert_eq!(closed, 5, "{engine}: {writes:?}");
    }
}

#[test]
fn a_backlog_is_a_number_that_fits() {
    let output = run(&["--backlog", "70000", "--only", "echo"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--backlog"), "{}", stderr(&output));
}

#[test]
fn every_flag_of_a_client_has_an_example() {
    let program = <switchboard::cli::Cli as clap::CommandFactory>::command();
    let mut missing = Vec::new();
    for client in ["echo", "time", "get", "send", "listen", "lookup"] {
        let command = program.find_subcommand(client).unwrap();
        for flag in command.get_arguments() {
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            if !help.contains("[e.g. ") && flag.get_id() != "help" {
                missing.push(format!("{client} {}", flag.get_id()));
            }
        }
        let text = stdout(&run(&[client, "--help"], &[]));
        assert!(text.contains("\nExamples:\n  switchboard ") && text.contains("--timeout"), "{text}");
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn shells_are_told_every_client_and_flag() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell], &[]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        for word in ["echo", "lookup", "listen", "verify", "dry-run"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    // Where bash is there, it takes the script and completes.
    let script = "eval \"$(\"$0\" completions bash)\"; COMP_WORDS=(switchboard loo); COMP_CWORD=1; \
                  _switchboard switchboard loo switchboard; echo \"${COMPREPLY[@]}\"";
    let bash =
        std::process::Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_switchboard")]).output();
    if let Ok(output) = bash {
        assert_eq!(stdout(&output), "lookup\n", "{}", stderr(&output));
    }
    assert_eq!(run(&["completions", "tcl"], &[]).status.code(), Some(2));
}

#[test]
fn wrong_usage_of_a_client_is_exit_code_2_and_a_line_that_helps() {
    for (words, said) in [
        ("echo", "HOST[:PORT]"),
        ("echo h:x a", "error: \"h:x\": its port is no number of 1 to 65535\n"),
        ("echo fe80::1:7:zz a", "error: \"fe80::1:7:zz\": write an IPv6 address as [::1]:PORT\n"),
        ("echo h --count 2..1", "its end comes before its beginning"),
        ("echo h --timeout 5", "which looks like \"25ms\""),
        ("echo h -4 -6 a", "cannot be used with"),
        ("get https://h/", "error: \"https://h/\": https is not spoken here, only http; curl does\n"),
        ("get h/ -C", "--output"),
        ("listen somewhere", "it is written PORT or ADDRESS:PORT"),
        ("send", "error: whom to send to? HOST[:PORT] is missing"),
        ("time h --samples 0", "0 is not in 1..=1000"),
    ] {
        let output = run(&words.split(' ').collect::<Vec<_>>(), &[]);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(stderr(&output).contains(said), "{words}: {}", stderr(&output));
    }
}
