//! Where transcripts are played: machines with nothing but a loopback (and a cable between two), terminals,
//! and the programs that run in them.
//!
//! A machine is a network namespace, which anybody may make with a user namespace around it. So every
//! transcript has all ports for itself, and sends nothing to a real network.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::program::{file, find};
use super::transcript::{Block, Step, matches};
use super::{PATIENCE, Program, wait_for};

/// How long the beginning of a line must be all there is until it counts as a line.
const QUIET: Duration = Duration::from_millis(150);

/// What a machine does first; it is there until its input ends. Its /run is its own, for `ip netns`.
const HOLD: &str = "mount -t tmpfs none /run && ip link set lo up && echo ready $$ && exec cat";

/// Machines, and a directory that they share.
pub struct Stage {
    machines: Vec<(Program, u32)>,
    /// The words of `nsenter` before a machine's number.
    enter: &'static str,
    /// Whether we are root, not only in a user namespace of our own.
    pub is_root: bool,
    dir: tempfile::TempDir,
}

impl Stage {
    /// Makes the machines, or says why there are none.
    pub fn new(machines: usize, python: Option<&Path>) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), python);
        // Root needs no user namespace, and tcpdump works without one only.
        let may = rustix::process::geteuid().is_root();
        let as_root = if may { hold("unshare", &["-nm"]) } else { Err(String::new()) };
        let is_root = as_root.is_ok();
        let enter = if is_root { "-n -m -t" } else { "--preserve-credentials -U -n -m -t" };
        let first = as_root.or_else(|_| hold("unshare", &["-rnm"]))?;
        let mut stage = Self { machines: vec![first], enter, is_root, dir };
        if machines > 1 {
            let first = stage.machines[0].1.to_string();
            let words: Vec<&str> = enter.split(' ').chain([first.as_str(), "unshare", "-nm"]).collect();
            stage.machines.push(hold("nsenter", &words)?);
            let second = stage.machines[1].1;
            stage.quietly(0, &format!("ip link add eth0 type veth peer name eth0 netns {second}"));
            for machine in 0..2 {
                let address = format!("192.0.2.{}/24", machine + 1);
                stage.quietly(machine, &format!("ip addr add {address} broadcast + dev eth0"));
                stage.quietly(machine, "ip link set eth0 up && ip route add default dev eth0");
            }
        }
        Ok(stage)
    }

    /// The beginning of the words that run something on a machine.
    fn words(&self, machine: usize) -> Vec<String> {
        let (pid, enter, dir) = (self.machines[machine].1, self.enter, self.dir.path().display());
        let path = std::env::var("PATH").unwrap();
        let words = format!(
            "{enter} {pid} env -i -C {dir}/labs HOME={dir} \
            USER=ali PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 TZ=UTC TERM=dumb"
        );
        let path = format!("PATH={dir}/bin:{path}");
        words.split_whitespace().map(str::to_owned).chain([path]).collect()
    }

    fn quietly(&self, machine: usize, command: &str) {
        let words = self.words(machine).into_iter().chain(["sh", "-c", command].map(str::to_owned));
        assert_eq!(Program::start("nsenter", words).succeed(), "", "{command}");
    }

    fn run(&self, machine: usize, command: &str) -> Program {
        let mut words = self.words(machine);
        if wants_a_terminal(command) {
            let pty = file("support/pty.py").display().to_string();
            words.extend(["python3".to_owned(), pty]);
        }
        // In one stream, so that the lines come in the order in which a terminal shows them.
        let exec = if command.contains(['|', ';', '&', '(']) { "" } else { "exec " };
        let command = format!("exec 2>&1; {exec}{command}");
        words.extend(["bash", "-c", &command].map(str::to_owned));
        Program::start("nsenter", words)
    }
}

/// telnet, Python's `termios`, the daemon's Esc and the layout of listen are about terminals; the others are in a pipe, where they
/// show the same without colours and bars.
fn wants_a_terminal(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    let is_daemon = words[0] == "switchboard"
        && words.get(1).is_none_or(|word| word.starts_with('-') || *word == "listen");
    words[0] == "telnet" || is_daemon || words.iter().any(|word| word.starts_with("esc_"))
}

