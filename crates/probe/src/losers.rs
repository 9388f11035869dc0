//! Who lost events.

use std::path::{Path, PathBuf};

use hashbrown::HashMap;
use peregrine_event::LossClass;

use crate::Counters;
use crate::bpf::{Loser, ProbeError};
use crate::scan::dir::{Dir, MAX_FILE};

/// Names of control groups that are remembered.
const MAX_NAMES: usize = 4096;

/// Who lost events from one question to the next.
pub struct Losers {
    counters: Counters,
    proc: PathBuf,
    before: HashMap<(u64, i64), [u64; LossClass::ALL.len()]>,
    names: HashMap<u64, String>,
}

impl Losers {
    /// By these counters. `host_root` is where the root directory of the host is.
    pub fn new(counters: Counters, host_root: &Path) -> Self {
        let proc = host_root.join("proc");
        Self { counters, proc, before: HashMap::new(), names: HashMap::new() }
    }

    /// Who lost how much since the last question.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new_losses(&mut self) -> Result<Vec<Loser>, ProbeError> {
        let now = self.counters.losers()?;
        let new = now.iter().map(|loser| since(loser, self.before.get(&key(loser)))).collect();
        self.before = now.iter().map(|loser| (key(loser), loser.lost)).collect();
        let mut new: Vec<Loser> = new;
        new.retain(|loser| loser.lost.iter().any(|&lost| lost > 0));
        Ok(new)
    }

    /// The path of the control group of a process that lost events, as long as one of it could be
    /// asked.
    pub fn group(&mut self, loser: &Loser) -> String {
        if let Some(name) = self.names.get(&loser.cgroup) {
            return name.clone();
        }
        match self.ask_group(loser.pid) {
            Some(name) => {
                if self.names.len() >= MAX_NAMES {
                    self.names.clear();
                }
                self.names.insert(loser.cgroup, name.clone());
                name
            }
            None => format!("id {}", loser.cgroup),
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

fn key(loser: &Loser) -> (u64, i64) {
    (loser.cgroup, loser.pid)
}

/// What a process lost since then. The kernel may have forgotten it meanwhile, and counts from zero
/// then.
fn since(now: &Loser, before: Option<&[u64; LossClass::ALL.len()]>) -> Loser {
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
    fn what_the_kernel_forgot_counts_from_zero() {
        let loser = |open, close| {
            let mut lost = [0; LossClass::ALL.len()];
            lost[LossClass::Open as usize] = open;
            lost[LossClass::Close as usize] = close;
            Loser { cgroup: 1, pid: 2, lost }
        };
        assert_eq!(since(&loser(5, 1), None), loser(5, 1));
        assert_eq!(since(&loser(5, 1), Some(&loser(3, 1).lost)), loser(2, 0));
        assert_eq!(since(&loser(5, 1), Some(&loser(3, 2).lost)), loser(5, 1));
    }
}
