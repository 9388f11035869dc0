//! What outputs that send over a network have in common.

use peregrine_limits::NETWORK_ALERT_TIME;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, section, words};
use crate::issue::ConfigIssue;

section! {
    /// Alerts that are sent together.
    pub Batch "OutputBatch" {
        /// Alerts that are sent together at most.
        max_alerts: u32 = 100;
        /// Their size at most, in kilobytes. A single larger alert is sent alone.
        max_kb: u32 = 1024;
        /// Milliseconds that an alert waits for others at most. With 0, and with a spool, those
        /// that wait already are sent together.
        max_wait_ms: u32 = 0;
        /// How alerts are sent together: json_array (one JSON array), or ndjson (a line each).
        form: BatchForm = BatchForm::JsonArray;
    }
}

/// How alerts are sent together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchForm {
    /// One JSON array.
    JsonArray,
    /// A line each.
    Lines,
}

words!(
    BatchForm,
    { "type": "string", "enum": ["json_array", "ndjson"] }, "json_array",
    { "json_array" => Self::JsonArray, "ndjson" => Self::Lines },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("form '{word}' is unknown."))
);

section! {
    /// How often alerts are sent again.
    pub Retries "OutputRetries" {
        /// Times that alerts are sent again at most.
        max: u32 = 5;
        /// Seconds for all attempts together.
        max_seconds: u32 = (NETWORK_ALERT_TIME.get() / 1000) as u32;
    }
}

impl Retries {
    /// Until a time limit only: a message broker takes a while to restart.
    pub(super) const PATIENT: Self =
        Self { max: u32::MAX, max_seconds: (NETWORK_ALERT_TIME.get() / 1000) as u32 };
}
