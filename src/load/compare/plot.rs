//! Plots as SVG, made by hand: they take the page's own colours, so that one drawing is right in the light
//! and in the dark, and their words stay text. As files they bring the same rules along.

use std::fmt::Write as _;

use super::report::Comparison;
use crate::load::text::time;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 50.0;

/// Colours that are told apart also by who does not see all of them, in the light and in the dark; the page
/// has the same.
pub(super) const STYLE: &str = "\
.plot{font:13px system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif;fill:var(--ink,#17212b)}\
.plot .soft{fill:var(--soft,#5a6875)}.plot .title{font-weight:600;font-size:15px}\
.plot .grid{stroke:var(--line,#dde3ea);stroke-width:1}.plot .axis{stroke:var(--soft,#5a6875);stroke-width:1}\
.plot .s{fill:none;stroke-width:2.25;stroke-linejoin:round}.plot .bar{stroke-width:1.5}\
.c0{stroke:#0a6cc9}.d0{fill:#0a6cc9}.c1{stroke:#c2410c}.d1{fill:#c2410c}.c2{stroke:#0f8a5f}.d2{fill:#0f8a5f}\
.c3{stroke:#9333b8}.d3{fill:#9333b8}.c4{stroke:#8a6d00}.d4{fill:#8a6d00}.c5{stroke:#64748b}.d5{fill:#64748b}\
@media(prefers-color-scheme:dark){.plot{fill:var(--ink,#e2e9f0)}.plot .soft{fill:var(--soft,#95a3b1)}\
.plot .grid{stroke:var(--line,#2b3642)}.plot .axis{stroke:var(--soft,#95a3b1)}\
.c0{stroke:#58a6ff}.d0{fill:#58a6ff}.c1{stroke:#ff8a4c}.d1{fill:#ff8a4c}.c2{stroke:#3fca8f}.d2{fill:#3fca8f}\
.c3{stroke:#d08bf0}.d3{fill:#d08bf0}.c4{stroke:#e0bd3c}.d4{fill:#e0bd3c}.c5{stroke:#a0aec0}.d5{fill:#a0aec0}}";

/// How many colours there are.
const COLOURS: usize = 6;

/// A drawing.
#[derive(Debug)]
pub(super) struct Plot {
    /// What its file is called.
    pub(super) name: &'static str,
    /// What is said below it.
    pub(super) caption: String,
    body: String,
}

impl Plot {
    /// As a part of a page.
    pub(super) fn inline(&self) -> String {
        format!(
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">{}</svg>",
            escaped(&self.caption),
            self.body
        )
    }

    /// As a file.
    pub(super) fn file(&self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}.page{{fill:#fff}}@media(prefers-color-scheme:dark){{.page{{fill:#161d25}}}}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\" rx=\"10\"/>\n{}</svg>\n",
            escaped(&self.caption),
            self.body
        )
    }
}

/// A line of a plot: where it is, and how far its points may be off.
struct Line {
    colour: usize,
    name: String,
    /// x, y, and the ends of y's interval.
    points: Vec<(f64, f64, f64, f64)>,
    /// Points are marked.
    marked: bool,
}

/// Every plot for which there are figures.
pub(super) fn all(comparison: &Comparison) -> Vec<Plot> {
    [rates(comparison), memory(comparison), latencies(comparison), costs(comparison)]
        .into_iter()
        .flatten()
        .collect()
}

fn lines(
    comparison: &Comparison,
    points: impl Fn(&str) -> Vec<(f64, f64, f64, f64)>,
    marked: bool,
) -> Vec<Line> {
    let named = comparison.contestants.iter().enumerate().map(|(at, contestant)| Line {
        colour: at % COLOURS,
        name: contestant.name.clone(),
        points: points(&contestant.name),
        marked,
    });
    named.filter(|line| !line.points.is_empty()).collect()
}

fn rates(comparison: &Comparison) -> Option<Plot> {
    let points = |name: &str| {
        let rows = comparison.rows.iter().filter(|row| row.group == "echo");
        let cells =
            rows.filter_map(|row| Some((row, row.cells.iter().find(|cell| cell.contestant == name)?)));
        cells
            .filter_map(|(row, cell)| {
                cell.rate.map(|rate| (f64::from(row.active), rate.median, rate.low, rate.high))
            })
            .collect()
    };
    let lines = lines(comparison, points, true);
    let axes = Axes::around(&lines, "connections (log)", "echoes a second", (Scale::Log, Scale::Zero))?;
    let caption = format!(
        "Echoes a second over the number of connections; where a line ends, the server gave up. Bars are intervals of the median (coverage {}).",
        comparison.coverage_text()
    );
    Some(axes.draw("rate", &caption, "Echo rate over connections", &lines, &plain))
}

