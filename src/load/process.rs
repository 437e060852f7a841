//! Workers in a process of their own. It is this program again; it is told what to do on its standard
//! input and says how it goes on its standard output, a line of JSON each.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command as Program, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::fleet::{Assignment, Fleet};
use super::job::{Command, Snapshot};
use super::mailbox::{Bell, lock};

/// The flag of `switchboard stress` that makes it such a process.
pub const FLAG: &str = "--worker-process";
/// How often it says how it goes.
const PERIOD: Duration = Duration::from_millis(200);
/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that works for this one. It ends when its input does, so at the latest with this one.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    latest: Arc<Mutex<Snapshot>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    pub(super) fn start(assignment: &Assignment, bell: Arc<Bell>) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let mut child = Program::new(std::env::current_exe()?)
            .args(["stress", FLAG])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for this process, which then tells that one to stop.
            .process_group(0)
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let latest = Arc::<Mutex<Snapshot>>::default();
        let reader = output.map(|output| {
            let latest = Arc::clone(&latest);
            std::thread::spawn(move || follow(output, &latest, &bell))
        });
        let mut process = Self { child, input, latest, reader };
        process.say(&serde_json::to_string(assignment)?);
        Ok(process)
    }

    pub(super) fn send(&mut self, command: Command) {
        if let Ok(line) = serde_json::to_string(&command) {
            self.say(&line);
        }
    }

    /// If it has died, its last words say so.
    fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}").and_then(|()| input.flush());
        }
    }

    pub(super) fn add_to(&self, sum: &mut Snapshot) {
        sum.add(&lock(&self.latest));
    }

    /// Waits until it has ended.
    pub(super) fn finish(&mut self) {
        self.input = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.finish();
    }
}

fn follow(output: impl io::Read, latest: &Mutex<Snapshot>, bell: &Bell) {
    for line in BufReader::new(output).lines() {
        let Ok(snapshot) = line.map_err(drop).and_then(|line| serde_json::from_str(&line).map_err(drop))
        else {
            break;
        };
        *lock(latest) = snapshot;
        bell.ring();
    }
    let mut last = lock(latest);
    // Nobody need wait for it any more.
    if last.gauges.idle + last.gauges.active + last.gauges.connecting > 0 {
        last.tally.faults.count(Fault::Other);
        last.tally.faults.other = Some("a worker process ended before its time".to_owned());
        last.gauges = super::job::Gauges::default();
    }
    (last.done, last.spent) = (u32::MAX, true);
    drop(last);
    bell.ring();
}

/// Is such a process, until the input ends or says so.
///
/// # Errors
/// What it was told makes no sense, or it has no descriptors.
pub fn serve() -> io::Result<()> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut first = String::new();
    io::stdin().read_line(&mut first)?;
    let assignment: Assignment = serde_json::from_str(&first)?;
    let bell = Arc::<Bell>::default();
    let mut fleet = Fleet::threads(&assignment, Arc::clone(&bell))?;
    let commands = Arc::<Mutex<VecDeque<Command>>>::default();
    let (queue, ring) = (Arc::clone(&commands), Arc::clone(&bell));
    std::thread::spawn(move || {
        // Whatever ends the input ends the work.
        for line in io::stdin().lines().map_while(Result::ok) {
            let Ok(command) = serde_json::from_str(&line) else { break };
            lock(&queue).push_back(command);
            ring.ring();
        }
        lock(&queue).push_back(Command::Close);
        ring.ring();
    });
    loop {
        bell.wait(PERIOD);
        let command = lock(&commands).pop_front();
        match command {
            Some(Command::Close) => return say(&fleet.close()),
            Some(command) => {
                fleet.send(command);
                bell.ring();
            }
            None => say(&fleet.snapshot())?,
        }
    }
}

fn say(snapshot: &Snapshot) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(snapshot)?)?;
    out.flush()
}
