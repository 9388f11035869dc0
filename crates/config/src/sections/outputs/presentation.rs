//! Which alerts an output gets, and how they look there.

use std::collections::BTreeSet;

use peregrine_alert::Priority;
use peregrine_yaml::Node;
use serde_json::{Value as Json, json};

use crate::declare::{Definitions, Row, Setting, section, words};
use crate::issue::{ConfigCode, ConfigIssue};

section! {
    /// Keys that Falco's outputs have below `peregrine`, and other outputs directly. An output with
    /// more keys of its own declares these three beside them.
    pub Presentation "Presentation" {
        /// How alerts look: text, json, ocsf (OCSF Detection Finding), cef, or auto: json or text
        /// as json_output says.
        format: AlertFormat = AlertFormat::Auto;
        /// Which alerts the output gets.
        select: Select = Select::default();
        /// Changes to the fields of alerts.
        fields: FieldChanges = FieldChanges::default();
    }
}

section! {
    /// Which alerts an output gets: those that meet all conditions.
    pub Select "Select" {
        /// Lowest priority.
        priority: Priority = Priority::Debug;
        /// Rules with one of these tags.
        tags: Vec<String> = Vec::new();
        /// Rules with one of these names; `*` matches any text.
        rules: Vec<String> = Vec::new();
    }
}

section! {
    /// Changes to the fields of alerts.
    pub FieldChanges "FieldChanges" {
        /// Names of fields that are left out; `*` matches any text.
        drop: Vec<String> = Vec::new();
        /// Other names for fields.
        rename: Renames = Renames::default();
    }
}

/// How alerts look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertFormat {
    /// JSON or text, as `json_output` says.
    Auto,
    /// Lines of text.
    Text,
    /// The JSON of Falco.
    Json,
    /// Detection Findings of the Open Cybersecurity Schema Framework.
    Ocsf,
    /// The Common Event Format.
    Cef,
}

words!(
    AlertFormat,
    { "type": "string", "enum": ["auto", "text", "json", "ocsf", "cef"] }, "auto",
    {
        "auto" => Self::Auto, "text" => Self::Text, "json" => Self::Json, "ocsf" => Self::Ocsf,
        "cef" => Self::Cef
    },
    str::to_owned,
    |word| ConfigIssue::in_file(format!("format '{word}' is unknown."))
);

/// Fields with their new names, which are all different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renames(pub Vec<(String, String)>);

impl Setting for Renames {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "object", "additionalProperties": { "type": "string", "minLength": 1 } })
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(map) = node.as_map() else { return Ok(None) };
        let mut names = BTreeSet::new();
        let entry = |(from, to): &(Node, Node)| {
            let text = |node: &Node| match node.as_str() {
                Some(text) if !text.is_empty() => Ok(text.to_owned()),
                _ => Err(ConfigIssue::bad_conversion(node).help("the name of a field")),
            };
            let (from, name) = (text(from)?, text(to)?);
            if !names.insert(name.clone()) {
                let message = format!("{key}: two fields get the name '{name}'");
                return Err(ConfigIssue::new(ConfigCode::Value, message)
                    .at(to)
                    .help("the names of the fields of an alert are all different"));
            }
            Ok((from, name))
        };
        map.0.iter().map(entry).collect::<Result<_, _>>().map(|renames| Some(Self(renames)))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        let (key, default) = (format!("{key}{{}}"), "empty".to_owned());
        rows.push(Row { key, default, about: about.to_owned() });
    }
}
