//! What became of the alerts, for each channel.

use std::fmt;
use std::time::Duration;

use crate::queue::{Counts, QueueStatus};

/// What became of the alerts of a channel so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelStatistics {
    /// Name of the channel.
    pub channel: &'static str,
    /// Alerts that the channel should deliver.
    pub submitted: u64,
    /// Alerts that were delivered.
    pub delivered: u64,
    /// Times that an alert was sent again.
    pub retried: u64,
    /// Alerts that the channel failed to deliver.
    pub failed: u64,
    /// Alerts lost because the queue was full of alerts of their rule.
    pub queue_full: u64,
    /// Alerts lost in a full queue because their rule had more there than others.
    pub over_share: u64,
    /// Alerts not delivered when the run ended.
    pub discarded: u64,
    /// Alerts that wait for delivery or are being delivered.
    pub waiting: u64,
    /// Memory of these alerts, in bytes.
    pub waiting_bytes: u64,
    /// How long the oldest of them has been waiting.
    pub oldest: Duration,
}

/// What became of the alerts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The channels.
    pub channels: Vec<ChannelStatistics>,
    /// Alerts of each rule that were lost before a channel was given them, by
    /// [`RuleId::index`](peregrine_alert::RuleId::index); each channel counts. May be shorter than
    /// the number of rules.
    pub lost_by_rule: Vec<u64>,
}

impl ChannelStatistics {
    pub(crate) fn new(channel: &'static str, status: QueueStatus, now: u64) -> Self {
        let QueueStatus { counts, bytes, oldest } = status;
        let Counts { submitted, delivered, retried, failed, full, over_share, discarded } = counts;
        Self {
            channel,
            submitted,
            delivered,
            retried,
            failed,
            queue_full: full,
            over_share,
            discarded,
            waiting: counts.waiting(),
            waiting_bytes: bytes as u64,
            oldest: Duration::from_millis(oldest.map_or(0, |oldest| now.saturating_sub(oldest))),
        }
    }

    /// Alerts that are lost, for any reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.failed + self.queue_full + self.over_share + self.discarded
    }
}

/// The channels that have lost alerts, as lines of text; nothing if all alerts were delivered.
impl fmt::Display for DeliveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lossy = self.channels.iter().filter(|channel| channel.lost() > 0);
        for (number, statistics) in lossy.enumerate() {
            if number == 0 {
                writeln!(f, "Alerts lost by output:")?;
            }
            let ChannelStatistics { channel, submitted, queue_full, over_share, .. } = statistics;
            write!(f, "   {channel}: {} of {submitted} (", statistics.lost())?;
            let reasons = [
                ("queue full", *queue_full),
                ("rule over its share", *over_share),
                ("channel failed", statistics.failed),
                ("not delivered at the end", statistics.discarded),
            ];
            let mut before = "";
            for (reason, count) in reasons.into_iter().filter(|(_, count)| *count > 0) {
                write!(f, "{before}{reason}: {count}")?;
                before = ", ";
            }
            writeln!(f, ")")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_channels_with_losses_are_listed() {
        let file = ChannelStatistics {
            channel: "file",
            submitted: 100,
            delivered: 100,
            ..ChannelStatistics::default()
        };
        let mut report = DeliveryReport { channels: vec![file], lost_by_rule: Vec::new() };
        assert_eq!(report.to_string(), "");
        report.channels.push(ChannelStatistics {
            channel: "http",
            submitted: 100,
            delivered: 90,
            over_share: 3,
            discarded: 7,
            ..ChannelStatistics::default()
        });
        insta::assert_snapshot!(report.to_string(), @r"
        Alerts lost by output:
           http: 10 of 100 (rule over its share: 3, not delivered at the end: 7)
        ");
    }
}
