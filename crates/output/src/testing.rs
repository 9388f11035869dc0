//! Alerts for tests, and the lines that channels write for them.

use std::sync::Arc;

use peregrine_alert::{Alert, AlertBuilder, AlertOrigin, Priority, RuleInfo, RuleRegistry};

use crate::format::{Format, Formatter, Layout};

pub(crate) fn format() -> Format {
    Format::new(Layout::Text)
}

pub(crate) fn formatter() -> Formatter {
    Formatter::new(format())
}

pub(crate) fn alert(text: &str) -> Alert {
    build(&Arc::new(RuleRegistry::new()), "R", text)
}

/// An alert of a rule with this name.
pub(crate) fn rule_alert(registry: &Arc<RuleRegistry>, name: &str) -> Alert {
    build(registry, name, name)
}

fn build(registry: &Arc<RuleRegistry>, name: &str, text: &str) -> Alert {
    let origin = AlertOrigin::new(registry.clone(), "HOST");
    let rule = RuleInfo::new(&origin, "syscall", name, Priority::Notice, vec![], vec![]);
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
