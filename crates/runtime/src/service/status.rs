//! The line that a service manager shows for the run.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use peregrine_output::{AlertSender, ChannelStatistics};
use peregrine_probe::Losses;

use super::ReloadOutcome;

/// Maximum age of the counters.
const MAX_AGE: Duration = Duration::from_secs(1);

/// What the line is made of.
pub(super) struct Status {
    losses: Option<Losses>,
    alerts: AlertSender,
    rules: usize,
    reload_failed: bool,
    /// When the events were last counted, and how many there were.
    before: Option<(Instant, u64)>,
}

/// The figures of the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    /// Events per second and lost events; `None` where the kernel is not monitored.
    kernel: Option<(u64, u64)>,
    rules: usize,
    alerts: u64,
    lost_alerts: u64,
    reload_failed: bool,
}

impl Status {
    pub(super) fn new(losses: Option<Losses>, alerts: AlertSender, rules: usize) -> Self {
        Self { losses, alerts, rules, reload_failed: false, before: None }
    }

    /// A reload is over.
    pub(super) fn reloaded(&mut self, outcome: ReloadOutcome) {
        self.reload_failed = outcome == ReloadOutcome::Failed;
        if let ReloadOutcome::Rules(rules) = outcome {
            self.rules = rules;
        }
    }

    pub(super) fn text(&mut self) -> String {
        let channels = self.alerts.statistics();
        let figures = Figures {
            kernel: self.kernel(),
            rules: self.rules,
            // Each channel should deliver all alerts.
            alerts: channels.iter().map(|channel| channel.submitted).max().unwrap_or_default(),
            lost_alerts: channels.iter().map(ChannelStatistics::lost).sum(),
            reload_failed: self.reload_failed,
        };
        figures.text()
    }

    fn kernel(&mut self) -> Option<(u64, u64)> {
        let reading = self.losses.as_ref()?.refresh(MAX_AGE).ok()?;
        let (now, total) = (Instant::now(), reading.statistics.total());
        let (then, before) = self.before.replace((now, total.events())).unwrap_or((now, 0));
        let seconds = now.duration_since(then).as_secs_f64();
        let new = total.events().saturating_sub(before) as f64;
        Some((if seconds > 0.0 { (new / seconds) as u64 } else { 0 }, total.lost()))
    }
}

impl Figures {
    fn text(&self) -> String {
        let Self { kernel, rules, alerts, lost_alerts, .. } = self;
        let mut text = match kernel {
            Some((rate, lost)) => format!("{rate} events/s, {lost} lost; "),
            None => String::new(),
        };
        // Writing into a string does not fail.
        let _ = write!(text, "{rules} rules; {alerts} alerts, {lost_alerts} lost");
        if self.reload_failed {
            text += "; the last reload failed, and the rules before it are in force";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_events_rules_alerts_and_losses() {
        let figures = Figures { rules: 57, alerts: 12, ..Figures::default() };
        assert_eq!(figures.text(), "57 rules; 12 alerts, 0 lost");
        let figures =
            Figures { kernel: Some((1234, 5)), lost_alerts: 2, reload_failed: true, ..figures };
        assert_eq!(
            figures.text(),
            "1234 events/s, 5 lost; 57 rules; 12 alerts, 2 lost; the last reload failed, and the rules before \
             it are in force"
        );
    }
}
