//! How `switchboard check` tells what it found: for people while it runs, for scripts as JSON at the end.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{Case, Failure, Level};
use crate::escape::Escaped;
use crate::start::Screen;

/// How a case went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Result {
    Passed,
    Failed,
    /// It failed what is only advised.
    Warned,
    NotTried,
}

/// One case and how it went.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    name: &'static str,
    pub(super) result: Result,
    level: Level,
    about: &'static str,
    milliseconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not_tried: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Told>,
    #[serde(skip)]
    remedy: &'static str,
    #[serde(skip)]
    usual_cause: &'static str,
}

/// A failure, ready to be read.
#[derive(Debug, Serialize)]
struct Told {
    expected: String,
    sent: String,
    came: String,
    then: String,
    usual_cause: &'static str,
    remedy: &'static str,
}

impl Verdict {
    pub(super) fn new(case: &'static Case, failure: Option<Failure>, forgiven: bool, took: Duration) -> Self {
        let result = match &failure {
            None => Result::Passed,
            Some(_) if forgiven => Result::Warned,
            Some(_) => Result::Failed,
        };
        let failure = failure.map(|failure| Told {
            sent: failure.sent.to_string(),
            came: failure.came.to_string(),
            expected: failure.expected,
            then: failure.ended,
            usual_cause: case.usual_cause,
            remedy: case.remedy,
        });
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { result, milliseconds, failure, ..Self::not_tried(case, "") }.tried()
    }

    pub(super) fn not_tried(case: &'static Case, why: &'static str) -> Self {
        Self {
            name: case.name,
            result: Result::NotTried,
            level: case.level,
            about: case.about,
            milliseconds: 0,
            why_not_tried: Some(why),
            failure: None,
            remedy: case.remedy,
            usual_cause: case.usual_cause,
        }
    }

    fn tried(self) -> Self {
        Self { why_not_tried: None, ..self }
    }
}

/// How many cases went how.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    warned: usize,
    not_tried: usize,
}

impl Counts {
    pub(super) fn add(&mut self, result: Result) {
        *match result {
            Result::Passed => &mut self.passed,
            Result::Failed => &mut self.failed,
            Result::Warned => &mut self.warned,
            Result::NotTried => &mut self.not_tried,
        } += 1;
    }

    pub(super) fn tried(&self) -> usize {
        self.passed + self.failed + self.warned
    }
}

/// What JSON has of the whole run.
#[derive(Debug, Serialize)]
struct Whole<'a> {
    protocol: &'a str,
    server: &'a str,
    address: Option<SocketAddr>,
    counts: &'a Counts,
    cases: &'a [Verdict],
}

/// Writes lines as the cases go by, or gathers them for JSON.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    explain: bool,
    screen: Screen,
    protocol: &'static str,
    server: String,
    address: Option<SocketAddr>,
    verdicts: Vec<Verdict>,
}

const NAME_COLUMNS: usize = 20;

impl Report {
    pub(super) fn new(json: bool, explain: bool, screen: Screen) -> Self {
        let (server, address, verdicts) = (String::new(), None, Vec::new());
        Self { json, explain, screen, protocol: "", server, address, verdicts }
    }

    /// Says what is looked at.
    pub(super) fn begin(&mut self, protocol: &'static str, server: &str, at: SocketAddr) -> io::Result<()> {
        (self.protocol, self.server, self.address) = (protocol, server.to_owned(), Some(at));
        if self.json {
            return Ok(());
        }
        let server = Escaped::new(server.as_bytes());
        let at = if self.server == at.to_string() { String::new() } else { format!(" ({at})") };
        print(&format!("{}\n\n", self.paint(Style::new().bold(), &format!("{protocol} at {server}{at}"))))
    }

    /// Says how one case went.
    pub(super) fn case(&mut self, verdict: Verdict) -> io::Result<()> {
        if !self.json {
            print(&self.lines(&verdict))?;
        }
        self.verdicts.push(verdict);
        Ok(())
    }

    /// Says how it went altogether.
    pub(super) fn end(&self, counts: &Counts) -> io::Result<()> {
        if self.json {
            let (protocol, server, cases) = (self.protocol, self.server.as_str(), self.verdicts.as_slice());
            let whole = Whole { protocol, server, address: self.address, counts, cases };
            let text = serde_json::to_string_pretty(&whole)?;
            return print(&format!("{text}\n"));
        }
        let part = |n: usize, what: &str| if n == 0 { String::new() } else { format!(", {n} {what}") };
        let style = if counts.failed > 0 { bold(AnsiColor::Red) } else { bold(AnsiColor::Green) };
        let text = format!(
            "{} passed{}{}{}",
            counts.passed,
            part(counts.failed, "failed"),
            part(counts.warned, "advised and not done"),
            part(counts.not_tried, "not tried")
        );
        print(&format!("\n{}\n", self.paint(style, &text)))
    }

    /// What the cases want, without trying them.
    pub(super) fn explain(&mut self, protocol: &'static str, cases: &[&'static Case]) -> io::Result<()> {
        if self.json {
            self.protocol = protocol;
            self.verdicts = cases.iter().map(|case| Verdict::not_tried(case, "there is no server")).collect();
            let not_tried = cases.len();
            return self.end(&Counts { not_tried, ..Counts::default() });
        }
        for case in cases {
            let level = format!("{:?}", case.level).to_lowercase();
            let name = self.paint(Style::new().bold(), case.name);
            let wants = self.field("wants", case.about);
            let cause = self.causes(case.usual_cause, case.remedy);
            print(&format!("{name} ({level})\n{wants}{cause}\n"))?;
        }
        Ok(())
    }

    fn lines(&self, verdict: &Verdict) -> String {
        let (style, word) = match verdict.result {
            Result::Passed => (AnsiColor::Green.on_default(), "ok  "),
            Result::Failed => (bold(AnsiColor::Red), "FAIL"),
            Result::Warned => (AnsiColor::Yellow.on_default(), "hint"),
            Result::NotTried => (Style::new().dimmed(), "-   "),
        };
        let (word, name) = (self.paint(style, word), verdict.name);
        let mut text = format!("{word}  {name:NAME_COLUMNS$}  {}\n", verdict.about);
        if let Some(why) = verdict.why_not_tried {
            text += &self.field("not tried", why);
        }
        if let Some(told) = &verdict.failure {
            text += &self.field("expected", &told.expected);
            text += &self.field("sent", &told.sent);
            text += &self.field("came", &told.came);
            if !told.then.is_empty() {
                text += &self.field("then", &told.then);
            }
            text += &self.causes(told.usual_cause, told.remedy);
        } else if self.explain {
            text += &self.causes(verdict.usual_cause, verdict.remedy);
        }
        text
    }

    fn causes(&self, usual_cause: &str, remedy: &str) -> String {
        let mut text = self.field("usually", usual_cause);
        if !remedy.is_empty() {
            text += &self.field("try", remedy);
        }
        text
    }

    fn field(&self, name: &str, text: &str) -> String {
        format!("      {} {text}\n", self.paint(Style::new().dimmed(), &format!("{name:9}")))
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.screen.colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

fn bold(colour: AnsiColor) -> Style {
    colour.on_default().bold()
}

/// Written at once, for people wait for the next case. A reader that has gone is no error of the check.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
