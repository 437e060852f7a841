//! How it goes, while it goes: on a terminal a few lines that are drawn anew, else a line a second. It is
//! on standard error, so that standard output has the results alone.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::clock::Nanos;
use super::plan::Load;
use super::session::{Phase, Progress, to_f64};
use super::tally::Tally;
use super::text::{rate, time};
use crate::start::{Screen, grouped};

/// How often a terminal is drawn.
const REDRAW: Duration = Duration::from_millis(250);
/// How often a line is written where there is none.
const LINE: Duration = Duration::from_secs(1);

/// The view.
#[derive(Debug)]
pub struct Live {
    /// Whether it was asked to stop.
    pub(super) stop: Arc<AtomicBool>,
    quiet: bool,
    is_terminal: bool,
    title: String,
    duration: Option<Duration>,
    /// The lines on the terminal, by their widths.
    drawn: Vec<usize>,
    last: Option<Seen>,
}

/// What was there when it was drawn last.
#[derive(Debug)]
struct Seen {
    at: Instant,
    counted: Nanos,
    tally: Tally,
    busiest: Nanos,
}

impl Live {
    /// A view that shows nothing yet.
    pub fn new(stop: Arc<AtomicBool>, quiet: bool, load: &Load, duration: Option<Duration>) -> Self {
        let name = serde_json::to_string(&load.speak).unwrap_or_default();
        let title = format!("{} at {}", name.trim_matches('"'), load.target);
        let is_terminal =
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        Self { stop, quiet, is_terminal, title, duration, drawn: Vec::new(), last: None }
    }

    /// Says something that stays, before there is anything to show.
    pub(super) fn say(&self, note: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "note: {note}");
        }
    }

    /// Shows how it goes, if it is time to.
    pub(super) fn show(&mut self, progress: &Progress<'_>) {
        let period = if self.is_terminal { REDRAW } else { LINE };
        let is_due = self.last.as_ref().is_none_or(|last| last.at.elapsed() >= period);
        if self.quiet || !is_due {
            return;
        }
        let seen = Seen {
            at: Instant::now(),
            counted: progress.at,
            tally: progress.tally.clone(),
            busiest: progress.busiest,
        };
        let last = self.last.replace(seen);
        let now = Now::new(progress, last.as_ref());
        if self.is_terminal {
            self.draw(&now.lines(&self.title, self.duration));
        } else if last.is_some() {
            let _ = writeln!(std::io::stderr(), "{}", now.line());
        }
    }

    /// Takes it off the terminal.
    pub fn clear(&mut self) {
        if !self.drawn.is_empty() {
            self.draw(&[]);
        }
    }

    fn draw(&mut self, lines: &[String]) {
        let columns = Screen::of(&std::io::stderr()).columns;
        let mut out = self.back(columns);
        self.drawn.clear();
        for line in lines {
            // A line that fills the last column wraps on some terminals.
            let shown: String = line.chars().take(columns.saturating_sub(1)).collect();
            self.drawn.push(shown.chars().count());
            let _ = writeln!(out, "{shown}");
        }
        // One write: a terminal never shows half of it.
        let _ = std::io::stderr().write_all(out.as_bytes());
    }

    /// Goes back to where it began, and erases from there. A terminal that was made narrower since has
    /// wrapped the lines: they take more rows now.
    fn back(&self, columns: usize) -> String {
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns.max(1)).max(1)).sum();
        if rows == 0 { "\r\x1b[J".to_owned() } else { format!("\x1b[{rows}A\r\x1b[J") }
    }
}

/// What there is to be seen now.
struct Now<'a> {
    progress: &'a Progress<'a>,
    rate: f64,
    latency: [Nanos; 4],
    busy: f64,
}

