//! A clock on the wall that is set back and forth, while deadlines must go by the time that passes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::common::{assert_serves, connect, finish, stop, text};
use crate::support::daemon::engines;
use crate::support::{Daemon, Start, have};

const DAY: i64 = 24 * 3600;
/// Days by which the clock is wrong, one after another: a day, back again, before 1970, beyond 2038 and 2106.
const SHIFTS: &[i64] = &[1, 0, -1, -30_000, 10_000, 60_000, 0];
/// From 1900, from which RFC 868 counts, to 1970.
const EPOCH: i64 = 2_208_988_800;

/// The clock of one process.
struct Clock(File);

impl Clock {
    fn set(&self, days: i64) {
        self.0.write_all_at(&(days * DAY).to_ne_bytes(), 0).unwrap();
    }
}

/// Makes the library that sets the clock, and the words in front of a command that load it.
fn clock(dir: &Path) -> (Clock, Vec<String>) {
    let (library, file) = (dir.join("clock.so"), dir.join("clock"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/clock.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::write(&file, 0_i64.to_ne_bytes()).unwrap();
    let words = [
        "env".to_owned(),
        format!("LD_PRELOAD={}", library.display()),
        format!("FAULTS_CLOCK={}", file.display()),
    ];
    (Clock(File::options().write(true).open(file).unwrap()), words.into())
}

#[test]
fn a_clock_that_is_set_moves_no_deadline_and_breaks_nothing() {
    if !have(&["cc"], "a clock that is set") {
        return;
    }
    for engine in engines() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, words) = clock(dir.path());
        let daemon = Start::engine(engine).under(&words).set("echo.idle=3s").run();
        let begun = Instant::now();
        // With an engine of one client at a time it must be gone before others are served.
        let mut silent = (engine != "iterative").then(|| connect(daemon.tcp("echo")));
        for days in SHIFTS {
            clock.set(*days);
            tells_the_time(&daemon, *days);
            assert_serves(&daemon);
            stores_and_serves(&daemon, *days);
        }
        assert!(
            begun.elapsed() < Duration::from_secs(3) || silent.is_none(),
            "{engine}: no time is left to look"
        );
        if let Some(silent) = &mut silent {
            // Neither the days forth nor those back have counted.
            clock.set(400);
            ends_after(silent, begun, Duration::from_secs(3));
            clock.set(-400);
            let begun = Instant::now();
            ends_after(&mut connect(daemon.tcp("echo")), begun, Duration::from_secs(3));
        }
        assert_eq!(stop(daemon).cut_off, 0, "{engine}");
    }
}

/// RFC 868 has the seconds since 1900: they wrap in 2036. A clock before 1970 tells 1970.
fn tells_the_time(daemon: &Daemon, days: i64) {
    let bytes = finish(&mut connect(daemon.tcp("time")));
    let told = u32::from_be_bytes(bytes[..].try_into().unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let right = ((i64::try_from(now).unwrap() + days * DAY).max(0) + EPOCH).rem_euclid(1 << 32);
    let wrong = (i64::from(told) - right).rem_euclid(1 << 32);
    assert!(wrong <= 1 || wrong >= (1 << 32) - 30, "{days} days: {told} instead of {right}");
    let words = text(&finish(&mut connect(daemon.tcp("daytime"))));
    assert!(words.ends_with("\r\n") && words.len() > 20, "{days} days: {words:?}");
}

/// What has a date in it goes on.
fn stores_and_serves(daemon: &Daemon, days: i64) {
    let mut http = connect(daemon.tcp("http"));
    http.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let reply = text(&finish(&mut http));
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("Hello there\n"), "{days} days: {reply}");
    let mut upload = connect(daemon.tcp("upload"));
    upload.write_all(format!("/put 2 day{days}\nhi").as_bytes()).unwrap();
    assert!(finish(&mut upload).starts_with(b"stored 2 "), "{days} days");
    if let Some(address) = daemon.address("chat", "tcp") {
        let mut chat = connect(address);
        chat.write_all(b"/who\nhello\n").unwrap();
        assert!(text(&finish(&mut chat)).contains("here: "), "{days} days");
    }
}

/// It is closed when so much time has passed, and not before.
fn ends_after(stream: &mut TcpStream, begun: Instant, time: Duration) {
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    let took = begun.elapsed();
    assert!(took + Duration::from_millis(50) >= time && took < time + Duration::from_secs(10), "{took:?}");
}
