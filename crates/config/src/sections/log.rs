//! What the program logs about itself.

use peregrine_alert::Priority;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, at_key, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

section! {
    /// Messages of the capture layer.
    pub LibsLogger "LibsLogger" extra { "minProperties": 1 } check libs_logger {
        /// Write them.
        enabled: bool = true;
        /// Lowest severity to write: fatal, critical, error, warning, notice, info, debug or trace.
        severity: String = "info".to_owned();
    }
}

/// An unknown severity is refused only if it would be used.
fn libs_logger(section: &LibsLogger, node: &Node) -> Result<(), ConfigIssue> {
    const SEVERITIES: [&str; 8] =
        ["trace", "debug", "info", "notice", "warning", "error", "critical", "fatal"];
    if !section.enabled || SEVERITIES.contains(&section.severity.as_str()) {
        return Ok(());
    }
    let issue = ConfigIssue::new(
        ConfigCode::Value,
        format!("Unknown sinsp log severity {}", section.severity),
    );
    Err(at_key(issue, node, "severity").help(format!("one of {}", SEVERITIES.join(", "))))
}

/// `log_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(pub Priority);

impl Default for LogLevel {
    fn default() -> Self {
        Self(Priority::Informational)
    }
}

words!(
    LogLevel, { "type": "string" }, "info",
    {
        "emergency" => Self(Priority::Emergency), "alert" => Self(Priority::Alert),
        "critical" => Self(Priority::Critical), "error" => Self(Priority::Error),
        "warning" => Self(Priority::Warning), "notice" => Self(Priority::Notice),
        "info" => Self(Priority::Informational), "debug" => Self(Priority::Debug)
    },
    str::to_owned,
    |word| ConfigIssue::new(ConfigCode::Value, format!("Unknown log level {word}"))
);
