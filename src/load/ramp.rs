//! More and more connections until something gives way: where it is, and what it was.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::plan::Rising;
use super::session::{Measured, Session, own_limit, to_f64};
use super::tally::Summary;

/// More connections than this are not tried unless they are asked for.
const DEFAULT_MOST: u32 = 16_384;
/// A step that brings less than this more, is none.
const GAIN: f64 = 1.05;
/// Steps without a gain, after which more will bring none.
const NO_GAIN: usize = 4;
/// Failures per request that are too many.
const FAILURES: f64 = 0.001;

/// How connections become more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ramp {
    /// Which.
    pub rising: Rising,
    /// How many at the most.
    pub most: Option<u32>,
    /// The p99 latency that is too much.
    pub max_latency: Duration,
    /// Each connection is for one request: not all of them are open at once.
    pub churn: bool,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Connections that became more.
    pub connections: u32,
    /// How many of them there were.
    pub open: u64,
    /// Replies a second.
    pub rate: f64,
    /// Latency.
    pub latency: Option<Summary>,
    /// Failures in it.
    pub errors: u64,
}

/// What gave way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GaveWay {
    /// Nothing: that many were asked for.
    Nothing,
    /// The rate did not rise any more.
    Rate,
    /// The latency was more than is allowed.
    Latency,
    /// Failures of this kind.
    Errors(Fault),
    /// This machine had too little of something.
    Generator(Fault),
    /// It was ended.
    Interrupted,
}

/// All steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RampReport {
    /// Which connections became more.
    pub rising: Rising,
    /// The steps.
    pub steps: Vec<Step>,
    /// The fewest connections with which (nearly) all was reached that could be: those beyond bring only
    /// latency. With idle ones: the most that all was well with.
    pub knee: Option<u32>,
    /// How many there were when something gave way.
    pub at: u32,
    /// What it was.
    pub gave_way: GaveWay,
}

impl Ramp {
    /// How many there shall be at each step: 1, 2, 4, and so on; the last is all that may be.
    pub fn levels(&self, most: u32) -> Vec<u32> {
        let first = if self.rising == Rising::Idle { 64 } else { 1_u32 };
        let mut levels: Vec<u32> =
            std::iter::successors(Some(first), |n| n.checked_mul(2)).take_while(|n| *n < most).collect();
        levels.push(most.max(1));
        levels
    }

    /// The most that is tried.
    pub fn most(&self, room: u64) -> u32 {
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        self.most.unwrap_or(DEFAULT_MOST.min(room))
    }
}

/// Climbs. Also gives all that was counted at the last step.
pub fn climb(
    session: &mut Session<'_>,
    ramp: &Ramp,
    beside: u32,
    most: u32,
    step: Duration,
) -> (RampReport, Measured) {
    let mut report =
        RampReport { rising: ramp.rising, steps: Vec::new(), knee: None, at: 0, gave_way: GaveWay::Nothing };
    let mut last = Measured::default();
    for level in ramp.levels(most) {
        let before = session.snapshot();
        let (idle, active) = if ramp.rising == Rising::Idle { (level, beside) } else { (beside, level) };
        let opened = session.connect(idle, active);
        let failures = opened.tally.since(&before.tally);
        last = session.measure(Some(step));
        last.tally.faults.add(&failures.faults);
        let (first, then) = (opened.gauges, session.snapshot().gauges);
        let open = if ramp.rising == Rising::Idle {
            first.idle.min(then.idle)
        } else {
            first.active.min(then.active)
        };
        let made = Step {
            connections: level,
            open,
            rate: last.rate(),
            latency: last.tally.latency.summary(),
            errors: last.tally.faults.total(),
        };
        report.steps.push(made);
        report.at = level;
        report.gave_way = judge(ramp, &report.steps, &last, session.is_stopped());
        if report.gave_way != GaveWay::Nothing {
            break;
        }
    }
    report.knee = knee(ramp.rising, &report);
    (report, last)
}