/// The students' directory, and the programs as the page calls them.
fn furnish(dir: &Path, python: Option<&Path>) {
    let (labs, bin) = (dir.join("labs"), dir.join("bin"));
    fs::create_dir(&labs).unwrap();
    fs::create_dir(&bin).unwrap();
    for entry in fs::read_dir(file("labs")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), labs.join(entry.file_name())).unwrap();
    }
    symlink(env!("CARGO_BIN_EXE_switchboard"), bin.join("switchboard")).unwrap();
    if let Some(python) = python {
        script(&bin.join("python3-twisted"), &format!("#!/bin/sh\nexec {} \"$@\"\n", python.display()));
    }
    // On these machines everybody is root already, and there is no user that tcpdump could become.
    script(&bin.join("sudo"), "#!/bin/sh\nexec \"$@\"\n");
    if let Some(tcpdump) = find("tcpdump") {
        script(&bin.join("tcpdump"), &format!("#!/bin/sh\nexec {} -Z root \"$@\"\n", tcpdump.display()));
    }
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn hold(program: &str, words: &[&str]) -> Result<(Program, u32), String> {
    let mut holder = Program::start(program, [words, &["sh", "-c", HOLD]].concat());
    let ready = wait_for(PATIENCE, || (holder.text().contains('\n') || !holder.is_running()).then_some(()));
    let text = holder.text();
    let pid = text.strip_prefix("ready ").and_then(|pid| pid.trim().parse().ok());
    pid.map(|pid| (holder, pid)).ok_or_else(|| format!("{program}: {} {ready:?}", text.trim()))
}

/// A terminal: programs that ran in it one after the other, and how much of what they showed was looked at.
struct Terminal {
    name: String,
    machine: usize,
    programs: Vec<Running>,
    /// Any lines may come before the next expected one.
    skips: bool,
}

struct Running {
    program: Program,
    command: String,
    is_background: bool,
    seen: usize,
    /// The beginning of a line was taken for a line; its end may still come.
    has_open_line: bool,
    /// What was typed on a terminal, and comes back as it echoes.
    echoes: Vec<String>,
}

/// Plays a block.
///
/// # Errors
/// What differs from the page.
pub fn play(block: &Block, stage: &Stage) -> Result<(), String> {
    let mut terminals = vec![Terminal::new("the terminal", 0)];
    let mut at = 0;
    for (number, step) in block.steps().into_iter().enumerate() {
        let done = match step {
            Step::Terminal { name, machine } => {
                let known = terminals.iter().position(|terminal| terminal.name == name);
                at = known.unwrap_or(terminals.len());
                if known.is_none() {
                    terminals.push(Terminal::new(&name, machine));
                }
                Ok(())
            }
            Step::Run { command, is_background } => terminals[at].run(stage, command, is_background),
            Step::Type(text) => terminals[at].say(&text),
            Step::Expect(pattern) => terminals[at].expect(&pattern),
            Step::Skip => {
                terminals[at].skips = true;
                Ok(())
            }
        };
        let line = block.line + 1 + number;
        let done = done.map_err(|reason| format!("line {line}, {}: {reason}", terminals[at].name));
        done.map_err(|reason| reason + &all_shown(&terminals))?;
    }
    let ended = terminals.iter_mut().try_for_each(Terminal::end);
    ended.map_err(|reason| reason + &all_shown(&terminals))
}

/// What all the terminals show, for the message of a failed test.
fn all_shown(terminals: &[Terminal]) -> String {
    let mut text = String::new();
    for terminal in terminals {
        write!(text, "\n--- {}", terminal.name).unwrap();
        for running in &terminal.programs {
            let shown = running.text();
            // Without the table of services that a daemon begins with.
            let from = shown.find("stops it").unwrap_or(0);
            write!(text, "\n$ {}\n{}", running.command, &shown[from..]).unwrap();
        }
    }
    text
}

impl Terminal {
    fn new(name: &str, machine: usize) -> Self {
        Self { name: name.to_owned(), machine, programs: Vec::new(), skips: false }
    }

    /// A shell takes the next command when the one before has ended.
    fn run(&mut self, stage: &Stage, command: String, is_background: bool) -> Result<(), String> {
        self.finish_last()?;
        let program = stage.run(self.machine, &command);
        self.programs.push(Running {
            program,
            command,
            is_background,
            seen: 0,
            has_open_line: false,
            echoes: Vec::new(),
        });
        Ok(())
    }

    fn finish_last(&mut self) -> Result<(), String> {
        if let Some(last) = self.programs.iter_mut().find(|running| !running.is_background) {
            let ended = wait_for(PATIENCE, || last.has_ended().then_some(()));
            ended.ok_or_else(|| format!("{} does not end", last.command))?;
            last.nothing_left(self.skips)?;
            self.programs.retain(|running| running.is_background);
        }
        self.skips = false;
        Ok(())
    }

