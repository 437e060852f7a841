//! The log, on stderr: for people, or as JSON for machines.
//!
//! It never stops the loop: a line that stderr does not take at once is dropped and counted, and how
//! many were is said as soon as it takes lines again. Nothing that a peer sent can forge a line: every
//! line is bounded, and has no control characters but its own line feed.

use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};
use simple_logger::SimpleLogger;

use crate::cli::LogFormat;
use crate::show::takes_output;

mod line;

/// What other crates may log at most: theirs is a line per event.
const OTHERS: LevelFilter = LevelFilter::Warn;

/// See the module.
struct Logger {
    level: LevelFilter,
    format: LogFormat,
    text: SimpleLogger,
    dropped: AtomicU64,
}

/// Starts the log; once per process.
///
/// # Errors
/// It has been started already.
pub fn start(level: LevelFilter, format: LogFormat) -> Result<(), SetLoggerError> {
    let text = SimpleLogger::new().with_level(LevelFilter::Trace).with_utc_timestamps();
    log::set_max_level(level);
    log::set_boxed_logger(Box::new(Logger { level, format, text, dropped: AtomicU64::new(0) }))
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
        if !takes_output(std::io::stderr().as_fd()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            self.say_dropped(dropped);
            if !takes_output(std::io::stderr().as_fd()) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        self.write(record);
    }

    fn flush(&self) {}
}

impl Logger {
    fn say_dropped(&self, count: u64) {
        self.write(
            &Record::builder()
                .level(Level::Warn)
                .target(module_path!())
                .args(format_args!("{count} lines of the log were dropped: nobody read them"))
                .build(),
        );
    }

    fn write(&self, record: &Record<'_>) {
        match self.format {
            LogFormat::Text => {
                let message = line::text(record);
                let mut bounded = Record::builder();
                bounded.metadata(record.metadata().clone());
                self.text.log(&bounded.args(format_args!("{message}")).build());
            }
            LogFormat::Json => {
                let line = line::json(record, jiff::Timestamp::now());
                // A log that cannot be written has nobody to be told to.
                let _ = std::io::stderr().lock().write_all(line.as_bytes());
            }
        }
    }
}