fn judge(ramp: &Ramp, steps: &[Step], measured: &Measured, is_stopped: bool) -> GaveWay {
    let tally = &measured.tally;
    let failures = tally.faults.total();
    let most = tally.faults.iter().max_by_key(|(_, n)| *n);
    // A few failures among many replies may still be those of all the connections that were added.
    let lost = steps.last().is_some_and(|step| step.open < u64::from(step.connections) && !ramp.churn);
    let many = failures > 0 && (lost || to_f64(failures) > FAILURES * to_f64(tally.requests.max(1)));
    if is_stopped {
        return GaveWay::Interrupted;
    }
    if let Some(fault) = own_limit(tally) {
        return GaveWay::Generator(fault);
    }
    if let (true, Some((fault, _))) = (many, most) {
        return GaveWay::Errors(fault);
    }
    let p99 = steps.last().and_then(|step| step.latency).map_or(0.0, |latency| latency.p99);
    if p99 > ramp.max_latency.as_secs_f64() * 1e6 {
        return GaveWay::Latency;
    }
    let best_before = |n: usize| {
        let some = steps.get(..steps.len().saturating_sub(n)).unwrap_or_default();
        some.iter().map(|step| step.rate).fold(0.0, f64::max)
    };
    let gains = best_before(0) > GAIN * best_before(NO_GAIN);
    if ramp.rising == Rising::Active && steps.len() > NO_GAIN && !gains {
        return GaveWay::Rate;
    }
    GaveWay::Nothing
}

fn knee(rising: Rising, report: &RampReport) -> Option<u32> {
    let failed = !matches!(report.gave_way, GaveWay::Nothing | GaveWay::Rate | GaveWay::Interrupted);
    let good =
        if failed { report.steps.split_last().map_or(&[][..], |(_, good)| good) } else { &report.steps };
    if rising == Rising::Idle {
        return good.last().map(|step| step.connections);
    }
    let best = good.iter().map(|step| step.rate).fold(0.0, f64::max);
    good.iter().find(|step| step.rate * GAIN >= best && best > 0.0).map(|step| step.connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(rising: Rising) -> Ramp {
        Ramp { rising, most: None, max_latency: Duration::from_secs(1), churn: false }
    }

    fn steps(rates: &[f64]) -> Vec<Step> {
        let step = |(at, rate): (usize, &f64)| Step {
            connections: 1 << at,
            open: 1 << at,
            rate: *rate,
            latency: None,
            errors: 0,
        };
        rates.iter().enumerate().map(step).collect()
    }

    fn knee_of(rates: &[f64], gave_way: GaveWay) -> Option<u32> {
        let steps = steps(rates);
        knee(Rising::Active, &RampReport { rising: Rising::Active, steps, knee: None, at: 0, gave_way })
    }

    #[test]
    fn steps_double_up_to_the_most() {
        assert_eq!(ramp(Rising::Active).levels(10), [1, 2, 4, 8, 10]);
        assert_eq!(ramp(Rising::Active).levels(8), [1, 2, 4, 8]);
        assert_eq!(ramp(Rising::Active).levels(1), [1]);
        assert_eq!(ramp(Rising::Idle).levels(200), [64, 128, 200]);
        assert_eq!((ramp(Rising::Idle).most(5), ramp(Rising::Idle).most(1 << 40)), (5, 16_384));
    }

    #[test]
    fn the_knee_is_where_more_connections_bring_no_more() {
        let rates = [40.0, 70.0, 110.0, 150.0, 154.0, 155.0, 150.0, 149.0];
        assert_eq!(knee_of(&rates, GaveWay::Rate), Some(8));
        assert_eq!(knee_of(&[40.0, 80.0, 200.0], GaveWay::Latency), Some(2), "the step that failed is none");
        assert_eq!(knee_of(&[40.0], GaveWay::Errors(Fault::Refused)), None);
        let judged =
            |n: usize| judge(&ramp(Rising::Active), &steps(&rates)[..n], &Measured::default(), false);
        assert_eq!((judged(7), judged(8)), (GaveWay::Nothing, GaveWay::Rate));
    }

    #[test]
    fn what_gave_way_is_named() {
        let judged = |fault: Fault, n| {
            let mut measured = Measured::default();
            measured.tally.requests = 10_000;
            measured.tally.faults.count_many(fault, n);
            judge(&ramp(Rising::Active), &steps(&[1.0]), &measured, false)
        };
        assert_eq!(judged(Fault::Reset, 10), GaveWay::Nothing, "one in a thousand is not yet much");
        assert_eq!(judged(Fault::Reset, 11), GaveWay::Errors(Fault::Reset));
        assert_eq!(judged(Fault::NoPorts, 1), GaveWay::Generator(Fault::NoPorts));
    }
}
