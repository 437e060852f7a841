//! The real program on a terminal of ours, with a model of the screen that a person would see.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::{PATIENCE, own_settings, wait_for};

/// Lines that scroll off the top and are kept.
const SCROLLBACK: usize = 20_000;

/// See the module.
pub struct Terminal {
    keys: File,
    program_side: OwnedFd,
    screen: Arc<Mutex<vt100::Parser>>,
    child: Child,
}

impl Terminal {
    /// Runs `switchboard` with these arguments on a screen of this size.
    pub fn start(arguments: &[&str], columns: u16, rows: u16) -> Self {
        Self::start_with(arguments, &[], columns, rows)
    }

    pub fn start_with(arguments: &[&str], variables: &[(&str, &str)], columns: u16, rows: u16) -> Self {
        let (ours, theirs) = pair(columns, rows);
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        for name in own_settings() {
            command.env_remove(name);
        }
        command.args(arguments).env("TERM", "xterm-256color");
        command.envs(variables.iter().copied());
        command.stdin(Stdio::from(theirs.try_clone().unwrap()));
        command.stdout(Stdio::from(theirs.try_clone().unwrap()));
        command.stderr(Stdio::from(theirs.try_clone().unwrap()));
        let child = command.spawn().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(some(rows), some(columns), SCROLLBACK)));
        let keys = File::from(ours);
        let mut shown = keys.try_clone().unwrap();
        let model = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = shown.read(&mut buffer) {
                model.lock().unwrap().process(&buffer[..n]);
            }
        });
        Self { keys, program_side: theirs, screen, child }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(some(rows), some(columns));
        tcsetwinsize(&self.program_side, size(columns, rows)).unwrap();
        // The terminal is nobody's controlling one, so that the kernel tells nobody.
        self.signal(Signal::WINCH);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The screen's rows, and above them all that has scrolled off, without blanks at their ends.
    pub fn rows(&self) -> Vec<String> {
        let mut parser = self.screen.lock().unwrap();
        let screen = parser.screen_mut();
        let columns = screen.size().1.get();
        screen.set_scrollback(usize::MAX);
        let mut rows = Vec::new();
        for above in (1..=screen.scrollback()).rev() {
            screen.set_scrollback(above);
            rows.extend(screen.rows(0, columns).next());
        }
        screen.set_scrollback(0);
        rows.extend(screen.rows(0, columns));
        rows.iter().map(|row| row.trim_end().to_owned()).collect()
    }

    /// The row that the cursor is in, and its column.
    pub fn cursor(&self) -> (String, u16) {
        let parser = self.screen.lock().unwrap();
        let (row, column) = parser.screen().cursor_position();
        let columns = parser.screen().size().1.get();
        let text = parser.screen().rows(0, columns).nth(row.into()).unwrap();
        (text.trim_end().to_owned(), column)
    }

    /// Whether anything on the screen has a colour.
    pub fn is_coloured(&self) -> bool {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        cells
            .filter_map(|(row, column)| screen.cell(row, column))
            .any(|cell| cell.fgcolor() != vt100::Color::Default || cell.dim() || cell.bold())
    }

    /// Waits until a row is exactly this.
    pub fn expect(&self, row: &str) {
        self.expect_when(&format!("row {row:?}"), |rows| rows.iter().any(|shown| shown == row));
    }

    /// Waits until the cursor stands behind this text, which is all there is in its row.
    pub fn expect_typed(&self, text: &str) {
        let seen = wait_for(PATIENCE, || (self.cursor().0 == text).then_some(()));
        assert!(seen.is_some(), "not {text:?} at the cursor but {:?}\n{}", self.cursor(), self.picture());
    }

    pub fn expect_when(&self, what: &str, is_so: impl Fn(&[String]) -> bool) {
        let seen = wait_for(PATIENCE, || is_so(&self.rows()).then_some(()));
        assert!(seen.is_some(), "no {what} on the screen\n{}", self.picture());
    }

    pub fn picture(&self) -> String {
        let rows = self.rows();
        rows[rows.len().saturating_sub(60)..].join("\n")
    }

    /// How the program ended; a failure if it does not, or leaves the terminal in another mode.
    pub fn finish(&mut self) -> ExitStatus {
        let status = wait_for(PATIENCE, || self.child.try_wait().unwrap());
        let status = status.unwrap_or_else(|| panic!("the program does not end\n{}", self.picture()));
        let modes = tcgetattr(&self.program_side).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "the terminal was left raw");
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pair(columns: u16, rows: u16) -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    tcsetwinsize(&theirs, size(columns, rows)).unwrap();
    (ours, theirs)
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn some(size: u16) -> NonZeroU16 {
    NonZeroU16::new(size).unwrap()
}
