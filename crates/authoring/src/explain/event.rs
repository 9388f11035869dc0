//! A few lines about an event, so that a reader knows which one it is.

use peregrine_event::render::Buffers;
use peregrine_fields::{Field, Fields, View};
use peregrine_filter::{OutputField, Template, value_text};
use serde_json::{Value as Json, json};

use super::value::printable;

/// What is shown of an event, with the words that introduce it in text.
const FIELDS: [(&str, &str); 12] = [
    ("", "evt.num"),
    ("", "evt.time"),
    ("", "evt.type"),
    ("", "proc.name"),
    ("", "proc.pid"),
    ("arguments", "evt.args"),
    ("fd", "fd.name"),
    ("command", "proc.cmdline"),
    ("program", "proc.exepath"),
    ("parent", "proc.pname"),
    ("user", "user.name"),
    ("container", "container.id"),
];

/// Which fields an [`EventSummary`] shows.
pub struct EventFields {
    fields: Vec<(&'static str, OutputField<Field>)>,
}

/// What an event was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSummary {
    /// Number in its capture.
    pub number: u64,
    /// Label in text, field, and printable value; those without a value are left out.
    values: Vec<(&'static str, String, String)>,
}

impl EventFields {
    /// The fields that this vocabulary has.
    #[must_use]
    pub fn new(fields: &Fields) -> Self {
        let field = |(label, name): &(&'static str, &str)| {
            let template = Template::compile(&format!("%{name}"), fields).ok()?;
            Some((*label, template.fields().first()?.clone()))
        };
        Self { fields: FIELDS.iter().filter_map(field).collect() }
    }

    /// The values for an event.
    #[must_use]
    pub fn summary(&self, view: &View<'_>) -> EventSummary {
        let mut values = Vec::new();
        for (label, field) in &self.fields {
            let Some((value, format)) = field.value(view, Buffers::default()) else { continue };
            let mut text = Vec::new();
            value_text(&mut text, value, format);
            let is_host = field.name() == "container.id" && text == b"host";
            if !(text.is_empty() || is_host) {
                values.push((*label, field.name().to_owned(), printable(&text)));
            }
        }
        EventSummary { number: view.event().num, values }
    }
}

impl EventSummary {
    fn value(&self, field: &str) -> Option<&str> {
        self.values.iter().find(|(_, name, _)| name == field).map(|(_, _, value)| value.as_str())
    }

    /// The event in one line: `event 7, openat by cat (pid 12)`.
    #[must_use]
    pub fn title(&self) -> String {
        let mut title = format!("event {}", self.number);
        if let Some(ty) = self.value("evt.type") {
            title += &format!(", {ty}");
        }
        if let Some(name) = self.value("proc.name") {
            title += &format!(" by {name}");
        }
        if let Some(pid) = self.value("proc.pid") {
            title += &format!(" (pid {pid})");
        }
        title
    }

    /// Labels and values for the lines below the title.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let rows = self.values.iter().filter(|(label, _, _)| !label.is_empty());
        rows.map(|(label, _, value)| (*label, value.as_str()))
    }

    /// All values by their fields.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut json = serde_json::Map::new();
        json.insert("number".to_owned(), json!(self.number));
        for (_, name, value) in &self.values {
            json.insert(name.clone(), json!(value));
        }
        Json::Object(json)
    }
}
