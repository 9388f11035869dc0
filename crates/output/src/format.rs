//! How alerts look: a line of text or of JSON.

use jiff::tz::TimeZone;
use peregrine_alert::{Alert, RuleKind, Value};
use peregrine_event::render::{decimal, ip, json_escape, json_string};

use crate::time::TimeWriter;

/// How a channel writes alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// What a line consists of.
    pub layout: Layout,
    /// Text starts with date, time and zone instead of the time of day (`time_format_iso_8601`).
    pub iso_time: bool,
    /// The zone of the time of day.
    pub zone: TimeZone,
}

/// What a line consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Time, priority and text.
    Text,
    /// An object with these properties.
    Json(JsonStyle),
    /// An object with the fields and the number of the alert, as `metrics.output_file` has them.
    Sample,
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

/// Writes alerts in one format.
#[derive(Debug)]
pub struct Formatter {
    layout: Layout,
    iso_time: bool,
    times: TimeWriter,
}

impl Formatter {
    /// Writes alerts in this format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let Format { layout, iso_time, zone } = format;
        Self { layout, iso_time, times: TimeWriter::new(zone) }
    }

    /// Whether a line is a JSON object.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.layout != Layout::Text
    }

    /// Appends an alert as one line without its end. Always UTF-8.
    pub fn line(&mut self, alert: &Alert, out: &mut Vec<u8>) {
        match (self.layout, alert.rule().kind()) {
            (Layout::Text, RuleKind::User) => {
                self.prefix(alert, self.iso_time, out);
                json_escape(out, alert.text());
            }
            (Layout::Text, RuleKind::Internal) => self.internal_text(alert, out),
            (Layout::Json(style), RuleKind::User) => self.json(alert, style, out),
            (Layout::Json(_), RuleKind::Internal) => self.internal_json(alert, out),
            (Layout::Sample, _) => sample(alert, out),
        }
    }

    /// Appends time and priority, which stand before the text.
    fn prefix(&mut self, alert: &Alert, iso_time: bool, out: &mut Vec<u8>) {
        if iso_time {
            self.times.utc(out, alert.time());
            out.extend_from_slice(b"+0000");
        } else {
            self.times.local(out, alert.time());
        }
        out.extend_from_slice(b": ");
        out.extend_from_slice(alert.priority().name().as_bytes());
        out.push(b' ');
    }

    /// The keys are in alphabetical order, as in all JSON of Falco.
    fn json(&mut self, alert: &Alert, style: JsonStyle, out: &mut Vec<u8>) {
        hostname(alert, out);
        if style.message {
            out.extend_from_slice(br#","message":"#);
            json_string(out, alert.text());
        }
        if style.output {
            out.extend_from_slice(br#","output":""#);
            self.prefix(alert, self.iso_time, out);
            json_escape(out, alert.text());
            out.push(b'"');
        }
        if style.output_fields {
            out.push(b',');
            output_fields(alert, out);
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
        self.end(alert, out);
    }

    /// Alerts of the engine itself have all properties but tags, and no time and priority in their
    /// output, whatever the configuration says: so does Falco.
    fn internal_json(&mut self, alert: &Alert, out: &mut Vec<u8>) {
        hostname(alert, out);
        out.extend_from_slice(br#","output":"#);
        json_string(out, alert.text());
        out.push(b',');
        output_fields(alert, out);
        rule(alert, out);
        self.end(alert, out);
    }

    /// Text has the short local time whatever the configuration says, and lists the fields: so does
    /// Falco.
    fn internal_text(&mut self, alert: &Alert, out: &mut Vec<u8>) {
        self.prefix(alert, false, out);
        out.extend_from_slice(alert.text());
        let mut before: &[u8] = b" (";
        for (name, value) in alert.fields() {
            out.extend_from_slice(before);
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            json_value(value, out);
            before = b" ";
        }
        out.push(b')');
    }

    fn end(&mut self, alert: &Alert, out: &mut Vec<u8>) {
        out.extend_from_slice(br#","time":""#);
        self.times.utc(out, alert.time());
        out.extend_from_slice(br#"Z"}"#);
    }
}

fn sample(alert: &Alert, out: &mut Vec<u8>) {
    out.push(b'{');
    output_fields(alert, out);
    out.extend_from_slice(br#","sample":"#);
    decimal(out, false, alert.number());
    out.push(b'}');
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

fn output_fields(alert: &Alert, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""output_fields":{"#);
    let mut before: &[u8] = b"";
    for (name, value) in alert.fields() {
        out.extend_from_slice(before);
        json_string(out, name.as_bytes());
        out.push(b':');
        json_value(value, out);
        before = b",";
    }
    out.push(b'}');
}

/// Appends a value as JSON. Always valid: bytes that are no UTF-8 become U+FFFD.
fn json_value(value: Value<'_>, out: &mut Vec<u8>) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peregrine_alert::{
        AlertBuilder, AlertOrigin, InternalRule, Priority, RuleInfo, RuleRegistry, Scalar,
    };

    use super::*;

    const TS: u64 = 1_470_327_477_881_785_348;

    fn origin() -> AlertOrigin {
        AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST")
    }

    fn line(layout: Layout, iso_time: bool, alert: &Alert) -> String {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let mut out = Vec::new();
        Formatter::new(Format { layout, iso_time, zone }).line(alert, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn internal() -> Alert {
        let rule =
            InternalRule::new(&origin(), "Falco internal: syscall event drop", Priority::Debug);
        let fields = [
            ("n_drops", Scalar::Text("1".to_owned())),
            ("ebpf_enabled", Scalar::Text("1".to_owned())),
            ("rate", Scalar::Double(0.5)),
            ("n_evts", Scalar::Uint(7)),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
        rule.alert(TS, "Falco internal: \"drop\"", fields)
    }

    #[test]
    fn internal_text_lists_the_fields_in_brackets() {
        assert_eq!(
            line(Layout::Text, true, &internal()),
            r#"18:17:57.881785348: Debug Falco internal: "drop" (ebpf_enabled="1" n_drops="1" n_evts=7 rate=0.5)"#
        );
    }

    #[test]
    fn internal_json_has_all_properties_but_tags() {
        let style = JsonStyle { output_fields: false, ..JsonStyle::default() };
        assert_eq!(
            line(Layout::Json(style), true, &internal()),
            r#"{"hostname":"HOST","output":"Falco internal: \"drop\"","output_fields":{"ebpf_enabled":"1","n_drops":"1","n_evts":7,"rate":0.5},"priority":"Debug","rule":"Falco internal: syscall event drop","source":"internal","time":"2016-08-04T16:17:57.881785348Z"}"#
        );
    }

    #[test]
    fn a_sample_has_fields_and_number() {
        assert_eq!(
            line(Layout::Sample, false, &internal()),
            r#"{"output_fields":{"ebpf_enabled":"1","n_drops":"1","n_evts":7,"rate":0.5},"sample":1}"#
        );
    }

    #[test]
    fn values_of_all_types_are_json() {
        let names = ('a'..='i').map(String::from).collect();
        let rule = RuleInfo::new(&origin(), "syscall", "R", Priority::Error, vec![], names);
        let mut alert = AlertBuilder::new(Arc::new(rule), TS, 1, |_| {});
        alert.null();
        alert.bool(true);
        alert.int(i64::MIN);
        alert.uint(u64::MAX);
        alert.double(0.054_931_640_625);
        alert.ip("::1.2.3.4".parse().unwrap());
        alert.text(|out| out.extend_from_slice(b"a\"\\caf\xe9"));
        alert.list(|list| {
            list.text(|out| out.extend_from_slice(b"file"));
            list.list(|inner| inner.int(-1));
        });
        alert.double(90.0);
        let style = JsonStyle { output: false, tags: false, ..JsonStyle::default() };
        assert_eq!(
            line(Layout::Json(style), false, &alert.finish()),
            concat!(
                r#"{"hostname":"HOST","output_fields":{"a":null,"b":true,"c":-9223372036854775808,"#,
                r#""d":18446744073709551615,"e":0.054931640625,"f":"::1.2.3.4","g":"a\"\\caf"#,
                "\u{fffd}",
                r#"","h":["file",[-1]],"i":90.0},"priority":"Error","rule":"R","source":"syscall","#,
                r#""time":"2016-08-04T16:17:57.881785348Z"}"#
            )
        );
    }
}
