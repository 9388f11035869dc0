//! Alerts on standard output.

use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use super::{AlertFormat, FieldChanges, Presentation, Select, WhenFull};
use crate::declare::{Definitions, Row, Setting, section, words};
use crate::issue::ConfigIssue;

section! {
    /// Alerts on standard output.
    pub StdoutOutput "StdoutOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// When its queue is full; see file_output.when_full.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
        /// Settings that Falco does not have.
        peregrine: OwnStdoutKeys = OwnStdoutKeys::default(), extra { "$comment": "Peregrine" };
    }
}

section! {
    /// Keys of `stdout_output.peregrine`.
    pub OwnStdoutKeys "StdoutOutputPeregrine" {
        /// How alerts look; see http_output.peregrine.format.
        format: AlertFormat = AlertFormat::Auto;
        /// Which alerts the output gets.
        select: Select = Select::default();
        /// Changes to the fields of alerts.
        fields: FieldChanges = FieldChanges::default();
        /// When the reader has closed it: end (the run ends with exit code 141) or disable (the run
        /// goes on, and alerts for it are lost).
        when_closed: WhenClosed = WhenClosed::End;
    }
}

/// What happens when the reader of standard output has closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenClosed {
    /// The run ends.
    End,
    /// The run goes on without it.
    Disable,
}

words!(
    WhenClosed,
    { "type": "string", "enum": ["end", "disable"] }, "end",
    { "end" => Self::End, "disable" => Self::Disable },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("when_closed '{word}' is unknown."))
);

impl OwnStdoutKeys {
    /// Which alerts it gets and how they look.
    #[must_use]
    pub fn presentation(&self) -> Presentation {
        let Self { format, select, fields, .. } = self.clone();
        Presentation { format, select, fields }
    }
}
