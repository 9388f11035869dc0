//! What the engine itself has to say: losses, timeouts, metrics.

use std::collections::BTreeMap;

use peregrine_alert::Priority;
use peregrine_filter::{json_escape, json_string};

use crate::{Alert, Style, time};

/// A message of the engine itself. It has no rule of the user's and goes through no selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Nanoseconds since the epoch.
    pub ts: u64,
    /// How bad it is.
    pub priority: Priority,
    /// What stands where alerts have the name of their rule.
    pub rule: String,
    /// What happened.
    pub text: String,
    /// Details by name.
    pub fields: BTreeMap<String, Scalar>,
}

/// A detail of a message.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Scalar {
    Bool(bool),
    Double(f64),
    Int(i64),
    Text(String),
    Uint(u64),
}

impl Message {
    /// The message as an alert. Text has the short local time whatever the style says, and JSON has all its
    /// properties: both as the reference engine does it.
    #[must_use]
    pub fn alert(&self, style: &Style) -> Alert {
        let line = if style.json.is_some() { self.json(&style.hostname) } else { self.text() };
        Alert { priority: self.priority, line }
    }

    fn text(&self) -> Vec<u8> {
        let mut line = Vec::new();
        time::add_local_time_of_day(&mut line, self.ts);
        line.extend_from_slice(format!(": {} ", self.priority).as_bytes());
        line.extend_from_slice(self.text.as_bytes());
        line.extend_from_slice(b" (");
        let mut before = "";
        for (name, value) in &self.fields {
            line.extend_from_slice(before.as_bytes());
            line.extend_from_slice(name.as_bytes());
            line.push(b'=');
            value.json(&mut line);
            before = " ";
        }
        line.push(b')');
        line
    }

    fn json(&self, hostname: &str) -> Vec<u8> {
        let mut line = Vec::new();
        let mut property = |before: &str, text: &str| {
            line.extend_from_slice(before.as_bytes());
            json_string(&mut line, text.as_bytes());
        };
        property(r#"{"hostname":"#, hostname);
        property(r#","output":"#, &self.text);
        line.extend_from_slice(br#","output_fields":{"#);
        let mut before = "";
        for (name, value) in &self.fields {
            line.extend_from_slice(before.as_bytes());
            json_string(&mut line, name.as_bytes());
            line.push(b':');
            value.json(&mut line);
            before = ",";
        }
        line.extend_from_slice(br#"},"priority":""#);
        line.extend_from_slice(self.priority.name().as_bytes());
        line.extend_from_slice(br#"","rule":""#);
        json_escape(&mut line, self.rule.as_bytes());
        line.extend_from_slice(br#"","source":"internal","time":""#);
        time::utc(&mut line, self.ts);
        line.extend_from_slice(br#""}"#);
        line
    }
}

impl Scalar {
    fn json(&self, out: &mut Vec<u8>) {
        let text = match self {
            Self::Bool(v) => v.to_string(),
            Self::Double(v) if v.is_finite() => format!("{v:?}"),
            Self::Double(_) => "null".to_owned(),
            Self::Int(v) => v.to_string(),
            Self::Text(v) => return json_string(out, v.as_bytes()),
            Self::Uint(v) => v.to_string(),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use peregrine_filter::Buffers;

    use super::*;
    use crate::JsonStyle;

    fn drops() -> Message {
        let fields = [
            ("n_drops", Scalar::Text("1".to_owned())),
            ("ebpf_enabled", Scalar::Text("1".to_owned())),
            ("rate", Scalar::Double(0.5)),
            ("n_evts", Scalar::Uint(7)),
        ];
        Message {
            ts: 1_470_327_477_881_785_348,
            priority: Priority::Debug,
            rule: "Falco internal: syscall event drop".to_owned(),
            text: "Falco internal: \"drop\"".to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    fn line(json: bool) -> String {
        let style = Style {
            json: json.then(|| JsonStyle { output_fields: false, ..JsonStyle::default() }),
            iso_time: true,
            buffers: Buffers::Dots,
            hostname: "HOST".to_owned(),
        };
        String::from_utf8(drops().alert(&style).line).unwrap()
    }

    #[test]
    fn text_lists_the_fields_in_brackets() {
        let line = line(false);
        let (_time, rest) = line.split_once(": ").unwrap();
        assert_eq!(
            rest,
            r#"Debug Falco internal: "drop" (ebpf_enabled="1" n_drops="1" n_evts=7 rate=0.5)"#
        );
    }

    #[test]
    fn json_has_all_properties_but_tags() {
        assert_eq!(
            line(true),
            r#"{"hostname":"HOST","output":"Falco internal: \"drop\"","output_fields":{"ebpf_enabled":"1","n_drops":"1","n_evts":7,"rate":0.5},"priority":"Debug","rule":"Falco internal: syscall event drop","source":"internal","time":"2016-08-04T16:17:57.881785348Z"}"#
        );
    }
}
