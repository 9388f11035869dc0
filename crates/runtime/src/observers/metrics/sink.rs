//! Destinations of metric reports: alerts, and a file with one JSON object per line.

use peregrine_alert::{AlertOrigin, InternalRule, Priority, Scalar};
use peregrine_output::{AlertSender, Drain, Outputs};
use peregrine_telemetry::metrics::MetricValue;
use peregrine_telemetry::{MetricReport, ReportSink};

/// The destinations of reports.
pub(super) struct Reports {
    rule: InternalRule,
    file: Option<Outputs>,
    alerts: Option<AlertSender>,
}

impl Reports {
    pub(super) fn new(
        origin: &AlertOrigin,
        file: Option<Outputs>,
        alerts: Option<AlertSender>,
    ) -> Self {
        let name = "Falco internal: metrics snapshot";
        Self { rule: InternalRule::new(origin, name, Priority::Informational), file, alerts }
    }
}

impl ReportSink for Reports {
    fn report(&mut self, report: MetricReport) {
        let fields = report.fields.into_iter().map(|(name, value)| (name, scalar(value)));
        let alert = self.rule.alert(report.ts, "Falco metrics snapshot", fields.collect());
        debug_assert_eq!(alert.number(), report.sample);
        if let Some(file) = &self.file {
            file.submit(alert.clone());
        }
        if let Some(alerts) = &self.alerts {
            alerts.submit(alert);
        }
    }

    fn reopen(&mut self) {
        if let Some(file) = &self.file {
            file.reopen();
        }
    }

    fn close(self: Box<Self>) {
        if let Some(file) = self.file {
            file.close(Drain::WhileProgress);
        }
    }
}

fn scalar(value: MetricValue) -> Scalar {
    match value {
        MetricValue::Uint(value) => Scalar::Uint(value),
        MetricValue::Double(value) => Scalar::Double(value),
        MetricValue::Text(value) => Scalar::Text(value),
    }
}
