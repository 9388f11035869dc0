//! Alerts about missing events (`syscall_event_timeouts`).

use peregrine_alert::{Alert, AlertOrigin, InternalRule, Priority, Scalar};
use peregrine_output::local_time_of_day;
use peregrine_telemetry::TimeoutMonitor;

/// When missing events are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutSettings {
    /// Consecutive timeouts that are not reported.
    pub max_consecutives: u32,
    /// Whether an ongoing silence is reported repeatedly. A single monitored service may be idle
    /// for long.
    pub repeats: bool,
}

/// Rule name of these alerts.
const RULE: &str = "Falco internal: timeouts notification";

/// Reports that no events arrive.
#[derive(Debug)]
pub struct Timeouts {
    monitor: TimeoutMonitor,
    rule: InternalRule,
}

impl Timeouts {
    /// Without an event so far.
    pub fn new(settings: TimeoutSettings, origin: &AlertOrigin) -> Self {
        let TimeoutSettings { max_consecutives, repeats } = settings;
        Self {
            monitor: TimeoutMonitor::new(max_consecutives, repeats),
            rule: InternalRule::new(origin, RULE, Priority::Debug),
        }
    }

    /// Changes what is reported from now on.
    pub(crate) fn configure(&mut self, settings: TimeoutSettings) {
        self.monitor.configure(settings.max_consecutives, settings.repeats);
    }

    /// An event has this time, in nanoseconds.
    #[inline]
    pub(crate) fn event(&mut self, ts: u64) {
        self.monitor.event(ts);
    }

    /// No event is available. Returns an alert if that is to be reported.
    pub(crate) fn idle(&mut self, now: u64) -> Option<Alert> {
        self.monitor.idle(now).then(|| self.silence(now))
    }

    fn silence(&self, now: u64) -> Alert {
        let last = self.monitor.last_event().map_or_else(|| "none".to_owned(), local_time_of_day);
        let max = self.monitor.max_consecutives();
        let text = format!("{RULE}. {max} consecutive timeouts without event.");
        self.rule.alert(now, &text, [("last_event_time".to_owned(), Scalar::Text(last))].into())
    }
}
