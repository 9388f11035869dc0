//! How alerts look: text, JSON, OCSF or CEF.

mod cef;
mod changes;
mod context;
mod json;
mod ocsf;
mod text;
mod values;

use jiff::tz::TimeZone;
use peregrine_alert::{Alert, RuleKind};

use crate::time::TimeWriter;

pub use changes::{FieldChanges, NameCollision};
use context::LineContext;
pub use json::JsonStyle;

/// How a channel writes alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// What a line consists of.
    pub layout: Layout,
    /// Text starts with date, time and zone instead of the time of day (`time_format_iso_8601`).
    pub iso_time: bool,
    /// The zone of the time of day.
    pub zone: TimeZone,
    /// Fields that are left out or have other names.
    pub fields: FieldChanges,
}

impl Format {
    /// This layout, with times of day in UTC and all fields.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        let (zone, fields) = (TimeZone::UTC, FieldChanges::default());
        Self { layout, iso_time: false, zone, fields }
    }
}

/// What a line consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Time, priority and text.
    Text,
    /// An object with these properties.
    Json(JsonStyle),
    /// A Detection Finding of the Open Cybersecurity Schema Framework.
    Ocsf,
    /// A line of the Common Event Format.
    Cef,
    /// An object with the fields and the number of the alert, as `metrics.output_file` has them.
    Sample,
}

impl Layout {
    /// Whether a line is a JSON object.
    #[must_use]
    pub fn is_json(self) -> bool {
        !matches!(self, Self::Text | Self::Cef)
    }

    /// Whether alerts need their fields.
    #[must_use]
    pub fn shows_fields(self) -> bool {
        match self {
            Self::Text => false,
            Self::Json(style) => style.output_fields,
            Self::Ocsf | Self::Cef | Self::Sample => true,
        }
    }

    /// The fields that alerts need whatever their rules print.
    #[must_use]
    pub fn context(self) -> &'static [&'static str] {
        if self == Self::Ocsf { ocsf::CONTEXT } else { &[] }
    }
}

/// Writes alerts in one format.
#[derive(Debug)]
pub struct Formatter {
    layout: Layout,
    context: LineContext,
}

impl Formatter {
    /// Writes alerts in this format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let Format { layout, iso_time, zone, fields } = format;
        let context = LineContext { iso_time, times: TimeWriter::new(zone), fields };
        Self { layout, context }
    }

    /// Whether a line is a JSON object.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.layout.is_json()
    }

    /// Appends an alert as one line without its end. Always UTF-8.
    pub fn line(&mut self, alert: &Alert, out: &mut Vec<u8>) {
        let Self { layout, context } = self;
        match (*layout, alert.rule().kind()) {
            (Layout::Text, RuleKind::User) => text::line(context, alert, out),
            (Layout::Text, RuleKind::Internal) => text::internal(context, alert, out),
            (Layout::Json(style), RuleKind::User) => json::line(context, alert, style, out),
            (Layout::Json(_), RuleKind::Internal) => json::internal(context, alert, out),
            (Layout::Ocsf, _) => ocsf::line(context, alert, out),
            (Layout::Cef, _) => cef::line(context, alert, out),
            (Layout::Sample, _) => json::sample(context, alert, out),
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
        Formatter::new(Format { iso_time, zone, ..Format::new(layout) }).line(alert, &mut out);
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
