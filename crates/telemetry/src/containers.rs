//! What asking container runtimes costs and yields.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::metrics::{ContainerStats, EngineStats};

/// Counters of the thread that asks container runtimes.
#[derive(Debug)]
pub struct ContainerCounters {
    /// Containers that are known.
    pub containers: AtomicU64,
    /// Containers told of without an image, sandboxes apart.
    pub missing_images: AtomicU64,
    /// Containers that were asked about because they appeared in events.
    pub lookups: AtomicU64,
    /// Of these, those whose description came later than alerts wait.
    pub late: AtomicU64,
    /// Of these, those that no runtime knew.
    pub failed: AtomicU64,
    engines: Vec<EngineCounters>,
}

/// Counters of one engine.
#[derive(Debug)]
pub struct EngineCounters {
    name: &'static str,
    /// Its sockets that are connected.
    pub connected: AtomicU64,
    /// Times that a socket was connected.
    pub connects: AtomicU64,
    /// Answers about containers that failed.
    pub errors: AtomicU64,
    latency: Latency,
}

/// Times of answers.
#[derive(Debug)]
struct Latency {
    count: AtomicU64,
    /// Nanoseconds.
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    /// Each counts times up to a power of two in microseconds.
    buckets: [AtomicU64; BUCKETS],
}

/// The last one is for 8 s and more.
const BUCKETS: usize = 24;

impl ContainerCounters {
    /// Counters of these engines.
    #[must_use]
    pub fn new(engines: &[&'static str]) -> Self {
        let zero = AtomicU64::default;
        Self {
            containers: zero(),
            missing_images: zero(),
            lookups: zero(),
            late: zero(),
            failed: zero(),
            engines: engines.iter().map(|&name| EngineCounters::new(name)).collect(),
        }
    }

    /// The counters of the engine with this number.
    #[must_use]
    pub fn engine(&self, index: usize) -> Option<&EngineCounters> {
        self.engines.get(index)
    }

    /// The values.
    #[must_use]
    pub fn stats(&self) -> ContainerStats {
        ContainerStats {
            containers: self.containers.load(Relaxed),
            missing_images: self.missing_images.load(Relaxed),
            lookups: self.lookups.load(Relaxed),
            late: self.late.load(Relaxed),
            failed: self.failed.load(Relaxed),
            engines: self.engines.iter().map(EngineCounters::stats).collect(),
        }
    }
}

impl EngineCounters {
    fn new(name: &'static str) -> Self {
        let zero = AtomicU64::default;
        Self { name, connected: zero(), connects: zero(), errors: zero(), latency: Latency::new() }
    }

    /// Counts an answer about a container that took this long.
    pub fn answered(&self, time: Duration) {
        self.latency.add(time);
    }

    fn stats(&self) -> EngineStats {
        let Latency { count, sum, min, max, .. } = &self.latency;
        let count = count.load(Relaxed);
        EngineStats {
            name: self.name,
            connected: self.connected.load(Relaxed),
            connects: self.connects.load(Relaxed),
            errors: self.errors.load(Relaxed),
            answers: count,
            latency_min: if count > 0 { min.load(Relaxed) } else { 0 },
            latency_avg: sum.load(Relaxed).checked_div(count).unwrap_or_default(),
            latency_p99: self.latency.p99().min(max.load(Relaxed)),
        }
    }
}

impl Latency {
    fn new() -> Self {
        Self {
            count: AtomicU64::default(),
            sum: AtomicU64::default(),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::default(),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }

    fn add(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let us = ns.div_ceil(1000).max(1);
        let bucket = (us.next_power_of_two().trailing_zeros() as usize).min(BUCKETS - 1);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.sum.fetch_add(ns, Relaxed);
        self.min.fetch_min(ns, Relaxed);
        self.max.fetch_max(ns, Relaxed);
    }

    /// The time that at most one answer in a hundred exceeds, rounded up to a power of two.
    fn p99(&self) -> u64 {
        let counts: Vec<_> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let wanted = total - total / 100;
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return if total > 0 { 1000 << bucket } else { 0 };
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_summed_up() {
        let counters = ContainerCounters::new(&["docker"]);
        assert_eq!(
            counters.stats().engines[0],
            EngineStats { name: "docker", ..EngineStats::default() }
        );
        let engine = counters.engine(0).unwrap();
        for _ in 0..98 {
            engine.answered(Duration::from_micros(100));
        }
        engine.answered(Duration::from_millis(3));
        engine.answered(Duration::from_secs(60));
        let stats = counters.stats().engines.remove(0);
        assert_eq!((stats.answers, stats.latency_min), (100, 100_000));
        assert_eq!(stats.latency_p99, 4_096_000);
        assert_eq!(stats.latency_avg, (98 * 100_000 + 3_000_000 + 60_000_000_000) / 100);
        assert!(counters.engine(1).is_none());
    }
}
