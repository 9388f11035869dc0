//! Run counts and run times of the loaded programs. The kernel counts only while `sysctl
//! kernel.bpf_stats_enabled=1` is set, or while the descriptor of [`count_runs`] is open.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use aya::sys::{Stats, SyscallError, enable_stats};

/// The programs loaded at the time of creation. Their counters can be read while they run.
///
/// Their descriptors are kept, because opening them by their ids would take CAP_SYS_ADMIN. So a
/// program that a change of selection unloads stays in memory, with the counts that it has.
#[derive(Debug, Default)]
pub struct Programs(Vec<(String, OwnedFd)>);

/// What the kernel counted for a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramStatistics {
    /// Its name.
    pub name: String,
    /// Number of runs. Targets of tail calls are not counted separately.
    pub runs: u64,
    /// How long it ran in all, nanoseconds.
    pub time_ns: u64,
}

/// Makes the kernel count runs of all BPF programs of the machine while the descriptor is open.
/// This slows each run slightly.
///
/// # Errors
/// If the kernel does not permit it.
pub fn count_runs() -> Result<OwnedFd, SyscallError> {
    enable_stats(Stats::RunTime)
}

impl Programs {
    /// Programs by name.
    pub(super) fn new(programs: impl IntoIterator<Item = (String, OwnedFd)>) -> Self {
        Self(programs.into_iter().collect())
    }

    /// The current counters.
    pub fn read(&self) -> Vec<ProgramStatistics> {
        let read = |(name, program): &(String, OwnedFd)| {
            let info = fd_info(program)?;
            Some(ProgramStatistics {
                name: name.clone(),
                runs: value(&info, "run_cnt:")?,
                time_ns: value(&info, "run_time_ns:")?,
            })
        };
        self.0.iter().filter_map(read).collect()
    }
}

/// How often the kernel skipped a program because it was already running on that CPU. Kernels
/// before 5.12 do not report this.
pub(super) fn missed(program: impl AsFd) -> u64 {
    fd_info(program).and_then(|info| value(&info, "recursion_misses:")).unwrap_or(0)
}

fn fd_info(program: impl AsFd) -> Option<String> {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd())).ok()
}

fn value(info: &str, name: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_program() {
        let info = "pos:\t0\nprog_type:\t26\nprog_id:\t9\nrun_time_ns:\t1200\nrun_cnt:\t7\n";
        assert_eq!((value(info, "run_cnt:"), value(info, "run_time_ns:")), (Some(7), Some(1200)));
    }
}
