//! What the event thread is doing, for the messages about a thread that makes no progress.

use std::fmt;

/// What the event thread is doing. Set around everything that may take long, so that a stall has a
/// cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Preparing the run.
    #[default]
    Starting,
    /// Loading BPF programs and attaching them.
    LoadingPrograms,
    /// Reading what precedes the processes of the start scan.
    ReadingMachine,
    /// Taking events and evaluating rules.
    Events,
    /// Opening or reading the capture that is replayed.
    ReadingCapture,
    /// Reading this process in `/proc`.
    ReadingProcess(u32),
    /// Waiting for the reader's answer about this process.
    AwaitingReader(u32),
    /// Waiting for the thread that writes captures.
    AwaitingCaptureWriter,
    /// Handing an alert to the outputs.
    SubmittingAlert,
    /// Completing the captures at the end.
    FinishingCaptures,
    /// Ending the thread of the metrics.
    ClosingMetrics,
    /// Delivering queued alerts at the end.
    DeliveringAlerts,
    /// Printing the summary.
    PrintingSummary,
}

impl Phase {
    /// Kind in the upper half, process in the lower: fits an atomic.
    pub(crate) fn pack(self) -> u64 {
        let (kind, pid) = match self {
            Self::Starting => (0, 0),
            Self::LoadingPrograms => (1, 0),
            Self::ReadingMachine => (2, 0),
            Self::Events => (3, 0),
            Self::ReadingCapture => (4, 0),
            Self::ReadingProcess(pid) => (5, pid),
            Self::AwaitingReader(pid) => (6, pid),
            Self::AwaitingCaptureWriter => (7, 0),
            Self::SubmittingAlert => (8, 0),
            Self::FinishingCaptures => (9, 0),
            Self::ClosingMetrics => (10, 0),
            Self::DeliveringAlerts => (11, 0),
            Self::PrintingSummary => (12, 0),
        };
        (kind << 32) | u64::from(pid)
    }

    /// The reverse of [`pack`](Self::pack).
    pub(crate) fn unpack(packed: u64) -> Self {
        let pid = packed as u32;
        match packed >> 32 {
            1 => Self::LoadingPrograms,
            2 => Self::ReadingMachine,
            3 => Self::Events,
            4 => Self::ReadingCapture,
            5 => Self::ReadingProcess(pid),
            6 => Self::AwaitingReader(pid),
            7 => Self::AwaitingCaptureWriter,
            8 => Self::SubmittingAlert,
            9 => Self::FinishingCaptures,
            10 => Self::ClosingMetrics,
            11 => Self::DeliveringAlerts,
            12 => Self::PrintingSummary,
            _ => Self::Starting,
        }
    }

    /// The process that the question is about.
    #[must_use]
    pub fn pid(self) -> Option<u32> {
        match self {
            Self::ReadingProcess(pid) | Self::AwaitingReader(pid) => Some(pid),
            _ => None,
        }
    }
}

/// Completes "no progress for 5 s while …".
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "preparing the run",
            Self::LoadingPrograms => "loading BPF programs",
            Self::ReadingMachine => "reading users, interfaces and the list of processes",
            Self::Events => "processing events",
            Self::ReadingCapture => "reading the capture",
            Self::ReadingProcess(pid) => return write!(f, "reading /proc of process {pid}"),
            Self::AwaitingReader(pid) => {
                return write!(f, "waiting for the reader's answer about process {pid}");
            }
            Self::AwaitingCaptureWriter => "waiting for the writer of captures",
            Self::SubmittingAlert => "handing an alert to the outputs",
            Self::FinishingCaptures => "completing the captures",
            Self::ClosingMetrics => "ending the collection of metrics",
            Self::DeliveringAlerts => "delivering the last alerts",
            Self::PrintingSummary => "printing the summary",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_survives_packing() {
        for phase in [
            Phase::Starting,
            Phase::LoadingPrograms,
            Phase::ReadingMachine,
            Phase::Events,
            Phase::ReadingCapture,
            Phase::ReadingProcess(u32::MAX),
            Phase::AwaitingReader(7),
            Phase::AwaitingCaptureWriter,
            Phase::SubmittingAlert,
            Phase::FinishingCaptures,
            Phase::ClosingMetrics,
            Phase::DeliveringAlerts,
            Phase::PrintingSummary,
        ] {
            assert_eq!(Phase::unpack(phase.pack()), phase);
        }
        assert_eq!(Phase::ReadingProcess(12).to_string(), "reading /proc of process 12");
        assert_eq!(Phase::ReadingProcess(12).pid(), Some(12));
    }
}
