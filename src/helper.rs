//! Where waiting costs nobody anything: a thread that does the slow jobs of connections, one at a time.
//!
//! The one thread that serves everybody must not write to a disk, much less wait for one. A handler makes a
//! [`Job`] of that and returns it as [`Flow::Wait`](crate::protocol::Flow::Wait); what comes of it is in
//! the [`Promise`] that it keeps. An engine of one thread hands the job to a [`Helper`]; one that has a
//! thread for each connection runs it where it is.
//!
//! The queue needs no bound of its own: whoever has a job in it is not read and cannot have another.
//! No socket, no handler and no room is ever touched here.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::protocol::ConnId;

/// What is to be done. In two boxes, so that [`Flow`](crate::protocol::Flow) stays two words.
pub struct Job(Box<Box<dyn FnOnce() + Send>>);

impl Job {
    /// A job, and where its result will be.
    ///
    /// If nobody waits for the result any more, it is dropped where the job was done: closing a large file
    /// that has no name takes long too.
    pub fn new<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (Self, Promise<T>) {
        let promise = Promise(Arc::default());
        let result = Promise(Arc::clone(&promise.0));
        let job = move || {
            let value = work();
            *result.lock() = Some(value);
        };
        (Self(Box::new(Box::new(job))), promise)
    }

    /// A job without a result.
    pub fn of(work: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(Box::new(work)))
    }

    /// Does it. One that panics is over as well: its promise is not kept.
    pub fn run(self) {
        let _ = catch_unwind(AssertUnwindSafe(|| (self.0)()));
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// Where the result of a job will be.
#[derive(Debug)]
pub struct Promise<T>(Arc<Mutex<Option<T>>>);

impl<T> Promise<T> {
    /// The result: once, when the job is done. `None` then means that it could not be done.
    pub fn take(&self) -> Option<T> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread and the way to it. The thread starts with the first job and ends when this is dropped and
/// the jobs are done.
pub struct Helper {
    queue: Option<Sender<(ConnId, Job)>>,
    done: Arc<Done>,
}

/// What the helper has done and its engine has not noticed.
struct Done {
    ids: Mutex<VecDeque<ConnId>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helper").field("has_started", &self.queue.is_some()).finish_non_exhaustive()
    }
}

impl Helper {
    /// A helper that calls `wake`, from its thread, when [`Helper::done`] has something new.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { queue: None, done: Arc::new(Done { ids: Mutex::default(), wake: Box::new(wake) }) }
    }

    /// Has a job done. Without a thread, which the system may refuse, it is done here: late is better
    /// than never.
    pub fn start(&mut self, id: ConnId, job: Job) {
        if self.queue.is_none() {
            self.queue = self.spawn();
        }
        let unsent = match &self.queue {
            Some(queue) => queue.send((id, job)).err().map(|unsent| unsent.0),
            None => Some((id, job)),
        };
        if let Some((id, job)) = unsent {
            job.run();
            self.done.push(id);
        }
    }

    /// A connection whose job is done; each is named once.
    pub fn done(&self) -> Option<ConnId> {
        self.done.lock().pop_front()
    }

    fn spawn(&self) -> Option<Sender<(ConnId, Job)>> {
        let (queue, jobs) = mpsc::channel();
        let done = Arc::clone(&self.done);
        let thread = thread::Builder::new().name("helper".to_owned()).spawn(move || work(&jobs, &done));
        thread
            .inspect_err(|error| log::warn!("no helper thread, so everybody waits for the disk: {error}"))
            .ok()?;
        Some(queue)
    }
}

fn work(jobs: &Receiver<(ConnId, Job)>, done: &Done) {
    for (id, job) in jobs {
        job.run();
        done.push(id);
    }
}

impl Done {
    fn push(&self, id: ConnId) {
        self.lock().push_back(id);
        (self.wake)();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<ConnId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(key: u32) -> ConnId {
        ConnId { key, generation: 7 }
    }

    /// A helper, and what hears it wake its engine.
    fn helper() -> (Helper, Receiver<()>) {
        let (wake, woken) = mpsc::channel();
        (Helper::new(move || wake.send(()).unwrap()), woken)
    }

    #[test]
    fn jobs_are_done_in_order_and_elsewhere() {
        let (mut helper, woken) = helper();
        let (go_on, slow_disk) = mpsc::channel::<()>();
        let here = thread::current().id();
        let (slow, first) = Job::new(move || slow_disk.recv().is_ok());
        let (quick, second) = Job::new(move || thread::current().id() != here);
        helper.start(id(1), slow);
        helper.start(id(2), quick);
        assert_eq!(helper.done(), None, "nobody has waited for the slow one");
        go_on.send(()).unwrap();
        woken.recv().unwrap();
        woken.recv().unwrap();
        assert_eq!((helper.done(), helper.done(), helper.done()), (Some(id(1)), Some(id(2)), None));
        assert_eq!((first.take(), second.take()), (Some(true), Some(true)));
        assert_eq!(first.take(), None);
    }

    #[test]
    fn a_job_that_panics_is_over_and_the_next_one_is_done() {
        let (mut helper, woken) = helper();
        let (bad, broken) = Job::new(|| panic!("as this test wants it"));
        let (good, kept) = Job::new(|| 7);
        helper.start(id(1), bad);
        helper.start(id(2), good);
        woken.recv().unwrap();
        woken.recv().unwrap();
        let broken: Option<()> = broken.take();
        assert_eq!((broken, kept.take()), (None, Some(7)));
    }

    #[test]
    fn a_result_that_nobody_waits_for_is_dropped_by_the_helper() {
        struct Dropped(Sender<thread::ThreadId>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.send(thread::current().id()).unwrap();
            }
        }
        let (mut helper, woken) = helper();
        let (dropped, place) = mpsc::channel();
        let (job, promise) = Job::new(move || Dropped(dropped));
        drop(promise);
        helper.start(id(1), job);
        woken.recv().unwrap();
        assert_ne!(place.recv().unwrap(), thread::current().id());
    }
}
