//! What became of the alerts, for each channel.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use peregrine_alert::RuleId;

use crate::counts::Counts;
use crate::queue::QueueStatus;
use crate::summary::Summary;

/// What became of the alerts of a channel so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelStatistics {
    /// Name of the channel.
    pub channel: &'static str,
    /// Alerts that the channel should deliver.
    pub submitted: u64,
    /// Alerts that an earlier run has left in the spool.
    pub recovered: u64,
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
    /// Alerts lost because the spool was full.
    pub spool_full: u64,
    /// Alerts that were in the spool for too long.
    pub expired: u64,
    /// Alerts lost because the spool was damaged.
    pub damaged: u64,
    /// Alerts that are in the spool.
    pub spooled: u64,
    /// Bytes of the spool.
    pub spool_bytes: u64,
    /// Alerts that wait for delivery or are being delivered.
    pub waiting: u64,
    /// Memory of these alerts, in bytes.
    pub waiting_bytes: u64,
    /// How long the oldest of them has been waiting, or the oldest in the spool.
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
        let QueueStatus { counts, bytes, oldest, spool_bytes } = status;
        let Counts { submitted, recovered, delivered, retried, .. } = counts;
        let Counts { failed, full, over_share, discarded, .. } = counts;
        let Counts { spool_full, expired, damaged, .. } = counts;
        Self {
            channel,
            submitted,
            recovered,
            delivered,
            retried,
            failed,
            queue_full: full,
            over_share,
            discarded,
            spool_full,
            expired,
            damaged,
            spooled: counts.spooled(),
            spool_bytes,
            waiting: counts.waiting(),
            waiting_bytes: bytes as u64,
            oldest: Duration::from_millis(oldest.map_or(0, |oldest| now.saturating_sub(oldest))),
        }
    }

    /// Alerts that are lost, for any reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let spool = self.spool_full + self.expired + self.damaged;
        self.failed + self.queue_full + self.over_share + self.discarded + spool
    }
}

impl DeliveryReport {
    /// The channels that have lost alerts, and the rules whose alerts they are, as lines of text;
    /// nothing if all alerts were delivered.
    pub fn losses<'a>(&'a self, rules: &'a Summary) -> impl fmt::Display + 'a {
        Losses { report: self, rules }
    }

    /// Rules with the alerts that were lost before a channel was given them, most losses first.
    fn lossy_rules<'a>(&self, rules: &'a Summary) -> Vec<(&'a str, u64)> {
        let lost = |rule: RuleId| self.lost_by_rule.get(rule.index()).copied().unwrap_or_default();
        let names = rules.names().map(|(rule, name)| (name, lost(rule)));
        let mut lossy: Vec<_> = names.filter(|(_, lost)| *lost > 0).collect();
        lossy.sort_by_key(|(_, lost)| Reverse(*lost));
        lossy
    }
}

struct Losses<'a> {
    report: &'a DeliveryReport,
    rules: &'a Summary,
}

/// Rules that are listed, at most.
const MAX_LISTED: usize = 20;

impl fmt::Display for Losses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lossy = self.report.channels.iter().filter(|channel| channel.lost() > 0);
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
                ("spool full", statistics.spool_full),
                ("too long in the spool", statistics.expired),
                ("spool damaged", statistics.damaged),
                ("not delivered at the end", statistics.discarded),
            ];
            let mut before = "";
            for (reason, count) in reasons.into_iter().filter(|(_, count)| *count > 0) {
                write!(f, "{before}{reason}: {count}")?;
                before = ", ";
            }
            writeln!(f, ")")?;
        }
        for (number, statistics) in
            self.report.channels.iter().filter(|c| c.spooled > 0).enumerate()
        {
            if number == 0 {
                writeln!(f, "Alerts left in the spool, for the next run:")?;
            }
            writeln!(f, "   {}: {}", statistics.channel, statistics.spooled)?;
        }
        let lossy = self.report.lossy_rules(self.rules);
        if !lossy.is_empty() {
            writeln!(f, "Alerts lost by rule name, in all outputs:")?;
        }
        for (name, lost) in lossy.iter().take(MAX_LISTED) {
            writeln!(f, "   {name}: {lost}")?;
        }
        match lossy.get(MAX_LISTED..).unwrap_or_default() {
            [] => Ok(()),
            others => {
                let lost: u64 = others.iter().map(|(_, lost)| lost).sum();
                writeln!(f, "   {} other rules: {lost}", others.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use peregrine_alert::RuleRegistry;

    use super::*;

    #[test]
    fn only_channels_and_rules_with_losses_are_listed() {
        let registry = RuleRegistry::new();
        let rules = (0..25).map(|n| n.to_string());
        let rules = Summary::new(rules.map(|name| (registry.intern("s", &name), name)));
        let file = ChannelStatistics {
            channel: "file",
            submitted: 100,
            delivered: 100,
            ..ChannelStatistics::default()
        };
        let mut report = DeliveryReport { channels: vec![file], lost_by_rule: Vec::new() };
        assert_eq!(report.losses(&rules).to_string(), "");
        report.channels.push(ChannelStatistics {
            channel: "http",
            submitted: 100,
            delivered: 90,
            over_share: 3,
            discarded: 7,
            ..ChannelStatistics::default()
        });
        report.lost_by_rule = vec![0, 1, 9];
        insta::assert_snapshot!(report.losses(&rules).to_string(), @r"
        Alerts lost by output:
           http: 10 of 100 (rule over its share: 3, not delivered at the end: 7)
        Alerts lost by rule name, in all outputs:
           2: 9
           1: 1
        ");
        report.lost_by_rule = vec![1; 25];
        assert!(report.losses(&rules).to_string().ends_with("\n   19: 1\n   5 other rules: 5\n"));
    }
}
