//! Alerts, and how a rule that matched becomes one.

use std::collections::BTreeMap;

use peregrine_alert::Priority;
use peregrine_filter::{
    Buffers, OutputField, Supplier, Template, TemplateError, Vocabulary, json_escape, json_string,
};
use peregrine_rules::Rule;

use crate::time;

/// An alert, ready to be delivered: it needs nothing of the event any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// How bad it is.
    pub priority: Priority,
    /// One line without its end: text or JSON. Always UTF-8.
    pub line: Vec<u8>,
}

/// How alerts look.
#[derive(Clone, Debug)]
pub struct Style {
    /// `json_output`: JSON instead of text.
    pub json: Option<JsonStyle>,
    /// `time_format_iso_8601`: the line starts with date, time and zone instead of the time of day.
    pub iso_time: bool,
    /// `buffer_format_base64`.
    pub buffers: Buffers,
    /// Name of the machine.
    pub hostname: String,
}

/// Which properties a JSON alert has beside those that it always has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonStyle {
    /// `json_include_message_property`
    pub message: bool,
    /// `json_include_output_property`
    pub output: bool,
    /// `json_include_output_fields_property`
    pub output_fields: bool,
    /// `json_include_tags_property`
    pub tags: bool,
}

impl Default for JsonStyle {
    fn default() -> Self {
        Self { message: false, output: true, output_fields: true, tags: true }
    }
}

/// Makes the alerts of one rule: everything that is the same in each of them is written once, at load time.
#[derive(Clone, Debug)]
pub struct AlertFormat<F> {
    priority: Priority,
    buffers: Buffers,
    prefix: Template<F>,
    message: Template<F>,
    /// `None` prints text.
    json: Option<Vec<Piece<F>>>,
}

/// A JSON alert is these, one after the other.
#[derive(Clone, Debug)]
enum Piece<F> {
    Literal(Vec<u8>),
    /// The message without time and priority.
    Message,
    /// The whole text line.
    Output,
    Field(OutputField<F>),
    Formatted(Template<F>),
    Time,
}

impl<F: Clone> AlertFormat<F> {
    /// The alerts of a rule.
    ///
    /// # Errors
    /// When the vocabulary does not know the time of an event.
    pub fn new<V>(rule: &Rule<F>, style: &Style, vocabulary: &V) -> Result<Self, TemplateError>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        let time = if style.iso_time { "%evt.time.iso8601" } else { "%evt.time" };
        let prefix = Template::compile(&format!("{time}: {} ", rule.priority), vocabulary)?;
        let json = style.json.map(|json| json_pieces(rule, json, &prefix, &style.hostname));
        let (priority, buffers, message) = (rule.priority, style.buffers, rule.template.clone());
        Ok(Self { priority, buffers, prefix, message, json })
    }
}

impl<F> AlertFormat<F> {
    /// The alert for an event that happened at `ts` (nanoseconds since the epoch).
    pub fn alert<S>(&self, ts: u64, supplier: &S) -> Alert
    where
        S: Supplier<F> + ?Sized,
    {
        let mut output = Vec::with_capacity(256);
        self.prefix.render(supplier, self.buffers, &mut output);
        let message_start = output.len();
        self.message.render(supplier, self.buffers, &mut output);

        let mut line = Vec::with_capacity(output.len() + 64);
        let Some(pieces) = &self.json else {
            json_escape(&mut line, &output);
            return Alert { priority: self.priority, line };
        };
        for piece in pieces {
            match piece {
                Piece::Literal(text) => line.extend_from_slice(text),
                Piece::Message => {
                    json_string(&mut line, output.get(message_start..).unwrap_or_default());
                }
                Piece::Output => json_string(&mut line, &output),
                Piece::Field(field) => field.json(supplier, self.buffers, &mut line),
                Piece::Formatted(template) => {
                    let mut text = Vec::new();
                    template.render(supplier, self.buffers, &mut text);
                    json_string(&mut line, &text);
                }
                Piece::Time => time::utc(&mut line, ts),
            }
        }
        Alert { priority: self.priority, line }
    }
}

/// What each name among the output fields stands for; `None` is always null.
fn output_fields<F: Clone>(
    rule: &Rule<F>,
    prefix: &Template<F>,
) -> BTreeMap<String, Option<Piece<F>>> {
    let fields = rule.template.fields().iter().chain(prefix.fields());
    let fields = fields.map(|field| (field.name().to_owned(), Some(Piece::Field(field.clone()))));
    // Extra fields win over all others.
    let extra = rule.extra_fields.iter().map(|(name, extra)| {
        let value = if extra.raw {
            let field = extra.template.fields().iter().find(|field| field.name() == name);
            field.cloned().map(Piece::Field)
        } else {
            Some(Piece::Formatted(extra.template.clone()))
        };
        (name.clone(), value)
    });
    fields.chain(extra).collect()
}

/// The keys are in alphabetical order, as all JSON of the reference engine.
fn json_pieces<F: Clone>(
    rule: &Rule<F>,
    style: JsonStyle,
    prefix: &Template<F>,
    hostname: &str,
) -> Vec<Piece<F>> {
    let mut json = Pieces::default();
    json.literal(r#"{"hostname":"#);
    json.string(hostname);
    if style.message {
        json.literal(r#","message":"#);
        json.piece(Piece::Message);
    }
    if style.output {
        json.literal(r#","output":"#);
        json.piece(Piece::Output);
    }
    if style.output_fields {
        json.literal(r#","output_fields":"#);
        let mut before = "{";
        for (name, value) in output_fields(rule, prefix) {
            json.literal(before);
            json.string(&name);
            json.literal(":");
            match value {
                Some(value) => json.piece(value),
                None => json.literal("null"),
            }
            before = ",";
        }
        json.literal("}");
    }
    json.literal(r#","priority":"#);
    json.string(rule.priority.name());
    json.literal(r#","rule":"#);
    json.string(&rule.name);
    json.literal(r#","source":"#);
    json.string(&rule.source);
    if style.tags {
        json.literal(r#","tags":["#);
        let mut before = "";
        for tag in &rule.tags {
            json.literal(before);
            json.string(tag);
            before = ",";
        }
        json.literal("]");
    }
    json.literal(r#","time":""#);
    json.piece(Piece::Time);
    json.literal(r#""}"#);
    json.finish()
}

/// Puts pieces together; neighbouring literals become one.
struct Pieces<F> {
    done: Vec<Piece<F>>,
    literal: Vec<u8>,
}

impl<F> Default for Pieces<F> {
    fn default() -> Self {
        Self { done: Vec::new(), literal: Vec::new() }
    }
}

impl<F> Pieces<F> {
    fn literal(&mut self, text: &str) {
        self.literal.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &str) {
        json_string(&mut self.literal, text.as_bytes());
    }

    fn piece(&mut self, piece: Piece<F>) {
        self.done.push(Piece::Literal(std::mem::take(&mut self.literal)));
        self.done.push(piece);
    }

    fn finish(mut self) -> Vec<Piece<F>> {
        self.done.push(Piece::Literal(self.literal));
        self.done
    }
}

#[cfg(test)]
mod tests;