    fn say(&mut self, text: &str) -> Result<(), String> {
        let last = self.programs.last_mut().ok_or("nothing runs here")?;
        let is_terminal = wants_a_terminal(&last.command);
        match text {
            "<Ctrl-C>" if is_terminal => last.press("\x03"),
            "<Ctrl-C>" => {
                let pid = Pid::from_raw(last.program.pid().cast_signed()).unwrap();
                kill_process(pid, Signal::INT).map_err(|error| error.to_string())?;
            }
            "<Ctrl-D>" if is_terminal => last.press("\x04"),
            "<Ctrl-D>" => {
                last.program.end_input();
            }
            "<Esc>" => last.press("\x1b"),
            "<Ctrl-]>" => last.press("\x1d"),
            text => {
                last.press(&format!("{text}\n"));
                if is_terminal {
                    last.echoes.push(text.to_owned());
                }
            }
        }
        Ok(())
    }

    fn expect(&mut self, pattern: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Asked first, so that what they said last is looked at.
            let has_ended = self.programs.iter_mut().all(Running::has_ended);
            // Whoever of the programs here says it; mostly there is one.
            let mut shown = Vec::new();
            for running in &mut self.programs {
                match running.take(pattern, self.skips) {
                    Ok(true) => {
                        self.skips = false;
                        return Ok(());
                    }
                    Ok(false) => shown.push(running.rest()),
                    Err(line) => return Err(format!("expected {pattern:?}, came {line:?}")),
                }
            }
            if has_ended || Instant::now() > deadline {
                return Err(format!("expected {pattern:?}, came nothing but {shown:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(&mut self) -> Result<(), String> {
        for running in &mut self.programs {
            running.has_ended();
            running
                .nothing_left(self.skips)
                .map_err(|reason| format!("at the end, {}: {reason}", self.name))?;
        }
        Ok(())
    }
}

impl Running {
    fn press(&mut self, keys: &str) {
        self.program.say(keys);
    }

    /// Whether it will say no more.
    fn has_ended(&mut self) -> bool {
        let has_ended = !self.program.is_running();
        if has_ended {
            self.program.finish();
        }
        has_ended
    }

    /// What it has shown, with what belongs to a terminal taken out.
    fn text(&self) -> String {
        let text = self.program.text().replace("\r\n", "\n");
        text.trim_end_matches("terminal restored\n").trim_end_matches("terminal changed\n").to_owned()
    }

    fn rest(&self) -> String {
        self.text().get(self.seen..).unwrap_or_default().to_owned()
    }

    /// Takes the expected line if it is next; false if more must come, an error if another line is.
    fn take(&mut self, pattern: &str, skips: bool) -> Result<bool, String> {
        let mut rest = self.rest();
        loop {
            self.tidy(&mut rest);
            let Some(end) = rest.find('\n') else { break };
            let line = without_prompts(&rest[..end]).to_owned();
            let fits = matches(pattern, &line);
            if !fits && !skips {
                return Err(line);
            }
            self.seen += end + 1;
            rest.drain(..=end);
            if fits {
                return Ok(true);
            }
        }
        if rest.is_empty() || !matches(pattern, without_prompts(&rest)) {
            return Ok(false);
        }
        // A line that has no end, yet: an answer without one, or a prompt.
        std::thread::sleep(QUIET);
        let is_all = self.rest() == rest;
        if is_all {
            self.seen += rest.len();
            self.has_open_line = true;
        }
        Ok(is_all)
    }

    /// Takes out the end of a line that was taken already, and what a terminal shows because it was typed.
    fn tidy(&mut self, rest: &mut String) {
        if self.has_open_line && !rest.is_empty() {
            let ends = usize::from(rest.starts_with('\n'));
            self.seen += ends;
            rest.drain(..ends);
            self.has_open_line = false;
        }
        while let Some(typed) = self.echoes.first().filter(|typed| rest.starts_with(&format!("{typed}\n"))) {
            let length = typed.len() + 1;
            self.seen += length;
            rest.drain(..length);
            self.echoes.remove(0);
        }
    }

    fn nothing_left(&mut self, skips: bool) -> Result<(), String> {
        let mut rest = self.rest();
        self.tidy(&mut rest);
        let left = rest.lines().map(without_prompts).find(|line| !line.trim().is_empty());
        match left {
            Some(line) if !skips => Err(format!("{}: the page does not have {line:?}", self.command)),
            _ => Ok(()),
        }
    }
}

/// Python's prompts stand in the page with what is typed behind them.
fn without_prompts(line: &str) -> &str {
    let mut line = line;
    while let Some(rest) = line.strip_prefix(">>> ") {
        line = rest;
    }
    line.trim_end()
}
