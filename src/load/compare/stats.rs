//! Medians, and how far they can be trusted: no assumption is made about how the samples are spread.

use serde::{Deserialize, Serialize};

/// How often an interval should hold the true median.
const CONFIDENCE: f64 = 0.95;

/// A median with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The median of the samples.
    pub median: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How often such an interval holds the median, 0 to 1: below 0.95 where samples are too few for that.
    pub confidence: f64,
    /// How many samples there were.
    pub samples: usize,
}

impl Estimate {
    /// From samples in any order; none if there are none. What is not finite does not count.
    ///
    /// The interval is that of the order statistics: the sample that is the k-th lies above the median of
    /// what is sampled with the probability of fewer than k heads in n throws of a coin.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.into_iter().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let middle = (sorted.get(n.checked_sub(1)? / 2)? + sorted.get(n / 2)?) / 2.0;
        let (skipped, confidence) = interval(n);
        Some(Self {
            median: middle,
            low: *sorted.get(skipped)?,
            high: *sorted.get(n - 1 - skipped)?,
            confidence,
            samples: n,
        })
    }
}

/// How many samples at either end lie outside of the interval, and how sure it is.
fn interval(n: usize) -> (usize, f64) {
    // The chance of exactly k heads; half a power of two is exact down to 1000 throws.
    let mut exactly = 0.5_f64.powi(i32::try_from(n.min(1000)).unwrap_or(1000));
    let (mut below, mut best) = (0.0, (0, 1.0 - 2.0 * exactly));
    for k in 0..n.min(1000) / 2 {
        below += exactly;
        let confidence = 1.0 - 2.0 * below;
        if k > 0 && confidence < CONFIDENCE {
            break;
        }
        best = (k, confidence.max(0.0));
        exactly *= count(n - k) / count(k + 1);
    }
    (best.0, best.1.max(0.0))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of samples")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // As in tables of the sign test: ranks 2 and 9 of 10, 4 and 12 of 15, 6 and 15 of 20.
        for (n, skipped, confidence) in [(6, 0, 0.969), (10, 1, 0.979), (15, 3, 0.965), (20, 5, 0.959)] {
            let found = interval(n);
            assert_eq!(found.0, skipped, "{n}");
            assert!((found.1 - confidence).abs() < 0.001, "{n}: {found:?}");
        }
    }

    #[test]
    fn few_samples_give_a_wide_interval_that_says_so() {
        let one = Estimate::of([3.0]).unwrap();
        assert_eq!((one.median, one.low, one.high, one.samples), (3.0, 3.0, 3.0, 1));
        assert!(one.confidence.abs() < 1e-9);
        let three = Estimate::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((three.low, three.median, three.high), (1.0, 2.0, 3.0));
        assert!((three.confidence - 0.75).abs() < 1e-9);
        assert_eq!(Estimate::of([]), None);
        assert_eq!(Estimate::of([f64::NAN, f64::INFINITY]), None);
    }

    #[test]
    fn the_median_is_between_the_middle_two_and_outliers_do_not_move_it() {
        let four = Estimate::of([4.0, 1.0, 2.0, 1000.0]).unwrap();
        assert!((four.median - 3.0).abs() < 1e-9);
        let mut many: Vec<f64> = (0..21).map(f64::from).collect();
        many[20] = 1e9;
        let many = Estimate::of(many).unwrap();
        assert_eq!((many.median, many.low, many.high), (10.0, 5.0, 15.0));
        assert!(many.confidence >= 0.95);
    }
}
