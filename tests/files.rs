//! Files in and out of the real program: what is stored, and what never is.
// The helpers below belong to the tests as much as the tests do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;

mod support;

use support::program::find;
use support::{Daemon, PATIENCE, Start, proc, wait_for};

const SWITCHBOARD: &str = env!("CARGO_BIN_EXE_switchboard");
const ENGINES: [&str; 3] = ["reactor", "threads", "processes"];

/// A client of ours, run to its end.
fn client(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(SWITCHBOARD).args(arguments).current_dir(dir).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a client that must succeed; what it printed.
fn succeed(dir: &Path, arguments: &[&str]) -> String {
    let output = client(dir, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "nothing is drawn where there is no terminal");
    text(&output.stdout)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn uploads(daemon: &Daemon) -> PathBuf {
    daemon.path("uploads")
}

fn upload(daemon: &Daemon) -> String {
    daemon.tcp("upload").to_string()
}

fn download(daemon: &Daemon) -> String {
    daemon.tcp("download").to_string()
}

fn connect(daemon: &Daemon, service: &str) -> TcpStream {
    let stream = TcpStream::connect(daemon.tcp(service)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything up to the end.
fn rest(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

fn there_and_back(engine: &'static str) {
    let daemon = Start::engine(engine).run();
    let dir = tempfile::tempdir().unwrap();
    let big: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(dir.path().join("a b.txt"), "text\r\n").unwrap();
    fs::write(dir.path().join("big.bin"), &big).unwrap();
    fs::write(dir.path().join("empty"), "").unwrap();
    let said = succeed(dir.path(), &["put", "a b.txt", "big.bin", "empty", &upload(&daemon)]);
    assert_eq!(said.lines().nth(1), Some("big.bin: 3000000 bytes stored, checksum verified"));
    let said = succeed(dir.path(), &["put", "empty", &upload(&daemon), "--as", "big.bin"]);
    assert_eq!(said, "big.bin: 0 bytes stored as big-1.bin, checksum verified\n");
    assert_eq!(names(&uploads(&daemon)), ["a b.txt", "big-1.bin", "big.bin", "empty"]);
    assert_eq!(fs::read(uploads(&daemon).join("big.bin")).unwrap(), big);

    // What was stored is not handed on. Let it be where it is.
    let root = daemon.path("root");
    for name in names(&uploads(&daemon)) {
        fs::copy(uploads(&daemon).join(&name), root.join(&name)).unwrap();
    }
    let back = tempfile::tempdir().unwrap();
    succeed(back.path(), &["fetch", "a b.txt", "big.bin", "empty", "sub/long.bin", &download(&daemon)]);
    assert_eq!(names(back.path()), ["a b.txt", "big.bin", "empty", "long.bin"]);
    assert_eq!(fs::read(back.path().join("big.bin")).unwrap(), big);
    let output = client(back.path(), &["fetch", "big.bin", &download(&daemon), "-o", "-"]);
    assert!(output.status.success() && output.stdout == big);
}

#[test]
fn files_go_there_and_come_back() {
    ENGINES.into_iter().for_each(there_and_back);
}

#[test]
fn the_forms_of_the_labs_go_there_and_come_back() {
    let daemon = Start::reactor().run();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "some\nlines\n").unwrap();
    let said = succeed(dir.path(), &["put", "--lab", "notes.txt", &upload(&daemon)]);
    assert_eq!(said, "notes.txt: 11 bytes stored, checksum verified\n");
    let said = succeed(dir.path(), &["fetch", "--lab", "hello.txt", &download(&daemon)]);
    assert!(said.starts_with("hello.txt: 12 bytes; "), "{said}");
    let output = client(dir.path(), &["fetch", "--lab", "nothing", &download(&daemon)]);
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(1), "error: nothing: no such file\n".into())
    );
    assert_eq!(names(dir.path()), ["hello.txt", "notes.txt"]);
}

#[test]
fn standard_input_is_sent_whether_its_length_is_known_or_not() {
    let daemon = Start::reactor().run();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "from a file").unwrap();
    let put = |name: &str, input: Stdio| {
        let mut command = Command::new(SWITCHBOARD);
        command.args(["put", "-", &upload(&daemon), "--as", name]).stdin(input).stdout(Stdio::null());
        command.spawn().unwrap()
    };
    assert!(put("file", File::open(dir.path().join("file")).unwrap().into()).wait().unwrap().success());
    let mut piped = put("pipe", Stdio::piped());
    piped.stdin.take().unwrap().write_all(&vec![b'p'; 1_000_000]).unwrap();
    assert!(piped.wait().unwrap().success());
    assert_eq!(fs::read(uploads(&daemon).join("file")).unwrap(), b"from a file");
    assert_eq!(fs::read(uploads(&daemon).join("pipe")).unwrap(), vec![b'p'; 1_000_000]);
    let output = client(dir.path(), &["put", "-", &upload(&daemon)]);
    assert_eq!(output.status.code(), Some(2), "it has no name");
}

#[test]
fn one_that_fails_keeps_none_of_the_others_and_is_the_exit_code() {
    let daemon = Start::reactor().set("upload.max_file=10").run();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("long"), vec![b'x'; 10_000_000]).unwrap();
    fs::write(dir.path().join("short"), "x").unwrap();
    let output = client(dir.path(), &["put", "long", "missing", "short", &upload(&daemon)]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("error: long: a file may have 10 bytes at the most; closing\n"), "{said}");
    assert!(said.contains("error: cannot read missing: "), "{said}");
    assert_eq!(names(&uploads(&daemon)), ["short"]);
    let output = client(dir.path(), &["fetch", "no", "hello.txt", "short", &download(&daemon)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: no: no such file\nerror: short is there already; use --force, or -o with another name\n"
    );
    assert_eq!(fs::read(dir.path().join("hello.txt")).unwrap(), b"Hello there\n");
    fs::write(daemon.path("root/short"), "newer").unwrap();
    succeed(dir.path(), &["fetch", "--force", "short", &download(&daemon)]);
    assert_eq!(fs::read(dir.path().join("short")).unwrap(), b"newer");
}

#[test]
fn names_and_addresses_that_make_no_sense_are_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "x").unwrap();
    for arguments in [
        &["put", "a"][..],
        &["put", "a", "localhost:port"],
        &["put", "a", "a", "localhost", "--as", "b"],
        &["put", "a", "localhost", "--as", "../b"],
        &["put", "a", "localhost", "--timeout", "0s"],
        &["put", "a", "localhost", "-4", "-6"],
        &["fetch", "a", "b", "localhost", "-o", "c"],
        &["fetch", "..", "localhost"],
        &["fetch", "a\nb", "localhost"],
    ] {
        let output = client(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(names(dir.path()), ["a"]);
}

/// Sends half of a file, and waits until the daemon has written some of it.
fn half_an_upload(daemon: &Daemon, head: &str) -> TcpStream {
    let mut sender = connect(daemon, "upload");
    sender.write_all(head.as_bytes()).unwrap();
    sender.write_all(&vec![b'x'; 4_000_000]).unwrap();
    // Its directory is made with the first bytes.
    wait_for(PATIENCE, || uploads(daemon).exists().then_some(())).unwrap();
    sender
}

#[test]
fn a_daemon_that_is_killed_leaves_nothing() {
    for engine in ENGINES {
        for head in ["half.bin\n", "/put 8000000 half.bin\n"] {
            let mut daemon = Start::engine(engine).run();
            let _sender = half_an_upload(&daemon, head);
            assert_eq!(names(&uploads(&daemon)), [""; 0], "{engine}");
            daemon.signal(Signal::KILL);
            daemon.wait(PATIENCE);
            assert_eq!(names(&uploads(&daemon)), [""; 0], "{engine}");
        }
    }
}

#[test]
fn what_is_noted_of_people_is_not_served() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("hello.txt"), "Hello").unwrap();
    let at = |name: &str| root.path().join(name).display().to_string();
    let roots = ["http", "download"].map(|service| format!("{service}.root={}", root.path().display()));
    let daemon = Start::engine("reactor")
        .set(&roots[0])
        .set(&roots[1])
        .set(&format!("http.access_log={}", at("access.log")))
        .set(&format!("chat.transcript={}", at("chat.txt")))
        .run();
    let url = |path: &str| format!("http://{}/{path}", daemon.tcp("http"));
    let ask = |path: &str| text(&client(root.path(), &["get", &url(path), "--output", "-"]).stdout);
    assert_eq!(ask("hello.txt"), "Hello");
    for name in ["access.log", "chat.txt"] {
        wait_for(PATIENCE, || root.path().join(name).exists().then_some(())).unwrap();
        assert!(ask(name).starts_with("404 Not Found"), "{name}");
        assert!(!ask("").contains(name), "{name} in {}", ask(""));
    }
    let mut reader = connect(&daemon, "download");
    reader.write_all(b"/list\n").unwrap();
    reader.shutdown(Shutdown::Write).unwrap();
    assert!(rest(&mut reader).starts_with("5 hello.txt\nend "));
    assert!(
        fs::read_to_string(root.path().join("access.log"))
            .unwrap()
            .contains("\"GET /chat.txt HTTP/1.1\" 404 ")
    );
}

