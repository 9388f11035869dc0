//! Destinations of metric reports: alerts, and a file with one JSON object per line.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peregrine_alert::{AlertOrigin, InternalRule, Priority, Scalar};
use peregrine_output::{AlertSender, Delivery, Drain, Outputs};
use peregrine_telemetry::metrics::MetricValue;
use peregrine_telemetry::{MetricReport, ReportSink};

/// Makes alerts of reports.
pub(super) struct Reports {
    rule: InternalRule,
    destinations: Destinations,
}

/// Where reports go. Clones are the same.
#[derive(Clone)]
pub(super) struct Destinations(Arc<Mutex<State>>);

struct State {
    file: Option<Outputs>,
    as_alert: bool,
    alerts: AlertSender,
    report: peregrine_output::Report,
}

impl Destinations {
    /// Nowhere yet.
    pub(super) fn new(alerts: AlertSender, report: peregrine_output::Report) -> Self {
        Self(Arc::new(Mutex::new(State { file: None, as_alert: false, alerts, report })))
    }

    /// Changes them. The file is opened by the next report.
    ///
    /// # Errors
    /// When a thread cannot be created.
    pub(super) fn configure(&self, file: Option<Delivery>, as_alert: bool) -> io::Result<()> {
        let mut state = self.lock();
        let old = match (&mut state.file, file) {
            (Some(outputs), Some(file)) => {
                let next = outputs.planner().prepare(file)?;
                outputs.install(next);
                None
            }
            (None, Some(file)) => {
                let outputs = Outputs::start(file, state.report.clone())?;
                state.file.replace(outputs)
            }
            (_, None) => state.file.take(),
        };
        state.as_alert = as_alert;
        drop(state);
        close(old);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reports {
    pub(super) fn new(origin: &AlertOrigin, destinations: Destinations) -> Self {
        let name = "Falco internal: metrics snapshot";
        let rule = InternalRule::new(origin, name, Priority::Informational);
        Self { rule, destinations }
    }
}

impl ReportSink for Reports {
    fn report(&mut self, report: MetricReport) {
        let fields = report.fields.into_iter().map(|(name, value)| (name, scalar(value)));
        let alert = self.rule.alert(report.ts, "Falco metrics snapshot", fields.collect());
        debug_assert_eq!(alert.number(), report.sample);
        let state = self.destinations.lock();
        if let Some(file) = &state.file {
            file.submit(alert.clone());
        }
        if state.as_alert {
            state.alerts.submit(alert);
        }
    }

    fn reopen(&mut self) {
        if let Some(file) = &self.destinations.lock().file {
            file.reopen();
        }
    }

    fn close(self: Box<Self>) {
        close(self.destinations.lock().file.take());
    }
}

fn close(file: Option<Outputs>) {
    if let Some(file) = file {
        file.close(Drain::WhileProgress);
    }
}

fn scalar(value: MetricValue) -> Scalar {
    match value {
        MetricValue::Uint(value) => Scalar::Uint(value),
        MetricValue::Int(value) => Scalar::Int(value),
        MetricValue::Double(value) => Scalar::Double(value),
        MetricValue::Text(value) => Scalar::Text(value),
    }
}
