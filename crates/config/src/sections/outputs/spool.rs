//! The spool in front of a receiver.

use std::time::Duration;

use peregrine_limits::{SPOOL_AGE, SPOOL_BYTES};
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, section, words};
use crate::issue::{ConfigCode, ConfigIssue};
use crate::sections::metrics::milliseconds;

section! {
    /// Alerts that the receiver does not take are kept on the disk until it does.
    pub Spool "OutputSpool" {
        /// Use it.
        enabled: bool = false;
        /// Its directory, which no other output and no other agent uses. If empty,
        /// /var/lib/peregrine/spool with the name of the output behind it (http, otlp, nats, kafka,
        /// syslog).
        directory: String = String::new();
        /// Size on the disk at most, in megabytes.
        max_mb: u32 = (SPOOL_BYTES.get() >> 20) as u32;
        /// Alerts that are older are lost: such as 24h, or 7d.
        max_age: Age = Age::default();
        /// Milliseconds until an alert is forced to the disk. Before, the loss of power can lose
        /// it, but not the end of the program.
        sync_interval_ms: u32 = 100;
        /// What is lost when it is full: drop_oldest, or drop_newest.
        when_full: WhenSpoolFull = WhenSpoolFull::DropOldest;
    }
}

/// What is lost when a spool is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenSpoolFull {
    /// The oldest alerts.
    DropOldest,
    /// New alerts.
    DropNewest,
}

words!(
    WhenSpoolFull,
    { "type": "string", "enum": ["drop_oldest", "drop_newest"] }, "drop_oldest",
    { "drop_oldest" => Self::DropOldest, "drop_newest" => Self::DropNewest },
    str::to_owned,
    |word| ConfigIssue::new(ConfigCode::Value, format!("spool.when_full '{word}' is unknown"))
);

/// How long an alert may wait. It prints as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    written: String,
    duration: Duration,
}

impl Age {
    /// The time.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

impl Default for Age {
    fn default() -> Self {
        Self { written: "24h".to_owned(), duration: SPOOL_AGE.duration() }
    }
}

impl Setting for Age {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string" })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(written) = String::read(node, key)? else { return Ok(None) };
        match milliseconds(&written) {
            Some(time) if time > 0 => {
                Ok(Some(Self { written, duration: Duration::from_millis(time) }))
            }
            _ => {
                let message = format!("{key}: {written} is no duration");
                Err(ConfigIssue::new(ConfigCode::Value, message).at(node).help("such as `24h`"))
            }
        }
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        self.written.rows(key, about, rows);
    }
}
