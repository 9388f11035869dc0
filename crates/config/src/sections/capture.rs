//! `capture`: recording of events around alerts.

use peregrine_files::STATE_DIRECTORY;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, section, words};
use crate::issue::ConfigIssue;

section! {
    /// Recording.
    pub Capture "Capture" {
        /// Record.
        enabled: bool = false;
        /// Prefix of the names of the files. The directory of the default is made if it is
        /// missing.
        path_prefix: String = format!("{STATE_DIRECTORY}/falco");
        /// Which alerts start a recording: those of rules with `capture: true` (`rules`) or all
        /// (`all_rules`).
        mode: CaptureMode = CaptureMode::Rules;
        /// Milliseconds to record after an alert whose rule sets no duration.
        default_duration: u32 = 5000, extra { "minimum": 0 };
        /// Size at which a recording ends; 0 means no limit.
        max_file_size_mb: u64 = 0, extra { "minimum": 0, "maximum": 1_048_576 };
        /// The oldest Falco that shall read what is recorded, also by `-w`: 0.42, 0.43 or 0.44.
        oldest_reader: OldestReader = OldestReader::Falco0_44, extra { "$comment": "Peregrine" };
    }
}

/// What starts a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureMode {
    /// Rules that ask for it.
    Rules,
    /// Every rule.
    AllRules,
}

/// The oldest version of Falco that shall read a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldestReader {
    /// 0.42.
    Falco0_42,
    /// 0.43.
    Falco0_43,
    /// 0.44 and newer.
    Falco0_44,
}

words!(
    OldestReader, { "enum": ["0.42", "0.43", "0.44"] }, "0.44",
    { "0.42" => Self::Falco0_42, "0.43" => Self::Falco0_43, "0.44" => Self::Falco0_44 },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("capture.oldest_reader '{word}' is not 0.42, 0.43 or 0.44."))
);

words!(
    CaptureMode, { "type": "string", "enum": ["rules", "all_rules"] }, "rules",
    { "rules" => Self::Rules, "all_rules" => Self::AllRules },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("capture.mode '{word}' is not a valid mode."))
);
