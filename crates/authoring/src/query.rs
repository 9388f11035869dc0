//! Prints the events that satisfy a condition.
//!
//! The condition is that of a rule; [`Query`] is the observer of an engine that evaluates only this
//! rule. It prints a line for each match: by the output of the rule, or as JSON.
//!
//! ```
//! use peregrine_authoring::query::{FORMAT, Query};
//! use peregrine_fields::Fields;
//!
//! let query = Query::new(&Fields::syscall(), FORMAT, false, None, Vec::new());
//! assert_eq!(query.unwrap().matches, 0);
//! ```

use std::io::{self, Write};
use std::ops::ControlFlow;

use peregrine_engine::{Match, Observer};
use peregrine_event::render::Buffers;
use peregrine_event::{Event, Format};
use peregrine_fields::{Field, Fields, View};
use peregrine_filter::{PrintFormat, Template, TemplateError, Value, value_text};
use serde_json::{Map, Value as Json, json};

/// The line of an event, as users of packet analysers and of Falco's libraries know it: number,
/// time, CPU, program, thread, type, parameters.
pub const FORMAT: &str = "%evt.num %evt.time %evt.cpu %proc.name (%thread.tid) %evt.type %evt.args";
/// The same for events of containers.
const CONTAINER_FORMAT: &str = "%evt.num %evt.time %evt.cpu %container.name (%container.id) \
     %proc.name (%thread.tid) %evt.type %evt.args";
/// Fields of a JSON line.
const JSON_FORMAT: &str = "%evt.num %evt.rawtime %evt.cpu %proc.name %proc.pid %thread.tid \
     %evt.type %evt.args %fd.name %proc.cmdline %proc.pname %user.name";

/// Prints the events that match the only rule of an engine.
pub struct Query<W> {
    template: Template<Field>,
    /// For events of containers, if the line is the usual one.
    container: Option<Template<Field>>,
    json: bool,
    /// Control characters that the format itself has.
    controls: Vec<u8>,
    limit: Option<u64>,
    /// Number of matches so far.
    pub matches: u64,
    /// Whether each line is written at once.
    pub unbuffered: bool,
    out: W,
    /// What the output refused, which stops the query.
    written: io::Result<()>,
    line: Vec<u8>,
}

impl<W: Write> Query<W> {
    /// Writes a line for each of the first `limit` events: in the format, or a JSON object with the
    /// fields of the format.
    ///
    /// # Errors
    /// When the format is not valid.
    pub fn new(
        fields: &Fields,
        format: &str,
        json: bool,
        limit: Option<u64>,
        out: W,
    ) -> Result<Self, TemplateError> {
        let usual = format == FORMAT;
        let shown = if usual && json { JSON_FORMAT } else { format };
        let template = Template::compile(shown, fields)?;
        // Without container metadata there are no such fields.
        let container =
            (usual && !json).then(|| Template::compile(CONTAINER_FORMAT, fields).ok()).flatten();
        let controls = format.bytes().filter(u8::is_ascii_control).collect();
        Ok(Self {
            template,
            container,
            json,
            controls,
            limit,
            matches: 0,
            unbuffered: false,
            out,
            written: Ok(()),
            line: Vec::new(),
        })
    }

    /// Writes what is left. Returns the number of events.
    ///
    /// # Errors
    /// When the output has refused a line.
    pub fn finish(mut self) -> io::Result<u64> {
        self.written?;
        self.out.flush()?;
        Ok(self.matches)
    }

    fn print(&mut self, view: &View<'_>) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        if self.json {
            line.extend_from_slice(self.to_json(view).to_string().as_bytes());
        } else {
            self.text(view, &mut line);
        }
        line.push(b'\n');
        self.written = self.out.write_all(&line);
        if self.unbuffered && self.written.is_ok() {
            self.written = self.out.flush();
        }
        self.line = line;
    }

    fn text(&self, view: &View<'_>, line: &mut Vec<u8>) {
        let in_container = !matches!(view.container_id(), b"" | b"host");
        let template = self.container.as_ref().filter(|_| in_container).unwrap_or(&self.template);
        let mut text = Vec::new();
        template.render(view, Buffers::default(), &mut text);
        // What a monitored program names its files must not reach a terminal.
        for byte in text {
            if byte.is_ascii_control() && !self.controls.contains(&byte) {
                line.extend(byte.escape_ascii());
            } else {
                line.push(byte);
            }
        }
    }

    fn to_json(&self, view: &View<'_>) -> Json {
        let mut object = Map::new();
        for field in self.template.fields() {
            let value = field.value(view, Buffers::default());
            let value = value.map_or(Json::Null, |(value, format)| to_json(value, format));
            object.insert(field.name().to_owned(), value);
        }
        let id = view.container_id();
        if self.container_fields_are_wanted() && !matches!(id, b"" | b"host") {
            object.insert("container.id".to_owned(), String::from_utf8_lossy(id).into());
        }
        Json::Object(object)
    }

    /// A format of the user has the fields that it names, and no others.
    fn container_fields_are_wanted(&self) -> bool {
        self.template.names().iter().any(|name| name == "evt.rawtime")
    }
}

impl<W: Write> Observer for Query<W> {
    fn event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        let is_done = self.limit.is_some_and(|limit| self.matches >= limit);
        if is_done || self.written.is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn matched(&mut self, matched: &Match<'_>) {
        self.matches += 1;
        self.print(matched.view);
    }
}

/// A value in its type; numbers that print in another base than ten are texts.
fn to_json(value: Value<'_>, format: PrintFormat) -> Json {
    let is_decimal = matches!(format.format, Format::Dec);
    match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) if is_decimal => json!(value),
        Value::Uint(value) if is_decimal => json!(value),
        Value::Double(value) => json!(value),
        Value::List(items) => items.iter().map(|item| to_json(*item, format)).collect(),
        value => {
            let mut text = Vec::new();
            value_text(&mut text, value, format);
            String::from_utf8_lossy(&text).into()
        }
    }
}
