//! What the program logs about itself.

use peregrine_alert::Priority;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, at_key, optional, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

/// Messages of the capture layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LibsLogger {
    /// Lowest severity to write.
    pub severity: LibsSeverity,
}

/// Severities of the capture layer's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LibsSeverity {
    Trace,
    Debug,
    #[default]
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Fatal,
}

impl LibsSeverity {
    const ALL: [(&str, Self); 8] = [
        ("trace", Self::Trace),
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("notice", Self::Notice),
        ("warning", Self::Warning),
        ("error", Self::Error),
        ("critical", Self::Critical),
        ("fatal", Self::Fatal),
    ];
}

section! {
    /// Keys of `libs_logger`.
    LibsLoggerKeys "LibsLogger" extra { "minProperties": 1 } {
        /// Write them.
        enabled: bool = true;
        /// Lowest severity to write: fatal, critical, error, warning, notice, info, debug or trace.
        severity: String = "info".to_owned();
    }
}

// An unknown severity is refused only if it would be used.
optional!(LibsLoggerKeys => LibsLogger, |keys, node| {
    let LibsLoggerKeys { enabled, severity } = keys;
    if !enabled {
        return Ok(None);
    }
    let known = LibsSeverity::ALL.into_iter().find(|(name, _)| *name == severity);
    let Some((_, severity)) = known else {
        let message = format!("Unknown sinsp log severity {severity}");
        let issue = at_key(ConfigIssue::new(ConfigCode::Value, message), node, "severity");
        let names = LibsSeverity::ALL.map(|(name, _)| name);
        return Err(issue.help(format!("one of {}", names.join(", "))));
    };
    Ok(Some(LibsLogger { severity }))
});

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

/// `log_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Falco's: time and message.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

words!(
    LogFormat, { "type": "string", "enum": ["text", "json"] }, "text",
    { "text" => Self::Text, "json" => Self::Json },
    str::to_owned,
    |word| ConfigIssue::new(ConfigCode::Value, format!("Unknown log format {word}"))
);