#[test]
fn a_log_that_takes_no_lines_is_spoken_of_once() {
    // Of the processes each would say so.
    for engine in ["reactor", "threads"] {
        let daemon = Start::engine(engine).set("http.access_log=/dev/full").run();
        let url = format!("http://{}/hello.txt", daemon.tcp("http"));
        for _ in 0..3 {
            assert_eq!(succeed(&daemon.path(""), &["get", &url, "--output", "-"]), "Hello there\n");
        }
        let said = || {
            fs::read_to_string(daemon.path("stderr"))
                .unwrap()
                .matches("/dev/full takes no more lines")
                .count()
        };
        assert_eq!(wait_for(PATIENCE, || (said() > 0).then(said)), Some(1), "{engine}: {}", daemon.output());
    }
}

#[test]
fn what_a_daemon_left_on_a_lesser_file_system_is_removed_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    for name in [".switchboard-1-2-3.part", "mine", ".mine"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    let _daemon = Start::reactor().set(&format!("upload.dir={}", dir.path().display())).run();
    assert_eq!(names(dir.path()), [".mine", "mine"]);
}

#[test]
fn senders_that_leave_early_leave_nothing() {
    for engine in ENGINES {
        let daemon = Start::engine(engine).run();
        let mut put = half_an_upload(&daemon, "/put 8000000 half.bin\n");
        put.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut put), "error: half.bin: only 4000000 of 8000000 bytes came; nothing is saved\n");
        for head in ["half.bin\n", "/put 8000000 half.bin\n"] {
            let sender = half_an_upload(&daemon, head);
            let _ = socket2::SockRef::from(&sender).set_linger(Some(Duration::ZERO));
        }
        // They are let go: otherwise their descriptors would stay.
        let mut last = connect(&daemon, "upload");
        last.write_all(b"/put 1 whole\nx").unwrap();
        last.shutdown(Shutdown::Write).unwrap();
        assert!(rest(&mut last).starts_with("stored 1 "));
        assert_eq!(names(&uploads(&daemon)), ["whole"], "{engine}");
        // Those of the files and of their connections.
        let kept = || names(Path::new(&format!("/proc/{}/fd", daemon.pid()))).len();
        let is_quiet = wait_for(PATIENCE, || (kept() <= idle_descriptors(engine)).then_some(()));
        assert!(is_quiet.is_some(), "{engine}: {} descriptors are open", kept());
    }
}

