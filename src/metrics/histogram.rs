//! Counts by upper bounds, as Prometheus has them.

use std::time::Duration;

/// How often something took how long.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    pub(super) bounds: &'static [f64],
    /// For each bound how often it was not exceeded, but the one before was; then the rest.
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
