//! The log, on stderr: for people, or as JSON for machines.
//!
//! It never stops the loop: a line that stderr does not take at once is dropped and counted, and how
//! many were is said as soon as it takes lines again. Nothing that a peer sent can forge a line: every
//! line is bounded, and has no control characters but its own line feed.
//!
//! A line is written by one system call, its line feed included: several processes write to the same log (a
//! successor beside the one it replaces, a process for each connection), and their lines must not be glued
//! together. `simple_logger`, which needs two calls, writes to terminals only, where people watch, mostly one
//! program.
//!
//! Before that, stderr must be asked whether it takes a line. Of a connection that lives for one request that
//! would be two calls of seven: so where many lines may come at once they are [`gathered`], and written together.

use std::cell::Cell;
use std::fmt::Arguments;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};
use memchr::memchr_iter;
use rustix::fs::FileType;
use simple_logger::SimpleLogger;

use crate::cli::LogFormat;
use crate::limits;
use crate::mutation::{Mutant, is_planted};
use crate::show::takes_output;

mod line;

/// What other crates may log at most: theirs is a line per event.
const OTHERS: LevelFilter = LevelFilter::Warn;

/// See the module.
struct Logger {
    level: LevelFilter,
    format: LogFormat,
    /// Who writes to people in front of a terminal.
    terminal: Option<SimpleLogger>,
    /// Whether a line can be written without waiting.
    ready: fn() -> bool,
    /// Lines that are being gathered.
    gathered: Mutex<Vec<u8>>,
    dropped: AtomicU64,
}

thread_local! {
    static GATHERS: Cell<bool> = const { Cell::new(false) };
}

/// Has the lines that this thread logs during `work` written together when it is done: as many with one
/// call as a pipe takes whole.
pub fn gathered<T>(work: impl FnOnce() -> T) -> T {
    /// So that a panic in between does not keep later lines back.
    struct Gathering;

    impl Drop for Gathering {
        fn drop(&mut self) {
            GATHERS.set(false);
            log::logger().flush();
        }
    }

    GATHERS.set(true);
    let _gathering = Gathering;
    work()
}

