//! Processes that lost events, and their cgroups.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use peregrine_event::LossClass;

use crate::bpf::{OffenderRow, ProbeError};
use crate::counters::Counters;
use crate::scan::dir::{Dir, MAX_FILE};

/// Limit on cached names of cgroups.
const MAX_NAMES: usize = 4096;

/// A process and the events it lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offender {
    /// Its id.
    pub pid: i64,
    /// Path of its cgroup, or `id N` if no process of the cgroup is left.
    pub group: Arc<str>,
    /// Lost events: `lost[class]`.
    pub lost: [u64; LossClass::ALL.len()],
}

/// Differences between readings of the kernel's map of offenders.
pub(crate) struct DropOffenders {
    proc: PathBuf,
    before: HashMap<(u64, i64), [u64; LossClass::ALL.len()]>,
    names: HashMap<u64, Arc<str>>,
}

impl DropOffenders {
    /// `host_root` is the root directory of the host.
    pub(crate) fn new(host_root: &Path) -> Self {
        let proc = host_root.join("proc");
        Self { proc, before: HashMap::new(), names: HashMap::new() }
    }

    /// Losses of each process since the last call.
    ///
    /// # Errors
    /// If the map cannot be read.
    pub(crate) fn new_losses(
        &mut self,
        counters: &Counters,
    ) -> Result<Vec<OffenderRow>, ProbeError> {
        let now = counters.offenders()?;
        let new = now.iter().map(|row| since(row, self.before.get(&key(row)))).collect();
        self.before = now.iter().map(|row| (key(row), row.lost)).collect();
        let mut new: Vec<OffenderRow> = new;
        new.retain(|row| row.lost.iter().any(|&lost| lost > 0));
        Ok(new)
    }

    /// The process, with the path of its cgroup if one of the cgroup's processes can be read.
    pub(crate) fn offender(&mut self, row: &OffenderRow) -> Offender {
        Offender { pid: row.pid, group: self.group(row), lost: row.lost }
    }

    fn group(&mut self, row: &OffenderRow) -> Arc<str> {
        if let Some(name) = self.names.get(&row.cgroup) {
            return name.clone();
        }
        match self.ask_group(row.pid) {
            Some(name) => {
                let name: Arc<str> = name.into();
                if self.names.len() >= MAX_NAMES {
                    self.names.clear();
                }
                self.names.insert(row.cgroup, name.clone());
                name
            }
            None => format!("id {}", row.cgroup).into(),
        }
    }

    fn ask_group(&self, pid: i64) -> Option<String> {
        let mut text = Vec::new();
        let process = Dir::open(&self.proc.join(pid.to_string())).ok()?;
        process.read_small("cgroup", MAX_FILE, &mut text).ok()?;
        let mut lines = text.split(|&byte| byte == b'\n');
        let path = lines.find_map(|line| line.strip_prefix(b"0::"))?;
        Some(String::from_utf8_lossy(path).into_owned())
    }
}

/// Cgroup and process.
pub(crate) fn key(row: &OffenderRow) -> (u64, i64) {
    (row.cgroup, row.pid)
}

/// The losses of a process since `before`. The kernel may have evicted it meanwhile, and counts
/// from zero then.
fn since(now: &OffenderRow, before: Option<&[u64; LossClass::ALL.len()]>) -> OffenderRow {
    let mut new = *now;
    if let Some(before) = before.filter(|b| b.iter().zip(&now.lost).all(|(b, now)| b <= now)) {
        new.lost.iter_mut().zip(before).for_each(|(new, before)| *new -= before);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evicted_process_counts_from_zero() {
        let row = |open, close| {
            let mut lost = [0; LossClass::ALL.len()];
            lost[LossClass::Open as usize] = open;
            lost[LossClass::Close as usize] = close;
            OffenderRow { cgroup: 1, pid: 2, lost }
        };
        assert_eq!(since(&row(5, 1), None), row(5, 1));
        assert_eq!(since(&row(5, 1), Some(&row(3, 1).lost)), row(2, 0));
        assert_eq!(since(&row(5, 1), Some(&row(3, 2).lost)), row(5, 1));
    }
}
