//! Alerts for tests, and the lines that channels write for them.

use std::sync::Arc;

use jiff::tz::TimeZone;
use peregrine_alert::{Alert, AlertBuilder, AlertOrigin, Priority, RuleInfo, RuleRegistry};

use crate::format::{Format, Formatter, Layout};

pub(crate) fn format() -> Format {
    Format { layout: Layout::Text, iso_time: false, zone: TimeZone::UTC }
}

pub(crate) fn formatter() -> Formatter {
    Formatter::new(format())
}

pub(crate) fn alert(text: &str) -> Alert {
    let origin = AlertOrigin::new(Arc::new(RuleRegistry::new()), "HOST");
    let rule = RuleInfo::new(&origin, "syscall", "R", Priority::Notice, vec![], vec![]);
    let add = |out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
    AlertBuilder::new(Arc::new(rule), 1, 1, add).finish()
}

pub(crate) fn alerts(texts: &[&str]) -> Vec<Alert> {
    texts.iter().map(|text| alert(text)).collect()
}

/// The line of [`alert`] in the format of [`format()`].
pub(crate) fn line(text: &str) -> String {
    format!("00:00:00.000000001: Notice {text}")
}

/// Lines with their ends.
pub(crate) fn lines(texts: &[&str]) -> String {
    texts.iter().map(|text| line(text) + "\n").collect()
}