/// Starts the log; once per process.
///
/// # Errors
/// It has been started already.
pub fn start(level: LevelFilter, format: LogFormat) -> Result<(), SetLoggerError> {
    log::set_max_level(level);
    // A file on a disk takes every line, be it slowly: there is nothing to ask.
    let is_file = rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    let ready = if is_file { || true } else { || takes_output(std::io::stderr().as_fd()) };
    let mut logger = Logger::new(level, format, ready);
    if format == LogFormat::Text && std::io::stderr().is_terminal() {
        logger.terminal = Some(SimpleLogger::new().with_level(LevelFilter::Trace).with_utc_timestamps());
    }
    log::set_boxed_logger(Box::new(logger))
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with(env!("CARGO_PKG_NAME"));
        metadata.level() <= if ours { self.level } else { self.level.min(OTHERS) }
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if GATHERS.get() {
            self.gather(record);
        } else if !(self.catch_up() && self.write(record)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {
        self.write_gathered(&mut self.gathered());
    }
}

impl Logger {
    fn new(level: LevelFilter, format: LogFormat, ready: fn() -> bool) -> Self {
        Self { level, format, terminal: None, ready, gathered: Mutex::default(), dropped: AtomicU64::new(0) }
    }

    /// Keeps a line until there is a pipeful of them, or the end.
    fn gather(&self, record: &Record<'_>) {
        let line = self.line(record);
        let mut gathered = self.gathered();
        if gathered.len() + line.len() > limits::LOG_LINE {
            self.write_gathered(&mut gathered);
        }
        gathered.extend_from_slice(line.as_bytes());
    }

    /// A whole line, its line feed included.
    fn line(&self, record: &Record<'_>) -> String {
        let now = jiff::Timestamp::now();
        match self.format {
            LogFormat::Text => line::framed(record, now),
            LogFormat::Json => line::json(record, now),
        }
    }

    /// Writes what was gathered, which is no more than a pipe takes whole.
    fn write_gathered(&self, gathered: &mut Vec<u8>) {
        if gathered.is_empty() {
            return;
        }
        let said = self.catch_up() && (self.ready)() && std::io::stderr().lock().write_all(gathered).is_ok();
        if !said {
            let lost = memchr_iter(b'\n', gathered).count();
            self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        }
        gathered.clear();
    }

    fn gathered(&self) -> MutexGuard<'_, Vec<u8>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many lines were dropped, if any were; false if that has to wait.
    fn catch_up(&self) -> bool {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped == 0 {
            return true;
        }
        let said = self.write(
            &Record::builder()
                .level(Level::Warn)
                .target(module_path!())
                .args(format_args!("{dropped} lines of the log were dropped: stderr did not take them"))
                .build(),
        );
        if !said {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        said
    }

    /// Writes a line; false if stderr does not take it.
    fn write(&self, record: &Record<'_>) -> bool {
        if !(self.ready)() {
            return false;
        }
        let Some(terminal) = &self.terminal else {
            let written = std::io::stderr().lock().write_all(self.line(record).as_bytes()).is_ok();
            assert!(written || !is_planted(Mutant::LogInsists), "the log cannot be written");
            return written;
        };
        let message = line::text(record);
        // simple_logger panics where stderr fails, and a terminal that is gone must not end the daemon.
        let write = || write_text(terminal, record.metadata(), format_args!("{message}"));
        catch_unwind(AssertUnwindSafe(write)).is_ok()
    }
}

fn write_text(logger: &SimpleLogger, metadata: &Metadata<'_>, message: Arguments<'_>) {
    logger.log(&Record::builder().metadata(metadata.clone()).args(message).build());
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn log(logger: &Logger, target: &str, level: Level) {
        logger.log(&Record::builder().level(level).target(target).args(format_args!("a line")).build());
    }

    #[test]
    fn lines_that_nobody_takes_are_counted_until_that_can_be_said() {
        static READY: AtomicBool = AtomicBool::new(false);
        let logger = Logger::new(LevelFilter::Info, LogFormat::Json, || READY.load(Ordering::Relaxed));
        let dropped = || logger.dropped.load(Ordering::Relaxed);
        log(&logger, "switchboard::test", Level::Info);
        log(&logger, "switchboard::test", Level::Debug);
        assert_eq!(dropped(), 1, "what is not logged is not dropped");
        log(&logger, "switchboard::test", Level::Info);
        assert_eq!(dropped(), 2);
        READY.store(true, Ordering::Relaxed);
        log(&logger, "switchboard::test", Level::Info);
        assert_eq!(dropped(), 0);
    }

    #[test]
    fn what_is_gathered_waits_for_the_end_or_for_a_pipeful() {
        static READY: AtomicBool = AtomicBool::new(false);
        for format in [LogFormat::Text, LogFormat::Json] {
            let logger = Logger::new(LevelFilter::Info, format, || READY.load(Ordering::Relaxed));
            let (waiting, dropped) = (|| logger.gathered().len(), || logger.dropped.load(Ordering::Relaxed));
            gathered(|| (0..3).for_each(|_| log(&logger, "switchboard::test", Level::Info)));
            assert!(waiting() > 100, "{}", String::from_utf8_lossy(&logger.gathered()));
            logger.flush();
            assert_eq!((waiting(), dropped()), (0, 3), "each of them is counted");
            gathered(|| (0..100).for_each(|_| log(&logger, "switchboard::test", Level::Info)));
            assert!(waiting() <= limits::LOG_LINE && dropped() > 3);
        }
    }

    #[test]
    fn other_crates_are_heard_when_something_is_wrong() {
        let logger = Logger::new(LevelFilter::Trace, LogFormat::Text, || true);
        let enabled =
            |target, level| logger.enabled(&Metadata::builder().target(target).level(level).build());
        assert!(enabled("switchboard::bind", Level::Trace));
        assert!(!enabled("mio::poll", Level::Info));
        assert!(enabled("mio::poll", Level::Warn));
    }
}
