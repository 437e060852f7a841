//! All workers of a run: threads of this process, or, past its limit on descriptors, of others.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Poll, Waker};
use serde::{Deserialize, Serialize};

use super::job::{Command, Job, Snapshot};
use super::mailbox::{Bell, Mailbox};
use super::process::Process;
use super::worker::{self, Worker};

/// What one process is to do: some of the workers of a run, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Assignment {
    pub(super) job: Job,
    pub(super) threads: u32,
}

/// The workers, led as one.
#[derive(Debug)]
pub(super) struct Fleet {
    threads: Vec<(Arc<Mailbox>, JoinHandle<()>)>,
    processes: Vec<Process>,
    bell: Arc<Bell>,
    /// Commands given so far.
    given: u32,
}

impl Fleet {
    /// Starts `job.workers` workers, in this process or in `processes` others.
    pub(super) fn start(job: &Job, processes: u32) -> io::Result<Self> {
        if processes <= 1 {
            return Self::threads(&Assignment { job: job.clone(), threads: job.workers }, Arc::default());
        }
        Self::apart(job, processes)
    }

    /// Starts them in `processes` others, also if that is one.
    pub(super) fn apart(job: &Job, processes: u32) -> io::Result<Self> {
        let bell = Arc::<Bell>::default();
        let threads = job.workers / processes.max(1);
        let start = |n: u32| {
            let job = Job { index: n * threads, ..job.clone() };
            Process::start(&Assignment { job, threads }, Arc::clone(&bell))
        };
        let processes = (0..processes).map(start).collect::<io::Result<_>>()?;
        Ok(Self { threads: Vec::new(), processes, bell, given: 0 })
    }

    /// Starts the workers of one process.
    pub(super) fn threads(assignment: &Assignment, bell: Arc<Bell>) -> io::Result<Self> {
        let mut threads = Vec::new();
        for n in 0..assignment.threads {
            let job = Job { index: assignment.job.index + n, ..assignment.job.clone() };
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), worker::WAKE)?;
            let mailbox = Arc::new(Mailbox::new(waker, Arc::clone(&bell)));
            let worker = Worker::new(job, poll, Arc::clone(&mailbox))?;
            let name = format!("load-{n}");
            let handle = std::thread::Builder::new().name(name).spawn(move || worker.run())?;
            threads.push((mailbox, handle));
        }
        Ok(Self { threads, processes: Vec::new(), bell, given: 0 })
    }

    /// Tells all of them.
    pub(super) fn send(&mut self, command: Command) {
        self.given += 1;
        self.threads.iter().for_each(|(mailbox, _)| mailbox.send(command));
        self.processes.iter_mut().for_each(|process| process.send(command));
    }

    /// How it goes: the sum of all.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut sum = Snapshot::none();
        self.threads.iter().for_each(|(mailbox, _)| mailbox.add_to(&mut sum));
        self.processes.iter().for_each(|process| process.add_to(&mut sum));
        sum
    }

    /// Whether all have done all that they were told.
    pub(super) fn is_done(&self, snapshot: &Snapshot) -> bool {
        snapshot.done >= self.given
    }

    /// Waits until there is news, but no longer than this.
    pub(super) fn wait(&self, at_most: Duration) {
        self.bell.wait(at_most);
    }

    /// Closes everything, and says how it went in the end.
    pub(super) fn close(mut self) -> Snapshot {
        self.send(Command::Close);
        for (mailbox, handle) in &mut self.threads.iter_mut().map(|(mailbox, handle)| (mailbox, handle)) {
            while !handle.is_finished() {
                mailbox.send(Command::Close);
                self.bell.wait(Duration::from_millis(50));
            }
        }
        self.processes.iter_mut().for_each(Process::finish);
        self.snapshot()
    }
}
