//! Histograms: counts by upper bounds, as Prometheus defines them.

use std::time::Duration;

/// A distribution of durations.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    pub(super) bounds: &'static [f64],
    /// For each bound the number of durations up to it and above the bound before; then the number of longer ones.
    pub(super) counts: Vec<u64>,
    pub(super) sum: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    pub(super) fn note(&mut self, time: Duration) {
        let secs = time.as_secs_f64();
        self.counts[self.bounds.partition_point(|bound| *bound < secs)] += 1;
        self.sum += secs;
    }
}
