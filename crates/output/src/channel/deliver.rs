//! What a channel does.

use peregrine_alert::Alert;

use super::error::ChannelError;

/// Formats and delivers alerts. Every operation may be slow.
pub(crate) trait Channel: Send {
    fn name(&self) -> &'static str;

    /// Delivers some alerts. Those that fail are lost.
    fn deliver(&mut self, alerts: &[Alert]) -> Result<(), ChannelError>;

    /// Closes files and programs, and opens those again that stay open.
    fn reopen(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Writes what is buffered; no alert follows.
    fn finish(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }
}
