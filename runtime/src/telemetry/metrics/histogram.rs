//! A histogram of durations: a count for each bucket, and their sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts as they grow.
pub(super) struct Histogram {
    /// Upper bounds in seconds, ascending.
    bounds: &'static [f64],
    /// One for each bound, and one for what is above the last.
    counts: Box<[AtomicU64]>,
    nanoseconds: AtomicU64,
}

/// Counts as they were read.
pub(in super::super) struct Counts {
    /// Upper bounds in seconds, ascending.
    pub(in super::super) bounds: &'static [f64],
    /// One more than bounds; not cumulative.
    pub(in super::super) counts: Vec<u64>,
    /// In seconds.
    pub(in super::super) sum: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, counts, nanoseconds: AtomicU64::new(0) }
    }

    /// Counts one. A bound belongs to its bucket.
    pub(super) fn record(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let at = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Counts {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Counts { bounds: self.bounds, counts, sum: self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9 }
    }
}
