//! Alerts into a file.

use std::path::PathBuf;

use super::shared::required;
use super::{Presentation, WhenFull};
use crate::declare::{optional, section};

/// Alerts into a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileOutput {
    /// Path of the file; alerts are appended.
    pub path: PathBuf,
    /// Whether the file stays open between alerts.
    pub keep_alive: bool,
    /// What happens when its queue is full.
    pub when_full: WhenFull,
    /// Which alerts it gets and how they look.
    pub presentation: Presentation,
}

section! {
    /// Keys of `file_output`.
    FileKeys "FileOutput" extra { "minProperties": 1 } {
        /// Use it.
        enabled: bool = false;
        /// Keep the file open between alerts; SIGUSR1 reopens it.
        keep_alive: bool = false;
        /// Path of the file; alerts are appended.
        filename: String = String::new();
        /// When its queue is full: drop_newest or drop_oldest (the rule that has most of the queue
        /// loses an alert), block (events wait), or auto: block in a replay, else drop_newest.
        when_full: WhenFull = WhenFull::Auto, extra { "$comment": "Peregrine" };
        /// Which alerts it gets and how they look.
        peregrine: Presentation = Presentation::default(), extra { "$comment": "Peregrine" };
    }
}

optional!(FileKeys => FileOutput, |keys, node| {
    let FileKeys { enabled, keep_alive, filename, when_full, peregrine: presentation } = keys;
    if !enabled {
        return Ok(None);
    }
    let filename =
        required(filename, "file output enabled but no filename in configuration block", node)?;
    Ok(Some(FileOutput { path: filename.into(), keep_alive, when_full, presentation }))
});
