//! Alerts, and how a rule that matched becomes one.

use std::collections::{BTreeMap, BTreeSet};

use peregrine_filter::{
    BufferFormat, OutputField, Supplier, Template, TemplateError, Vocabulary, json_escape,
    json_string,
};

use crate::{Priority, time};

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
    pub buffers: BufferFormat,
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

/// What a rule says about its alerts.
#[derive(Clone, Copy, Debug)]
pub struct RuleOutput<'a> {
    /// Name of the rule.
    pub rule: &'a str,
    /// Event source it listens to.
    pub source: &'a str,
    /// How bad it is.
    pub priority: Priority,
    /// Its tags in any order.
    pub tags: &'a [String],
    /// The output format, with everything that the configuration appends to it.
    pub output: &'a str,
    /// Fields that the configuration adds to `output_fields`.
    pub extra_fields: &'a [ExtraField],
}

/// A field that the configuration adds to the output fields of a JSON alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraField {
    /// A text that is formatted like an output.
    Formatted {
        /// Name among the output fields.
        name: String,
        /// The output format.
        format: String,
    },
    /// A field with its own type, under its own name.
    Raw(String),
}

/// Makes the alerts of one rule: everything that is the same in each of them is written once, at load time.
#[derive(Clone, Debug)]
pub struct AlertFormat<F> {
    priority: Priority,
    buffers: BufferFormat,
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
    /// Understands what a rule says about its alerts.
    ///
    /// # Errors
    /// When its output or the format of an extra field is wrong.
    pub fn compile<V>(
        rule: &RuleOutput<'_>,
        style: &Style,
        vocabulary: &V,
    ) -> Result<Self, TemplateError>
    where
        V: Vocabulary<Field = F> + ?Sized,
    {
        let time = if style.iso_time { "%evt.time.iso8601" } else { "%evt.time" };
        let prefix = Template::compile(&format!("{time}: {} ", rule.priority), vocabulary)?;
        // An empty output is fine: the line then ends after the priority.
        let message = Template::compile(&starred(rule.output), vocabulary)?;
        let json = match style.json {
            None => None,
            Some(json) => {
                let fields = match json.output_fields {
                    true => Some(output_fields(rule, &prefix, &message, vocabulary)?),
                    false => None,
                };
                Some(json_pieces(rule, json, fields, &style.hostname))
            }
        };
        Ok(Self { priority: rule.priority, buffers: style.buffers, prefix, message, json })
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

/// What a name among the output fields stands for. `None` is always null.
type FieldValues<F> = BTreeMap<String, Option<Piece<F>>>;

/// The output fields by name. The time in front of the line is one, and extra fields win over all others.
fn output_fields<F, V>(
    rule: &RuleOutput<'_>,
    prefix: &Template<F>,
    message: &Template<F>,
    vocabulary: &V,
) -> Result<FieldValues<F>, TemplateError>
where
    F: Clone,
    V: Vocabulary<Field = F> + ?Sized,
{
    let fields = message.fields().iter().chain(prefix.fields());
    let mut values: FieldValues<F> =
        fields.map(|field| (field.name().to_owned(), Some(Piece::Field(field.clone())))).collect();
    for extra in rule.extra_fields {
        let (name, value) = match extra {
            ExtraField::Formatted { name, format } => {
                (name, Some(Piece::Formatted(Template::compile(&starred(format), vocabulary)?)))
            }
            ExtraField::Raw(name) => {
                let template = Template::compile(&format!("%{name}"), vocabulary)?;
                let field = template.fields().iter().find(|field| field.name() == name);
                (name, field.cloned().map(Piece::Field))
            }
        };
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// The keys are in alphabetical order, as all JSON of the reference engine.
fn json_pieces<F>(
    rule: &RuleOutput<'_>,
    style: JsonStyle,
    fields: Option<FieldValues<F>>,
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
    if let Some(fields) = fields {
        json.literal(r#","output_fields":"#);
        let mut before = "{";
        for (name, value) in fields {
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
    json.string(rule.rule);
    json.literal(r#","source":"#);
    json.string(rule.source);
    if style.tags {
        json.literal(r#","tags":["#);
        let mut before = "";
        for tag in rule.tags.iter().collect::<BTreeSet<_>>() {
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

/// With the `*` that templates drop: it makes an empty text one that may be printed.
fn starred(format: &str) -> String {
    if format.starts_with('*') { format.to_owned() } else { format!("*{format}") }
}

#[cfg(test)]
mod tests;
