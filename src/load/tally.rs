//! What a worker has counted: histograms (one per series, never per connection), bytes, failures.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::clock::Nanos;
use super::fault::Faults;

/// Longest time that is told from longer ones.
const LONGEST: Nanos = 600 * super::clock::SECOND;
/// Shortest difference that is told.
const SHORTEST: Nanos = 64;

/// Times of one sort, in nanoseconds, exact to 0.1 %.
#[derive(Debug, Clone)]
pub struct Series(Histogram<u64>);

impl Default for Series {
    fn default() -> Self {
        // These bounds are right; without a histogram there is nothing to count with.
        let made = Histogram::new_with_bounds(SHORTEST, LONGEST, 3);
        Self(made.unwrap_or_else(|_| Histogram::new_from::<u64>(&minimal())))
    }
}

fn minimal() -> Histogram<u64> {
    Histogram::new(1).unwrap_or_else(|_| std::process::abort())
}

impl Series {
    /// Counts one.
    #[inline]
    pub fn record(&mut self, time: Nanos) {
        self.0.saturating_record(time);
    }

    /// Counts the same time several times.
    #[inline]
    pub fn record_n(&mut self, time: Nanos, n: u64) {
        if n == 1 {
            return self.record(time);
        }
        self.0.saturating_record_n(time, n);
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        // All have the same bounds.
        let _ = self.0.add(&other.0);
    }

    /// What was counted since `earlier`, a former state of the same.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut rest = self.clone();
        let _ = rest.0.subtract(&earlier.0);
        rest
    }

    /// The time that a share of all, 0 to 1, did not exceed.
    pub fn quantile(&self, share: f64) -> Nanos {
        self.0.value_at_quantile(share)
    }

    /// The longest.
    pub fn max(&self) -> Nanos {
        self.0.max()
    }

    /// What there is to say about it.
    pub fn summary(&self) -> Option<Summary> {
        let us = |nanos: Nanos| micros(nanos);
        (!self.is_empty()).then(|| Summary {
            count: self.len(),
            min: us(self.0.min()),
            mean: self.0.mean() / 1000.0,
            stdev: self.0.stdev() / 1000.0,
            p50: us(self.quantile(0.5)),
            p75: us(self.quantile(0.75)),
            p90: us(self.quantile(0.9)),
            p99: us(self.quantile(0.99)),
            p99_9: us(self.quantile(0.999)),
            p99_99: us(self.quantile(0.9999)),
            max: us(self.max()),
        })
    }

    /// Every time that occurred, and how often: for another process, or a plot.
    pub fn buckets(&self) -> Vec<(Nanos, u64)> {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn micros(nanos: Nanos) -> f64 {
    nanos as f64 / 1000.0
}

impl Serialize for Series {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.buckets().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Series {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut series = Self::default();
        for (time, n) in Vec::<(Nanos, u64)>::deserialize(from)? {
            series.record_n(time, n);
        }
        Ok(series)
    }
}

/// A series in figures. Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Summary {
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub stdev: f64,
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub p99_99: f64,
    pub max: f64,
}

/// Everything that a worker counts. It only grows; what happened in a while is a difference.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// From when a request was due (open loop) or sent (closed loop) to the end of its reply.
    pub latency: Series,
    /// From when it was sent to the end of its reply: less than the latency where it had to wait.
    pub service: Option<Series>,
    /// From when it was due to when it was sent, of requests for which a connection was free: what this
    /// program itself was late.
    pub lateness: Option<Series>,
    /// From the first packet of a connection to when it was made.
    pub connect: Series,
    /// Requests sent.
    pub requests: u64,
    /// Replies that came whole.
    pub replies: u64,
    /// Chat lines that reached a receiver.
    pub deliveries: u64,
    /// Connections made.
    pub connects: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// What went wrong.
    pub faults: Faults,
}

impl Tally {
    /// One that keeps what an open loop needs too.
    pub fn new(open_loop: bool) -> Self {
        let series = || open_loop.then(Series::default);
        Self { service: series(), lateness: series(), ..Self::default() }
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency);
        self.connect.add(&other.connect);
        add_optional(&mut self.service, other.service.as_ref());
        add_optional(&mut self.lateness, other.lateness.as_ref());
        self.requests += other.requests;
        self.replies += other.replies;
        self.deliveries += other.deliveries;
        self.connects += other.connects;
        self.sent += other.sent;
        self.received += other.received;
        self.faults.add(&other.faults);
    }

    /// What was counted since `earlier`, a former state of the same.
    pub fn since(&self, earlier: &Self) -> Self {
        let optional = |now: &Option<Series>, before: &Option<Series>| match (now, before) {
            (Some(now), Some(before)) => Some(now.since(before)),
            (now, _) => now.clone(),
        };
        Self {
            latency: self.latency.since(&earlier.latency),
            service: optional(&self.service, &earlier.service),
            lateness: optional(&self.lateness, &earlier.lateness),
            connect: self.connect.since(&earlier.connect),
            requests: self.requests.saturating_sub(earlier.requests),
            replies: self.replies.saturating_sub(earlier.replies),
            deliveries: self.deliveries.saturating_sub(earlier.deliveries),
            connects: self.connects.saturating_sub(earlier.connects),
            sent: self.sent.saturating_sub(earlier.sent),
            received: self.received.saturating_sub(earlier.received),
            faults: self.faults.since(&earlier.faults),
        }
    }
}

fn add_optional(to: &mut Option<Series>, other: Option<&Series>) {
    if let Some(other) = other {
        to.get_or_insert_with(Series::default).add(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(times: &[Nanos]) -> Series {
        let mut series = Series::default();
        times.iter().for_each(|time| series.record(*time));
        series
    }

    #[test]
    fn a_series_survives_the_way_between_processes() {
        let all = series(&[100, 1_000, 1_000, 123_456, 9_876_543_210]);
        let json = serde_json::to_string(&all).unwrap();
        let back: Series = serde_json::from_str(&json).unwrap();
        assert_eq!(back.buckets(), all.buckets());
        assert_eq!((back.len(), back.max(), back.quantile(0.5)), (5, all.max(), all.quantile(0.5)));
    }

    #[test]
    fn what_came_since_is_a_difference() {
        let early = series(&[1000, 2000]);
        let mut late = early.clone();
        (0..10).for_each(|_| late.record(50_000));
        let since = late.since(&early);
        assert_eq!(since.len(), 10);
        let summary = since.summary().unwrap();
        assert!((summary.p50 - 50.0).abs() < 0.1 && (summary.p99_99 - 50.0).abs() < 0.1, "{summary:?}");
        assert!(Series::default().summary().is_none());
    }

    #[test]
    fn a_tally_of_two_workers_is_their_sum() {
        let mut one = Tally { replies: 3, latency: series(&[1000]), ..Tally::new(true) };
        let two = Tally { replies: 4, latency: series(&[2000]), ..Tally::new(false) };
        let before = one.clone();
        one.add(&two);
        assert_eq!((one.replies, one.latency.len()), (7, 2));
        assert_eq!((one.since(&before).replies, one.since(&before).latency.len()), (4, 1));
    }
}
