//! `metrics`: numbers about the program itself.

use std::fmt;
use std::time::Duration;

use peregrine_yaml::Node;
use serde_json::Value as Json;
use thiserror::Error;

use crate::declare::{Definitions, Row, Setting, section};
use crate::issue::ConfigIssue;

/// Falco's default, which is no duration: the key must be set where metrics are enabled.
const DEFAULT_INTERVAL: &str = "5000";

section! {
    /// Numbers about the program.
    pub Metrics "Metrics" extra { "minProperties": 1 } {
        /// Collect them.
        enabled: bool = false;
        /// Time between two reports, with units: 1h, 1m30s, 500ms.
        interval: Result<Interval, IntervalError> = Interval::parse(DEFAULT_INTERVAL);
        /// Report as an alert.
        output_rule: bool = false;
        /// Report into this file, one JSON object per line.
        output_file: String = String::new();
        /// Include matches of each rule.
        rules_counters_enabled: bool = true;
        /// Include CPU and memory.
        resource_utilization_enabled: bool = true;
        /// With counters of the state.
        state_counters_enabled: bool = true;
        /// Include events and losses in the kernel.
        kernel_event_counters_enabled: bool = true;
        /// The same for each CPU.
        kernel_event_counters_per_cpu_enabled: bool = true;
        /// Include counters of BPF iterators.
        kernel_iter_event_counters_enabled: bool = true;
        /// Include run counts and times of BPF programs.
        libbpf_stats_enabled: bool = true;
        /// Let the kernel count those runs while this program does (BPF_ENABLE_STATS), for all BPF
        /// programs of the machine: each run takes a little longer then. Otherwise they are counted
        /// where `sysctl kernel.bpf_stats_enabled=1` says so.
        bpf_enable_stats: bool = false, extra { "$comment": "Peregrine" };
        /// Include counters of plugins.
        plugins_metrics_enabled: bool = true;
        /// Include statistics of the allocator.
        jemalloc_stats_enabled: bool = true;
        /// Include events and time of each system call and each rule.
        syscalls_counters_enabled: bool = false, extra { "$comment": "Peregrine" };
        /// Memory in megabytes.
        convert_memory_to_mb: bool = true;
        /// Include values that are zero.
        include_empty_values: bool = false;
    }
}

/// Time between two reports: at least 100 ms. It prints as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    written: String,
    duration: Duration,
}

/// A text is no [`Interval`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "Metrics interval must have a minimum value of 100ms and reflect a Prometheus compliant time duration format: \
     https://prometheus.io/docs/prometheus/latest/querying/basics/#time-durations. "
)]
pub struct IntervalError {
    written: String,
}

impl Interval {
    const SHORTEST: Duration = Duration::from_millis(100);

    /// Reads `1h`, `1m 30s`, `500ms`.
    ///
    /// # Errors
    /// The text is no duration, or a shorter one.
    pub fn parse(written: impl Into<String>) -> Result<Self, IntervalError> {
        let written = written.into();
        match milliseconds(&written).map(Duration::from_millis) {
            Some(duration) if duration >= Self::SHORTEST => Ok(Self { written, duration }),
            _ => Err(IntervalError { written }),
        }
    }

    /// The time.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Falco refuses a text that is no interval only when metrics start, so the refusal is a value.
impl Setting for Result<Interval, IntervalError> {
    fn schema(definitions: &mut Definitions) -> Json {
        String::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        Ok(String::read(node, key)?.map(Interval::parse))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        let (Ok(Interval { written, .. }) | Err(IntervalError { written })) = self;
        written.rows(key, about, rows);
    }
}

/// A duration in the notation of Prometheus, blanks allowed.
pub(super) fn milliseconds(interval: &str) -> Option<u64> {
    const SECOND: u64 = 1000;
    const DAY: u64 = 24 * 3600 * SECOND;
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * DAY),
        ("w", 7 * DAY),
        ("d", DAY),
        ("h", 3600 * SECOND),
        ("m", 60 * SECOND),
        ("s", SECOND),
        ("ms", 1),
    ];
    let text: String = interval.split_ascii_whitespace().collect();
    let mut rest = text.as_str();
    let mut units = UNITS.as_slice();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters =
            after.len() - after.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (unit, after) = after.split_at(letters);
        // Each unit once, the large before the small.
        let at = units.iter().position(|(name, _)| *name == unit)?;
        let (_, worth) = units.get(at)?;
        let number = number.parse::<u64>().ok()?;
        total = total.saturating_add(number.saturating_mul(*worth));
        units = units.get(at + 1..).unwrap_or_default();
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_units_in_descending_order() {
        assert_eq!(milliseconds("1h 5m"), Some(3_900_000));
        assert_eq!(
            milliseconds("1y2w3d4h5m6s7ms"),
            Some(31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_706_007)
        );
        assert_eq!(Interval::parse("500ms").unwrap().duration(), Duration::from_millis(500));
        for wrong in ["", "5000", "5parsecs", "s", "1m1h", "1h1h", "-1h", "99ms"] {
            assert!(Interval::parse(wrong).is_err(), "{wrong}");
        }
    }
}