/// Descriptors of a daemon that has stored something and serves nobody.
fn idle_descriptors(engine: &'static str) -> usize {
    let daemon = Start::engine(engine).run();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "x").unwrap();
    succeed(dir.path(), &["put", "a", &upload(&daemon)]);
    proc::descriptors(daemon.pid())
}

#[test]
fn many_files_of_one_name_at_once_all_have_their_own() {
    for engine in ENGINES {
        let daemon = Start::engine(engine).run();
        std::thread::scope(|scope| {
            for n in 0..20 {
                let daemon = &daemon;
                scope.spawn(move || {
                    let mut sender = connect(daemon, "upload");
                    sender.write_all(format!("same.txt\nfile {n}").as_bytes()).unwrap();
                    sender.shutdown(Shutdown::Write).unwrap();
                    assert!(rest(&mut sender).starts_with("stored "));
                });
            }
        });
        let names = names(&uploads(&daemon));
        let contents = names.iter().map(|name| fs::read(uploads(&daemon).join(name)).unwrap());
        let contents: std::collections::HashSet<_> = contents.collect();
        assert_eq!((names.len(), contents.len()), (20, 20), "{engine}: {names:?}");
    }
}

#[test]
fn once_is_one_stored_file() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "x").unwrap();
        let mut daemon = Start::engine(engine).argument("--only").argument("upload").argument("--once").run();
        let mut refused = connect(&daemon, "upload");
        refused.write_all(b"../a\nx").unwrap();
        refused.shutdown(Shutdown::Write).unwrap();
        assert!(rest(&mut refused).starts_with("error: ../a: "));
        assert!(daemon.is_running());
        succeed(dir.path(), &["put", "a", &upload(&daemon)]);
        assert_eq!(daemon.wait(PATIENCE).code(), Some(0), "{engine}");
        assert_eq!(names(&uploads(&daemon)), ["a"]);
    }
    let output = client(Path::new("."), &["serve", "--only", "upload,echo", "--once"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: service upload: --once "), "{}", text(&output.stderr));
}

/// A mount of our own needs a right that not everybody has.
fn can_mount() -> bool {
    let try_it = Command::new("unshare").args(["-m", "sh", "-c", "mount -t tmpfs none /mnt"]).output();
    find("unshare").is_some() && try_it.is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    if !can_mount() {
        return support::not_allowed("a full disk", "no right to mount a small one");
    }
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let small = dir.path().join("small");
        fs::create_dir(&small).unwrap();
        let mut child = Command::new("unshare")
            .args([
                "-m",
                "sh",
                "-c",
                "mount -t tmpfs -o size=1m none \"$1\" && exec \"$0\" --engine \"$2\" \
                --only upload,echo --port upload=0 --port echo=0 --ports-file \"$3\" --uploads \"$1\"",
                SWITCHBOARD,
            ])
            .args([&small, Path::new(engine), &dir.path().join("ports")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ports = wait_for(PATIENCE, || fs::read_to_string(dir.path().join("ports")).ok()).unwrap();
        let address = support::daemon::read_ports(&ports)[&("upload".to_owned(), "tcp".to_owned())];
        let mut sender = TcpStream::connect(address).unwrap();
        sender.set_read_timeout(Some(PATIENCE)).unwrap();
        let content = vec![b'x'; 2_000_000];
        sender.write_all(b"/put 2000000 big\n").unwrap();
        sender.write_all(&content).unwrap();
        // What is behind it is understood, and there is room again.
        sender.write_all(b"/put 500000 small\n").unwrap();
        sender.write_all(&content[..500_000]).unwrap();
        sender.shutdown(Shutdown::Write).unwrap();
        let said = rest(&mut sender);
        assert!(said.starts_with("error: big: the disk is full\nstored 500000 "), "{engine}: {said}");
        let seen = PathBuf::from(format!("/proc/{}/root{}", child.id(), small.display()));
        assert_eq!(names(&seen), ["small"], "{engine}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Runs a client to its end, and says how much memory it has had at the most, in KiB.
fn peak_of(dir: &Path, arguments: &[&str]) -> u64 {
    let mut child = Command::new(SWITCHBOARD);
    let mut child = child.args(arguments).current_dir(dir).stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    let status = wait_for(Duration::from_secs(180), || {
        // It only grows, and is gone when the process is.
        let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let now = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = now.unwrap_or(0).max(peak);
        child.try_wait().unwrap()
    });
    assert!(status.is_some_and(|status| status.success()), "{arguments:?}");
    peak
}

/// A gigabyte when everything is tested, 64 MB otherwise; sparse, so that it costs no disk here.
#[test]
fn a_large_file_takes_no_memory() {
    let all = std::env::var_os("SWITCHBOARD_TESTS").is_some_and(|which| which == "all");
    let size: u64 = if all { 1 << 30 } else { 64 << 20 };
    for engine in ENGINES {
        let daemon = Start::engine(engine).run();
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join("large")).unwrap().set_len(size).unwrap();
        let peaks = [peak_of(dir.path(), &["put", "large", &upload(&daemon)]), proc::peak(daemon.pid())];
        fs::rename(uploads(&daemon).join("large"), daemon.path("root/large")).unwrap();
        let back = tempfile::tempdir().unwrap();
        let fetched = peak_of(back.path(), &["fetch", "large", &download(&daemon)]);
        assert_eq!(fs::metadata(back.path().join("large")).unwrap().len(), size);
        for peak in [peaks[0], peaks[1], fetched, proc::peak(daemon.pid())] {
            assert!((1000..40_000).contains(&peak), "{engine}: {peak} KiB");
        }
    }
}
