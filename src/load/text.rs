//! The report, for people.

use std::fmt::Write as _;

use super::plan::Rising;
use super::ramp::{GaveWay, RampReport};
use super::report::Report;
use super::tally::Summary;
use super::watch::ServerUse;
use crate::start::{Screen, grouped};

/// Where what is said about a name begins.
const NAME: usize = 13;

/// Writes it all down.
pub fn of(report: &Report, screen: &Screen) -> String {
    let mut text = Text { out: String::new(), colours: screen.colours, columns: screen.columns };
    text.head(report);
    text.traffic(report);
    text.latencies(report);
    text.connections(report);
    if let Some(server) = &report.server {
        text.server(server);
    }
    text.generator(report);
    if let Some(ramp) = &report.ramp {
        text.ramp(ramp);
    }
    text.errors(report);
    text.out
}

/// Microseconds, in the unit that suits them.
pub fn time(us: f64) -> String {
    match us {
        us if us < 10.0 => format!("{us:.2} us"),
        us if us < 1000.0 => format!("{us:.0} us"),
        us if us < 10_000.0 => format!("{:.2} ms", us / 1e3),
        us if us < 1e6 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

/// Bytes, in the unit that suits them.
pub fn bytes(n: f64) -> String {
    match n {
        n if n < 10e3 => format!("{n:.0} B"),
        n if n < 10e6 => format!("{:.0} kB", n / 1e3),
        n if n < 10e9 => format!("{:.0} MB", n / 1e6),
        n => format!("{:.1} GB", n / 1e9),
    }
}

/// A rate, to the precision that it has.
pub fn rate(n: f64) -> String {
    if n < 100.0 { format!("{n:.1}/s") } else { format!("{}/s", grouped(whole(n))) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and it saturates")]
fn whole(n: f64) -> u64 {
    n.round() as u64
}

struct Text {
    out: String,
    colours: bool,
    columns: usize,
}

impl Text {
    fn head(&mut self, report: &Report) {
        let load = &report.load;
        let loop_kind = match (load.rate, load.churn) {
            _ if load.active == 0 && report.ramp.is_none() => "held".to_owned(),
            (Some(asked), _) => format!("open loop at {}", rate(asked)),
            (None, true) => "connect, request, close".to_owned(),
            (None, false) => "closed loop".to_owned(),
        };
        let name = serde_json::to_string(&load.speak).unwrap_or_default();
        let udp = if load.transport == "udp" { " over UDP" } else { "" };
        let how_long = if report.interrupted { ", interrupted" } else { "" };
        let line = format!(
            "{}{udp} at {}: {loop_kind}, {:.1} s{how_long}; {}",
            name.trim_matches('"'),
            load.address,
            report.seconds,
            load.exchange
        );
        let (on, off) = self.style("1");
        let _ = writeln!(self.out, "{on}{line}{off}\n");
    }

    fn traffic(&mut self, report: &Report) {
        let requests = &report.requests;
        if report.load.active == 0 && report.ramp.is_none() {
            return;
        }
        let verified = match (report.wrong.is_empty(), report.load.verified) {
            (_, false) => "not verified",
            (true, true) => "every byte right",
            (false, true) => "WRONG BYTES, see below",
        };
        let what = if report.ramp.is_some() { "last step" } else { "requests" };
        let line = format!(
            "{} of {} answered, {}, {verified}",
            grouped(requests.answered),
            grouped(requests.sent),
            rate(requests.rate)
        );
        self.line(what, &line);
        if requests.deliveries > 0 {
            let line = format!("{}, {}", grouped(requests.deliveries), rate(requests.deliveries_rate));
            self.line("deliveries", &line);
        }
        let seconds = report.seconds.max(1e-9);
        let each = |n: u64| {
            let n = super::session::to_f64(n);
            format!("{}, {}/s", bytes(n), bytes(n / seconds))
        };
        let line = format!("{} out; {} in", each(report.bytes.sent), each(report.bytes.received));
        self.line("bytes", &line);
    }

    fn latencies(&mut self, report: &Report) {
        let rows: Vec<(&str, &Summary)> = [
            ("latency", &report.latency_us),
            ("once sent", &report.service_us),
            ("sent late", &report.lateness_us),
            ("connecting", &report.connect_us),
        ]
        .into_iter()
        .filter_map(|(name, summary)| Some((name, summary.as_ref()?)))
        .collect();
        if rows.is_empty() {
            return;
        }
        let all = ["min", "p50", "p75", "p90", "p99", "p99.9", "p99.99", "max"];
        let narrow = self.columns < NAME + 2 + all.len() * 10;
        let is_shown = |name: &str| !narrow || !matches!(name, "min" | "p75" | "p90");
        let cells = |values: [String; 8]| {
            let shown = values.into_iter().zip(all).filter(|(_, name)| is_shown(name));
            shown.fold(String::new(), |line, (value, _)| format!("{line}{value:>10}"))
        };
        let _ = writeln!(self.out);
        self.line("", &cells(all.map(str::to_owned)));
        for (name, s) in rows {
            let values = [s.min, s.p50, s.p75, s.p90, s.p99, s.p99_9, s.p99_99, s.max].map(time);
            self.line(name, &cells(values));
        }
        let _ = writeln!(self.out);
    }

    fn connections(&mut self, report: &Report) {
        let c = &report.connections;
        let sources = if c.sources > 1 {
            format!(" from {} addresses", grouped(c.sources.into()))
        } else {
            String::new()
        };
        if c.made > 0 {
            self.line("connections", &format!("{} made{sources}", grouped(c.made)));
        }
        if c.idle_asked {
            let line = format!(
                "{} of {} held, {} alive at the end",
                grouped(c.idle_made),
                grouped(c.idle_wanted),
                grouped(c.idle_proven)
            );
            self.line("idle", &line);
        }
    }

    fn server(&mut self, server: &ServerUse) {
        let per =
            |n: Option<f64>, what: &str| n.map_or_else(String::new, |n| format!(", {n:.1} {what} a request"));
        let line = format!(
            "pid {}: {:.0} % of a core{}; {} switches/s{}",
            server.pid,
            server.cpu_share * 100.0,
            per(server.cpu_us_per_reply, "us"),
            grouped(whole(server.switches_per_second)),
            server.switches_per_reply.map_or_else(String::new, |n| format!(", {n:.2} a request")),
        );
        self.line("server", &line);
        let plural =
            |n: u64, one: &str, many: &str| format!("{} {}", grouped(n), if n == 1 { one } else { many });
        let idle = server
            .pss_per_idle
            .map_or_else(String::new, |n| format!(", {} more per idle connection", bytes(n)));
        let line = format!(
            "{}, {}; RSS {}, PSS {}{idle}",
            plural(server.processes, "process", "processes"),
            plural(server.threads, "thread", "threads"),
            bytes(super::session::to_f64(server.rss)),
            bytes(super::session::to_f64(server.pss)),
        );
        self.line("", &line);
    }

    fn generator(&mut self, report: &Report) {
        let g = &report.generator;
        let plural = |n: u32, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        let processes =
            if g.processes > 1 { format!(" in {} processes", g.processes) } else { String::new() };
        let line = format!(
            "{}{processes}, {:.0} % busy, {:.2} s of processor time",
            plural(g.workers, "thread"),
            g.busiest * 100.0,
            g.cpu_seconds
        );
        self.line("generator", &line);
        for warning in &report.warnings {
            self.wrapped("warning", warning, "33");
        }
    }

    fn ramp(&mut self, ramp: &RampReport) {
        let _ = writeln!(self.out);
        self.line(
            "",
            &format!("{:>11} {:>12} {:>10} {:>10} {:>8}", "connections", "rate", "p50", "p99", "errors"),
        );
        for step in &ramp.steps {
            let cell =
                |of: fn(&Summary) -> f64| step.latency.as_ref().map_or("-".to_owned(), |s| time(of(s)));
            let line = format!(
                "{:>11} {:>12} {:>10} {:>10} {:>8}",
                grouped(step.connections.into()),
                rate(step.rate),
                cell(|s| s.p50),
                cell(|s| s.p99),
                grouped(step.errors)
            );
            self.line(if Some(step.connections) == ramp.knee { "knee" } else { "" }, &line);
        }
        let _ = writeln!(self.out);
        self.wrapped("gave way", &gave_way(ramp), "1");
    }

    fn errors(&mut self, report: &Report) {
        if !report.errors.is_empty() {
            let _ = writeln!(self.out);
        }
        for error in &report.errors {
            let text = format!("{}: {}", grouped(error.count), error.meaning);
            let style = if error.kind.is_wrong() { "1;31" } else { "31" };
            self.wrapped(error.kind.name(), &text, style);
        }
        for wrong in &report.wrong {
            let note = if wrong.note.is_empty() { String::new() } else { format!("; {}", wrong.note) };
            let text = format!(
                "connection {} ({}), reply {}, byte {}: expected {}, came {}{note}",
                wrong.connection, wrong.local, wrong.reply, wrong.offset, wrong.expected, wrong.came
            );
            self.wrapped("wrong", &text, "1;31");
        }
    }

    fn line(&mut self, name: &str, text: &str) {
        let (on, off) = if name.is_empty() { ("", "") } else { self.style("36") };
        let line = format!("  {on}{name:<NAME$}{off} {text}");
        let _ = writeln!(self.out, "{}", line.trim_end());
    }

    /// A text that may be long, in lines of the terminal's width.
    fn wrapped(&mut self, name: &str, text: &str, style: &str) {
        let width = self.columns.min(110).saturating_sub(NAME + 8).max(30);
        let (on, off) = self.style(style);
        // Kinds of failure have longer names than figures.
        let name_width = NAME.max(name.chars().count());
        let mut first = Some(format!("  {on}{name:<name_width$}{off} "));
        let mut line = String::new();
        for word in text.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                self.put(&mut first, &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.put(&mut first, &line);
    }

    fn put(&mut self, first: &mut Option<String>, line: &str) {
        let before = first.take().unwrap_or_else(|| " ".repeat(NAME + 3));
        let _ = writeln!(self.out, "{before}{line}");
    }

    fn style(&self, code: &str) -> (&'static str, &'static str) {
        if !self.colours {
            return ("", "");
        }
        let on = match code {
            "1" => "\x1b[1m",
            "31" => "\x1b[31m",
            "1;31" => "\x1b[1;31m",
            "33" => "\x1b[33m",
            _ => "\x1b[36m",
        };
        (on, "\x1b[0m")
    }
}

fn gave_way(ramp: &RampReport) -> String {
    let at = grouped(ramp.at.into());
    let kind = if ramp.rising == Rising::Idle { "idle connections" } else { "connections" };
    let what = match ramp.gave_way {
        GaveWay::Nothing => format!("nothing, up to {at} {kind}"),
        GaveWay::Rate => format!("the rate: up to {at} {kind}, more of them brought no more replies"),
        GaveWay::Latency => format!("latency: at {at} {kind} the p99 is more than --max-latency allows"),
        GaveWay::Errors(fault) => {
            format!("the server, at {at} {kind}: {}; {}", fault.name(), fault.meaning())
        }
        GaveWay::Generator(fault) => {
            format!("this machine, not the server, at {at} {kind}: {}; {}", fault.name(), fault.meaning())
        }
        GaveWay::Interrupted => format!("nothing; interrupted at {at} {kind}"),
    };
    match ramp.knee {
        Some(knee) if ramp.rising == Rising::Active => {
            format!("{what}. The knee is at {}: beyond it, only the latency grows", grouped(knee.into()))
        }
        Some(knee) => format!("{what}. All was well with {}", grouped(knee.into())),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_suits_them() {
        let times = [0.5, 12.0, 1234.0, 56_789.0, 2_500_000.0].map(time);
        assert_eq!(times, ["0.50 us", "12 us", "1.23 ms", "57 ms", "2.50 s"]);
        assert_eq!([94.0, 123_456.0, 12e6, 34e9].map(bytes), ["94 B", "123 kB", "12 MB", "34.0 GB"]);
        assert_eq!([3.25, 123_456.7].map(rate), ["3.2/s", "123,457/s"]);
    }
}
