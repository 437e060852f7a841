//! A terminal that nobody reads must not stop the daemon that writes to it.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Ended with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A terminal: the side of the screen, which must stay open, and the side of the program.
fn terminal() -> (OwnedFd, OwnedFd) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let program = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    (screen, program)
}

fn connect(ports: &str, service: &str) -> TcpStream {
    let start = format!("{service} tcp 127.0.0.1:");
    let port = ports.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn wait_for(file: &Path) -> String {
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) => return text,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[test]
fn a_terminal_that_nobody_reads_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ports");
    let (_screen, program) = terminal();
    let _daemon = Daemon(
        Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(["--only", "collect,echo", "--port", "collect=0", "--port", "echo=0", "--ports-file"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(program.try_clone().unwrap())
            .stderr(program)
            .spawn()
            .unwrap(),
    );
    let ports = wait_for(&file);
    for n in 0..100 {
        let mut shown = connect(&ports, "collect");
        shown.write_all(&b"some lines of text\n".repeat(n % 50)).unwrap();
        shown.shutdown(Shutdown::Write).unwrap();
        assert_eq!(shown.read(&mut [0]).unwrap(), 0);
        let mut echo = connect(&ports, "echo");
        echo.write_all(b"?").unwrap();
        echo.read_exact(&mut [0]).unwrap();
    }
}
