//! Where reports go: into alerts, and into a file, one JSON object per line.

use std::collections::BTreeMap;

use peregrine_alert::Priority;
use peregrine_output::{Alert, AlertSender, Message, Outputs, Scalar, Style};
use peregrine_telemetry::metrics::MetricValue;
use peregrine_telemetry::{MetricReport, ReportSink};
use serde_json::json;

/// The destinations of reports.
pub(super) struct Reports {
    pub(super) file: Option<Outputs>,
    pub(super) alerts: Option<(AlertSender, Style)>,
}

impl ReportSink for Reports {
    fn report(&mut self, report: MetricReport) {
        if let Some(file) = &self.file {
            let line = line(&report.fields, report.sample);
            file.submit(Alert { priority: Priority::Informational, line });
        }
        if let Some((alerts, style)) = &self.alerts {
            alerts.submit(message(report).alert(style));
        }
    }

    fn reopen(&mut self) {
        if let Some(file) = &self.file {
            file.reopen();
        }
    }

    fn close(self: Box<Self>) {
        if let Some(file) = self.file {
            file.close();
        }
    }
}

fn line(fields: &BTreeMap<String, MetricValue>, sample: u64) -> Vec<u8> {
    let fields: serde_json::Map<_, _> = fields
        .iter()
        .map(|(name, value)| {
            let value = match value {
                MetricValue::Uint(value) => json!(value),
                MetricValue::Double(value) => json!(value),
                MetricValue::Text(value) => json!(value),
            };
            (name.clone(), value)
        })
        .collect();
    json!({ "output_fields": fields, "sample": sample }).to_string().into_bytes()
}

fn message(report: MetricReport) -> Message {
    let scalar = |value| match value {
        MetricValue::Uint(value) => Scalar::Uint(value),
        MetricValue::Double(value) => Scalar::Double(value),
        MetricValue::Text(value) => Scalar::Text(value),
    };
    Message {
        ts: report.ts,
        priority: Priority::Informational,
        rule: "Falco internal: metrics snapshot".to_owned(),
        text: "Falco metrics snapshot".to_owned(),
        fields: report.fields.into_iter().map(|(name, value)| (name, scalar(value))).collect(),
    }
}
