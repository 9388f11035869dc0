//! Standard output.

use std::io;

use peregrine_alert::Alert;

use super::deliver::{Channel, Outcome};
use super::error::ChannelError;
use super::lines::Lines;
use crate::format::Formatter;

/// Standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StdoutOutput {
    /// What happens when its reader has closed it.
    pub when_closed: WhenClosed,
}

/// What happens when the reader of standard output has closed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenClosed {
    /// The owner of the [`Outputs`](crate::Outputs) ends the run after
    /// [`ChannelError::Closed`].
    #[default]
    End,
    /// The run goes on, and alerts for this channel are lost.
    Disable,
}

#[derive(Debug)]
pub(crate) struct Stdout {
    output: StdoutOutput,
    format: Formatter,
    buffered: bool,
    lines: Lines,
    closed: bool,
}

impl Stdout {
    pub(crate) fn new(output: StdoutOutput, format: Formatter, buffered: bool) -> Self {
        Self { output, format, buffered, lines: Lines::default(), closed: false }
    }

    /// Writes without the lock of the standard library: a reader that hangs then holds up no other
    /// thread.
    fn flush(&mut self) -> Outcome {
        let mut outcome = self.lines.write_to(rustix::stdio::stdout());
        if let Some(ChannelError::Write(error)) = &outcome.error
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            self.closed = true;
            let ends_run = self.output.when_closed == WhenClosed::End;
            outcome.error = Some(ChannelError::Closed { ends_run });
        }
        outcome
    }
}

impl Channel for Stdout {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn deliver(&mut self, alerts: &[Alert]) -> Outcome {
        if self.closed {
            // The error is reported once.
            return Outcome { failed: alerts.len() as u64, ..Outcome::default() };
        }
        let mut outcome = Outcome::default();
        for alert in alerts {
            self.lines.add(alert, &mut self.format);
            if self.lines.is_full() {
                outcome = outcome.and(self.flush());
            }
        }
        if self.buffered { outcome } else { outcome.and(self.flush()) }
    }

    fn finish(&mut self) -> Outcome {
        self.flush()
    }
}
