//! Old findings that are not reported again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::finding::LintFinding;
use super::silence::item_name;

/// Version of the file.
const VERSION: u64 = 1;

/// Findings that are known. Their keys do not contain lines, so they stay when a file changes
/// elsewhere.
///
/// ```
/// use peregrine_lint::Baseline;
///
/// let baseline = Baseline::read(r#"{"version": 1, "findings": []}"#)?;
/// assert_eq!(baseline.len(), 0);
/// # Ok::<(), peregrine_lint::BaselineError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// How often each is known: by code, item and fingerprint.
    known: BTreeMap<(String, String, String), u64>,
}

/// A text is no baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// It is not JSON.
    #[error("not a baseline: {0}")]
    Json(String),
    /// It has another form.
    #[error("not a baseline: {0} is missing or has another form")]
    Form(&'static str),
    /// It is of another version.
    #[error("a baseline of version {0}; this program reads version {VERSION}")]
    Version(u64),
}

impl Baseline {
    /// The baseline that knows these findings.
    #[must_use]
    pub fn of(findings: &[LintFinding]) -> Self {
        let mut known = BTreeMap::new();
        findings.iter().for_each(|finding| *known.entry(key(finding)).or_default() += 1);
        Self { known }
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// The text is none.
    pub fn read(text: &str) -> Result<Self, BaselineError> {
        let json: Value =
            serde_json::from_str(text).map_err(|error| BaselineError::Json(error.to_string()))?;
        match json.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(other) => return Err(BaselineError::Version(other)),
            None => return Err(BaselineError::Form("`version`")),
        }
        let findings = json.get("findings").and_then(Value::as_array);
        let findings = findings.ok_or(BaselineError::Form("`findings`"))?;
        let mut known = BTreeMap::new();
        for finding in findings {
            let text = |key: &str| finding.get(key).and_then(Value::as_str).map(str::to_owned);
            let key = (text("code"), text("item"), text("fingerprint"));
            let (Some(code), Some(item), Some(fingerprint)) = key else {
                return Err(BaselineError::Form("`code`, `item` or `fingerprint` of a finding"));
            };
            let count = finding.get("count").map_or(Some(1), Value::as_u64);
            let count = count.ok_or(BaselineError::Form("`count` of a finding"))?;
            let all: &mut u64 = known.entry((code, item, fingerprint)).or_default();
            *all = all.saturating_add(count);
        }
        Ok(Self { known })
    }

    /// The text of the file.
    #[must_use]
    pub fn write(&self) -> String {
        let finding = |((code, item, fingerprint), count): (&(String, String, String), &u64)| json!({ "code": code, "item": item, "fingerprint": fingerprint, "count": count });
        let findings: Vec<_> = self.known.iter().map(finding).collect();
        format!("{:#}\n", json!({ "version": VERSION, "findings": findings }))
    }

    /// Number of findings.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.known.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Removes known findings, each as often as it is known. Returns how many were removed, and how
    /// many of the baseline did not occur.
    pub fn remove_from(&self, findings: &mut Vec<LintFinding>) -> (u64, u64) {
        let mut left = self.known.clone();
        let before = findings.len();
        findings.retain(|finding| match left.get_mut(&key(finding)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
        let gone = left.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        ((before - findings.len()) as u64, gone)
    }
}

fn key(finding: &LintFinding) -> (String, String, String) {
    let item = item_name(finding.kind, &finding.item);
    (finding.lint.code().to_owned(), item, finding.fingerprint())
}