impl<'a> Now<'a> {
    fn new(progress: &'a Progress<'a>, last: Option<&Seen>) -> Self {
        // Between two counts of the workers, not between two looks at them.
        let seconds =
            last.map_or(0.0, |last| to_f64(progress.at.saturating_sub(last.counted)) / 1e9).max(1e-3);
        let (replies, busiest) = last.map_or((0, 0), |last| (last.tally.replies, last.busiest));
        let all = &progress.tally.latency;
        Self {
            progress,
            rate: to_f64(progress.tally.replies.saturating_sub(replies)) / seconds,
            latency: [0.5, 0.99, 0.9999, 1.0]
                .map(|share| if share < 1.0 { all.quantile(share) } else { all.max() }),
            busy: to_f64(progress.busiest.saturating_sub(busiest)) / 1e9 / seconds,
        }
    }

    fn phase(&self) -> &'static str {
        match self.progress.phase {
            Phase::Connecting => "connecting",
            Phase::Driving => "driving",
            Phase::Draining => "last replies",
            Phase::Proving => "asking the idle ones",
        }
    }

    fn lines(&self, title: &str, duration: Option<Duration>) -> Vec<String> {
        let (gauges, tally) = (&self.progress.gauges, self.progress.tally);
        let of = duration.map_or_else(String::new, |all| format!(" of {:.0} s", all.as_secs_f64()));
        let [p50, p99, p9999, max] = self.latency.map(|nanos| time(to_f64(nanos) / 1000.0));
        let mut connections = format!(
            "  connections  {} active, {} idle of {}",
            grouped(gauges.active),
            grouped(gauges.idle),
            grouped(self.progress.wanted)
        );
        if gauges.connecting > 0 {
            let _ = write!(connections, ", {} connecting", grouped(gauges.connecting));
        }
        if gauges.proven > 0 {
            let _ = write!(connections, ", {} proven", grouped(gauges.proven));
        }
        let mut requests =
            format!("  requests     {:>10}  {} answered", rate(self.rate), grouped(tally.replies));
        if gauges.behind > 1 {
            let _ = write!(requests, ", {} behind", grouped(gauges.behind));
        }
        vec![
            format!("{title}  {:.0} s{of}  {}", self.progress.elapsed.as_secs_f64(), self.phase()),
            connections,
            requests,
            format!("  latency      p50 {p50}, p99 {p99}, p99.99 {p9999}, max {max}"),
            format!("  errors       {}", self.errors()),
            format!("  generator    {:.0} % busy", self.busy * 100.0),
        ]
    }

    fn errors(&self) -> String {
        let faults = &self.progress.tally.faults;
        let some: Vec<_> =
            faults.iter().map(|(fault, n)| format!("{} {}", grouped(n), fault.name())).collect();
        if some.is_empty() { "none".to_owned() } else { some.join(", ") }
    }

    fn line(&self) -> String {
        let gauges = &self.progress.gauges;
        let [p50, p99, _, max] = self.latency.map(|nanos| time(to_f64(nanos) / 1000.0));
        format!(
            "{:>5.0} s  {}  {} active  {} idle  {}  p50 {p50}  p99 {p99}  max {max}  errors: {}",
            self.progress.elapsed.as_secs_f64(),
            self.phase(),
            grouped(gauges.active),
            grouped(gauges.idle),
            rate(self.rate),
            self.errors()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Target;

    fn live(drawn: &[usize]) -> Live {
        let load = Load::new(Target { host: "h".to_owned(), port: 7 });
        let live = Live::new(Arc::default(), false, &load, None);
        Live { drawn: drawn.to_vec(), ..live }
    }

    #[test]
    fn it_is_drawn_over_itself_also_when_the_terminal_was_made_narrower() {
        assert_eq!(live(&[]).back(80), "\r\x1b[J");
        assert_eq!(live(&[70, 0, 79]).back(80), "\x1b[3A\r\x1b[J");
        assert_eq!(live(&[70, 0, 79]).back(40), "\x1b[5A\r\x1b[J", "two of them take two rows now");
    }
}