fn costs(comparison: &Comparison) -> Option<Plot> {
    let points = |name: &str| {
        let rows = comparison.rows.iter().filter(|row| row.group == "echo");
        let cells =
            rows.filter_map(|row| Some((row, row.cells.iter().find(|cell| cell.contestant == name)?)));
        cells
            .filter(|(_, cell)| cell.failure.is_none())
            .filter_map(|(row, cell)| {
                let cpu = cell.cpu_us.filter(|cpu| *cpu > 0.0)?;
                Some((f64::from(row.active), cpu, cpu, cpu))
            })
            .collect()
    };
    let lines = lines(comparison, points, true);
    let axes = Axes::around(&lines, "connections (log)", "CPU of an echo (log)", (Scale::Log, Scale::Log))?;
    let caption = "Processor time of the server for an echo, its kernel's part included.";
    Some(axes.draw("cpu", caption, "CPU over connections", &lines, &short_time))
}

/// A time at a line across: these are round.
fn short_time(us: f64) -> String {
    time(us).replacen(".00 ", " ", 1)
}

fn memory(comparison: &Comparison) -> Option<Plot> {
    let points = |name: &str| {
        let rows = comparison.memory.iter();
        let cells =
            rows.filter_map(|row| Some((row, row.cells.iter().find(|cell| cell.contestant == name)?)));
        let values = cells.filter_map(|(row, cell)| {
            let total = cell.pss? * f64::from(row.connections);
            (total > 0.0).then_some((f64::from(row.connections), total, total, total))
        });
        values.collect()
    };
    let lines = lines(comparison, points, true);
    let axes = Axes::around(
        &lines,
        "idle connections (log)",
        "memory of the server (log)",
        (Scale::Log, Scale::Log),
    )?;
    let caption = "Memory that idle connections add to the server's processes (PSS), the kernel's part left out. Where they fit into what it had, there is no point.";
    Some(axes.draw("memory", caption, "Memory over idle connections", &lines, &size))
}

fn latencies(comparison: &Comparison) -> Option<Plot> {
    // The load with the most contestants that bear it; of those, the one with the most connections.
    let echo = comparison.rows.iter().filter(|row| row.group == "echo");
    let alive =
        |row: &&super::report::Row| (row.cells.iter().filter(|cell| cell.rate.is_some()).count(), row.active);
    let common = echo.clone().filter(|row| row.active > 1).max_by_key(alive);
    let row = common.or_else(|| echo.max_by_key(alive))?;
    let points = |name: &str| {
        let cell = row.cells.iter().find(|cell| cell.contestant == name && cell.failure.is_none());
        let curve = cell.map(|cell| cell.latency_curve.as_slice()).unwrap_or_default();
        curve.iter().map(|&(share, us)| (1.0 / (1.0 - share), us, us, us)).collect()
    };
    let lines = lines(comparison, points, false);
    let axes = Axes::around(
        &lines,
        "share of the echoes that were as fast",
        "latency (log)",
        (Scale::Share, Scale::Log),
    )?;
    let caption = format!("Latency distribution: {}. To the right are the rare slow ones.", row.title);
    Some(axes.draw("latency", &caption, &format!("Latency, {}", row.title), &lines, &short_time))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// From zero on.
    Zero,
    Log,
    /// Logarithmic in 1 / (1 - share).
    Share,
}

struct Axes {
    x: (f64, f64, Scale),
    y: (f64, f64, Scale),
    x_name: &'static str,
    y_name: &'static str,
}

impl Axes {
    fn around(
        lines: &[Line],
        x_name: &'static str,
        y_name: &'static str,
        scales: (Scale, Scale),
    ) -> Option<Self> {
        let points = || lines.iter().flat_map(|line| &line.points);
        let ends = |values: &mut dyn Iterator<Item = f64>| {
            values.fold(None, |ends: Option<(f64, f64)>, value| {
                let (low, high) = ends.unwrap_or((value, value));
                Some((low.min(value), high.max(value)))
            })
        };
        let x = ends(&mut points().map(|point| point.0))?;
        let y = ends(&mut points().flat_map(|point| [point.2, point.3]))?;
        let wide = |(low, high): (f64, f64), scale| match scale {
            Scale::Zero => (0.0, high.max(1e-9) * 1.06),
            Scale::Share => (low, high.max(low * 10.0)),
            Scale::Log => {
                let (low, high) = (low.max(1e-9), high.max(1e-9));
                (low * 0.8, if high > low * 2.0 { high * 1.25 } else { low * 10.0 })
            }
        };
        let (x, y) = (wide(x, scales.0), wide(y, scales.1));
        Some(Self { x: (x.0, x.1, scales.0), y: (y.0, y.1, scales.1), x_name, y_name })
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let place = |value: f64, (low, high, scale): (f64, f64, Scale)| match scale {
            Scale::Zero => (value - low) / (high - low),
            _ => (value.max(1e-9) / low).ln() / (high / low).ln(),
        };
        let across = LEFT + place(x, self.x) * (WIDTH - LEFT - RIGHT);
        (across, HEIGHT - BOTTOM - place(y, self.y) * (HEIGHT - TOP - BOTTOM))
    }

