//! `files`: what the program writes.

use peregrine_files::FileMode;
use peregrine_yaml::Node;
use serde_json::Value as Json;

use crate::declare::{Definitions, Row, Setting, section};
use crate::issue::{ConfigCode, ConfigIssue};

section! {
    /// Files that the program writes.
    pub Files "Files" extra { "minProperties": 1 } {
        /// Permissions of captures, alert files, metrics files and profiles that the program
        /// creates, in octal. They hold arguments and environments of processes.
        mode: FileMode = FileMode::PRIVATE;
    }
}

impl Setting for FileMode {
    fn schema(definitions: &mut Definitions) -> Json {
        String::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(text) = String::read(node, key)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error| {
            let message = format!("{key} \"{text}\" is no mode of a file: {error}");
            ConfigIssue::new(ConfigCode::Value, message)
                .at(node)
                .help("a mode such as \"0600\" or \"0640\"")
        })
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        self.to_string().rows(key, about, rows);
    }
}
