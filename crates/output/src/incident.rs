//! Problems with the delivery of alerts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use peregrine_alert::Priority;
use thiserror::Error;

use crate::channel::ChannelError;

/// A problem with the delivery of alerts. Prints as the message for the log. Each kind is reported
/// at once, then for each channel at most once a minute, with what has happened since.
#[derive(Debug, Error)]
pub enum Incident {
    /// A channel exceeds the timeout.
    #[error(
        "\"{channel}\" output timeout, this channel is blocked: {waiting} alerts wait, the oldest for {} s. {}",
        oldest.as_secs(),
        others(*blocks)
    )]
    Blocked {
        /// The slow channel.
        channel: &'static str,
        /// Alerts that wait for it.
        waiting: u64,
        /// Age of the oldest of them.
        oldest: Duration,
        /// Whether events wait when its queue is full.
        blocks: bool,
    },
    /// A channel failed, so alerts that it was given are lost.
    #[error("{channel}: {error}{}{}", and_lost(*lost), and_spooled(*spooled))]
    Failed {
        /// The channel.
        channel: &'static str,
        /// The first thing that went wrong.
        error: ChannelError,
        /// Alerts that are lost. 0 if a file could not be reopened, for example.
        lost: u64,
        /// Alerts that wait in its spool.
        spooled: u64,
    },
    /// Alerts are lost that the channel was not given.
    #[error("{}\"{channel}\": {count} alerts lost, {reason}", prefix(*reason))]
    Lost {
        /// The channel.
        channel: &'static str,
        /// Number of alerts.
        count: u64,
        /// Why.
        reason: LossReason,
    },
    /// Channels were still blocked at the end, so the alerts that wait for them are lost.
    #[error("output channels still blocked, discarding all remaining notifications")]
    Discarded,
}

/// Why an alert is lost that the receiver was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The queue was full of alerts of one rule.
    QueueFull,
    /// The queue was full, and the rule of the alert had more there than others.
    OverShare,
    /// The spool of the output was full.
    SpoolFull,
    /// They were in the spool for too long.
    Expired,
    /// The spool was damaged.
    Damaged,
    /// The run has ended before the delivery.
    EndOfRun,
    /// A reload has changed or removed the output, and the old one did not deliver it in time.
    Replaced,
}

/// Called for each incident, from any thread.
pub type Report = Arc<dyn Fn(&Incident) + Send + Sync>;

impl Incident {
    /// Whether the run should end: standard output is closed, and nothing else is wanted for that.
    #[must_use]
    pub fn ends_run(&self) -> bool {
        matches!(self, Self::Failed { error: ChannelError::Closed { ends_run: true }, .. })
    }

    /// Level in the log.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match self {
            Self::Blocked { .. } => Priority::Critical,
            Self::Failed { .. } | Self::Lost { .. } => Priority::Error,
            Self::Discarded => Priority::Notice,
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "its queue was full",
            Self::OverShare => "its queue was full and their rules had most of it",
            Self::SpoolFull => "its spool was full",
            Self::Expired => "they were in its spool for too long",
            Self::Damaged => "its spool is damaged",
            Self::EndOfRun => "not delivered at the end",
            Self::Replaced => "not delivered by an output that a reload has replaced",
        })
    }
}

/// Falco's text where Falco has one.
fn prefix(reason: LossReason) -> &'static str {
    match reason {
        LossReason::QueueFull | LossReason::OverShare => {
            "Outputs queue out of memory. Drop event and continue on ... "
        }
        LossReason::SpoolFull
        | LossReason::Expired
        | LossReason::Damaged
        | LossReason::EndOfRun
        | LossReason::Replaced => "",
    }
}

fn others(blocks: bool) -> &'static str {
    if blocks { "Events wait when its queue is full" } else { "The other channels go on" }
}

fn and_spooled(count: u64) -> String {
    if count == 0 { String::new() } else { format!(" ({count} alerts wait in the spool)") }
}

fn and_lost(count: u64) -> String {
    if count == 0 { String::new() } else { format!(" ({count} alerts lost)") }
}