    fn draw(
        &self,
        name: &'static str,
        caption: &str,
        title: &str,
        lines: &[Line],
        unit: &dyn Fn(f64) -> String,
    ) -> Plot {
        let mut body = String::new();
        let _ = writeln!(body, "<text class=\"title\" x=\"{LEFT}\" y=\"20\">{}</text>", escaped(title));
        self.frame(&mut body, unit);
        for line in lines {
            self.line(&mut body, line);
        }
        legend(&mut body, lines);
        Plot { name, caption: caption.to_owned(), body }
    }

    fn frame(&self, body: &mut String, unit: &dyn Fn(f64) -> String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for value in ticks(self.y) {
            let (_, y) = self.at(self.x.0, value);
            let _ = writeln!(
                body,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.5,
                escaped(&unit(value))
            );
        }
        for value in ticks(self.x) {
            let (x, _) = self.at(value, self.y.1);
            let said = if self.x.2 == Scale::Share { share(value) } else { plain(value) };
            let _ = writeln!(
                body,
                "<path class=\"axis\" d=\"M{x:.1} {bottom}v5\"/><text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{said}</text>",
                bottom + 20.0
            );
        }
        let _ = writeln!(
            body,
            "<path class=\"axis\" d=\"M{LEFT} {bottom}H{right}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 8.0,
            self.x_name
        );
        let _ = writeln!(
            body,
            "<text class=\"soft\" x=\"{right}\" y=\"20\" text-anchor=\"end\">{}</text>",
            self.y_name
        );
    }

    fn line(&self, body: &mut String, line: &Line) {
        let mut path = String::new();
        for (at, point) in line.points.iter().enumerate() {
            let (x, y) = self.at(point.0, point.1);
            let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { "M" } else { "L" });
            let (low, high) = (self.at(point.0, point.2).1, self.at(point.0, point.3).1);
            if (low - high).abs() > 1.0 {
                let _ =
                    writeln!(body, "<path class=\"bar c{}\" d=\"M{x:.1} {low:.1}V{high:.1}\"/>", line.colour);
            }
            if line.marked {
                let _ = writeln!(
                    body,
                    "<circle class=\"d{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{}</title></circle>",
                    line.colour,
                    escaped(&line.name)
                );
            }
        }
        let _ = writeln!(body, "<path class=\"s c{}\" d=\"{path}\"/>", line.colour);
    }
}

/// The names, on a row below the title.
fn legend(body: &mut String, lines: &[Line]) {
    let mut x = LEFT + 10.0;
    for line in lines {
        let name: String = line.name.chars().take(16).collect();
        let _ = writeln!(
            body,
            "<path class=\"s c{}\" d=\"M{x:.1} 40h16\"/><text x=\"{:.1}\" y=\"44.5\">{}</text>",
            line.colour,
            x + 22.0,
            escaped(&name)
        );
        x += 42.0 + 7.4 * f64::from(u8::try_from(name.chars().count()).unwrap_or(16));
    }
}

/// Where lines are drawn across.
fn ticks((low, high, scale): (f64, f64, Scale)) -> Vec<f64> {
    if scale == Scale::Zero {
        let rough = (high - low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|&step| step >= rough);
        let step = step.unwrap_or(power);
        return (0..12).map(|n| f64::from(n) * step).filter(|&value| value <= high).collect();
    }
    let decades: Vec<f64> = (-3..16).map(|n| 10_f64.powi(n)).collect();
    let finer: &[f64] = if high / low < 30.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let all = decades.iter().flat_map(|decade| finer.iter().map(move |n| n * decade));
    all.filter(|&value| value >= low * 0.999 && value <= high * 1.001).collect()
}

/// 90 %, 99 %, as 1 / (1 - share).
fn share(value: f64) -> String {
    let percent = 100.0 * (1.0 - 1.0 / value);
    let text = format!("{percent:.4}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and it saturates")]
fn plain(value: f64) -> String {
    match value.round() as u64 {
        n if n >= 10_000 && n % 1000 == 0 => format!("{}k", n / 1000),
        n => crate::start::grouped(n),
    }
}

/// Bytes of a line across: a power of ten, so whole in its unit.
fn size(bytes: f64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{} B", plain(bytes)),
        |(unit, name)| format!("{} {name}", plain(bytes / unit)),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks((0.0, 210.0, Scale::Zero)), [0.0, 50.0, 100.0, 150.0, 200.0]);
        assert_eq!(ticks((0.8, 5000.0, Scale::Log)), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(share(10.0), "90 %");
        assert_eq!((share(1000.0).as_str(), plain(50_000.0).as_str()), ("99.9 %", "50k"));
        assert_eq!((size(100.0).as_str(), size(1e6).as_str()), ("100 B", "1 MB"));
    }

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(escaped("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
