//! JSON, with the keys of Falco.

use peregrine_alert::{Alert, Value};
use peregrine_event::render::{decimal, ip, json_escape, json_string};

use super::context::LineContext;

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

/// The keys are in alphabetical order, as in all JSON of Falco.
pub(super) fn line(context: &mut LineContext, alert: &Alert, style: JsonStyle, out: &mut Vec<u8>) {
    hostname(alert, out);
    if style.message {
        out.extend_from_slice(br#","message":"#);
        json_string(out, alert.text());
    }
    if style.output {
        out.extend_from_slice(br#","output":""#);
        context.prefix(alert, context.iso_time, out);
        json_escape(out, alert.text());
        out.push(b'"');
    }
    if style.output_fields {
        out.push(b',');
        output_fields(context, alert, out);
    }
    rule(alert, out);
    if style.tags {
        out.extend_from_slice(br#","tags":["#);
        let mut before: &[u8] = b"";
        for tag in alert.rule().tags() {
            out.extend_from_slice(before);
            json_string(out, tag.as_bytes());
            before = b",";
        }
        out.push(b']');
    }
    end(context, alert, out);
}

/// Alerts of the engine itself have all properties but tags, and no time and priority in their
/// output, whatever the configuration says: so does Falco.
pub(super) fn internal(context: &mut LineContext, alert: &Alert, out: &mut Vec<u8>) {
    hostname(alert, out);
    out.extend_from_slice(br#","output":"#);
    json_string(out, alert.text());
    out.push(b',');
    output_fields(context, alert, out);
    rule(alert, out);
    end(context, alert, out);
}

/// Fields and number.
pub(super) fn sample(context: &LineContext, alert: &Alert, out: &mut Vec<u8>) {
    out.push(b'{');
    output_fields(context, alert, out);
    out.extend_from_slice(br#","sample":"#);
    decimal(out, false, alert.number());
    out.push(b'}');
}

fn output_fields(context: &LineContext, alert: &Alert, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""output_fields":{"#);
    let mut before: &[u8] = b"";
    for (name, value) in context.fields.of(alert) {
        out.extend_from_slice(before);
        json_string(out, name.as_bytes());
        out.push(b':');
        json_value(value, out);
        before = b",";
    }
    out.push(b'}');
}

fn end(context: &mut LineContext, alert: &Alert, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","time":""#);
    context.times.utc(out, alert.time());
    out.extend_from_slice(br#"Z"}"#);
}

fn hostname(alert: &Alert, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"hostname":"#);
    json_string(out, alert.rule().hostname().as_bytes());
}

fn rule(alert: &Alert, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","priority":""#);
    out.extend_from_slice(alert.priority().name().as_bytes());
    out.extend_from_slice(br#"","rule":"#);
    json_string(out, alert.rule().name().as_bytes());
    out.extend_from_slice(br#","source":"#);
    json_string(out, alert.rule().source().as_bytes());
}

/// Appends a value as JSON. Always valid: bytes that are no UTF-8 become U+FFFD.
pub(super) fn json_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Int(value) => decimal(out, value < 0, value.unsigned_abs()),
        Value::Uint(value) => decimal(out, false, value),
        Value::Double(value) => out.extend_from_slice(format!("{value:?}").as_bytes()),
        Value::Ip(value) => {
            out.push(b'"');
            ip(value, out);
            out.push(b'"');
        }
        Value::Text(value) => json_string(out, value),
        Value::List(items) => {
            let mut before = b'[';
            for item in items {
                out.push(before);
                json_value(item, out);
                before = b',';
            }
            out.push(b']');
        }
    }
}
