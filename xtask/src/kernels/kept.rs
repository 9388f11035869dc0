//! Results of earlier rows, stored beside the kernels, so that an interrupted or failed run can
//! resume.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::options::Check;
use super::verdict::{Outcome, Verdict};

/// Results for a kernel.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) verdicts: Vec<Verdict>,
    /// Warnings and errors in the kernel's own log.
    pub(super) complaints: Vec<String>,
    pub(super) took: Duration,
}

impl Found {
    /// Earlier results for the same key, if none of them failed.
    pub(super) fn good(path: &Path, of: u64) -> Option<Self> {
        let (was_of, found): (u64, Self) = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let failed = |verdict: &Verdict| matches!(verdict.outcome, Outcome::Failed(_));
        (was_of == of && !found.verdicts.iter().any(failed)).then_some(found)
    }

    /// Stores them for a later run.
    pub(super) fn keep(&self, path: &Path, of: u64) -> Result<()> {
        Ok(fs::write(path, serde_json::to_vec(&(of, self))?)?)
    }
}

/// Identifies a kernel, the programs and the checks.
pub(super) fn identity(kernel: &Path, initramfs: &Path, checks: &[Check]) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for file in [kernel, initramfs] {
        fs::read(file)?.hash(&mut hasher);
    }
    checks.iter().for_each(|check| check.name().hash(&mut hasher));
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_the_same_and_did_not_fail_is_taken() {
        let directory = std::env::temp_dir().join(format!("peregrine-kept-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("row");
        let verdict = Verdict {
            check: Check::Load,
            outcome: Outcome::Skipped("no fexit on it".into()),
            seconds: 2.5,
            facts: vec![("load_ms".into(), "12".into())],
            log: "log\n".into(),
        };
        let mut found = Found { verdicts: vec![verdict], ..Found::default() };
        assert!(Found::good(&path, 1).is_none());
        found.keep(&path, 1).unwrap();
        assert!(Found::good(&path, 2).is_none());
        assert_eq!(Found::good(&path, 1).unwrap().verdicts[0].fact("load_ms"), Some("12"));
        found.verdicts[0].outcome = Outcome::Failed("no such event".into());
        found.keep(&path, 1).unwrap();
        assert!(Found::good(&path, 1).is_none());
        fs::remove_dir_all(directory).unwrap();
    }
}
