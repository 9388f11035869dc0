//! What several formats need.

use peregrine_alert::Alert;

use super::changes::FieldChanges;
use crate::time::TimeWriter;

/// Settings and scratch of a formatter.
#[derive(Debug)]
pub(super) struct LineContext {
    pub(super) iso_time: bool,
    pub(super) times: TimeWriter,
    pub(super) fields: FieldChanges,
}

impl LineContext {
    /// Appends time and priority, which stand before the text.
    pub(super) fn prefix(&mut self, alert: &Alert, iso_time: bool, out: &mut Vec<u8>) {
        if iso_time {
            self.times.utc(out, alert.time());
            out.extend_from_slice(b"+0000");
        } else {
            self.times.local(out, alert.time());
        }
        out.extend_from_slice(b": ");
        out.extend_from_slice(alert.priority().name().as_bytes());
        out.push(b' ');
    }
}
