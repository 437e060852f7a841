//! Round-trip times, summed up as they come: no sample is kept.

use std::fmt;
use std::time::Duration;

/// Smallest, mean, largest, and how much they spread.
#[derive(Debug, Clone, Copy)]
pub struct Stats {
    count: u32,
    /// Milliseconds.
    min: f64,
    max: f64,
    mean: f64,
    /// Sum of the squared distances from the mean (Welford's way: no large sums to cancel).
    squares: f64,
}

impl Default for Stats {
    fn default() -> Self {
        Self { count: 0, min: f64::INFINITY, max: 0.0, mean: 0.0, squares: 0.0 }
    }
}

impl Stats {
    /// One more round trip.
    pub fn add(&mut self, time: Duration) {
        let ms = time.as_secs_f64() * 1000.0;
        self.count = self.count.saturating_add(1);
        self.min = self.min.min(ms);
        self.max = self.max.max(ms);
        let distance = ms - self.mean;
        self.mean += distance / f64::from(self.count);
        self.squares += distance * (ms - self.mean);
    }

    /// How many there were.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Standard deviation of the whole population, in milliseconds, as ping has it.
    fn deviation(&self) -> f64 {
        (self.squares / f64::from(self.count.max(1))).max(0.0).sqrt()
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("no round trip");
        }
        let (min, mean, max, deviation) = (self.min, self.mean, self.max, self.deviation());
        write!(f, "round trip min/avg/max/stddev = {min:.3}/{mean:.3}/{max:.3}/{deviation:.3} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_textbook() {
        let mut stats = Stats::default();
        assert_eq!(stats.to_string(), "no round trip");
        for ms in [2, 4, 4, 4, 5, 5, 7, 9] {
            stats.add(Duration::from_millis(ms));
        }
        assert_eq!(stats.to_string(), "round trip min/avg/max/stddev = 2.000/5.000/9.000/2.000 ms");
    }
}
