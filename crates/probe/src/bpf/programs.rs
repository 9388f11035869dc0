//! How often the kernel ran the loaded programs, and for how long. It counts only while that is turned on: by
//! `sysctl kernel.bpf_stats_enabled=1`, or by [`count_runs`].

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use aya::sys::{Stats, SyscallError, enable_stats};

/// The programs that were loaded when this was made: can be asked while they run.
#[derive(Clone, Debug, Default)]
pub struct Programs(Vec<(String, RawFd)>);

/// What the kernel counted for a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramStatistics {
    /// Its name.
    pub name: String,
    /// How often it ran. Programs that others jump to are not counted for themselves.
    pub runs: u64,
    /// How long it ran in all, nanoseconds.
    pub time_ns: u64,
}

/// Lets the kernel count runs of all programs of the machine, as long as the descriptor is open. Each run takes a little
/// longer then.
///
/// # Errors
/// When the kernel refuses.
pub fn count_runs() -> Result<OwnedFd, SyscallError> {
    enable_stats(Stats::RunTime)
}

impl Programs {
    /// From names and descriptors.
    pub(super) fn new(programs: impl IntoIterator<Item = (String, RawFd)>) -> Self {
        Self(programs.into_iter().collect())
    }

    /// What was counted until now. A program that is there no more is left out.
    pub fn read(&self) -> Vec<ProgramStatistics> {
        let read = |(name, fd): &(String, RawFd)| {
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
            Some(ProgramStatistics {
                name: name.clone(),
                runs: value(&info, "run_cnt:")?,
                time_ns: value(&info, "run_time_ns:")?,
            })
        };
        self.0.iter().filter_map(read).collect()
    }
}

/// How often the kernel left out a run of a program because it was at work already on that CPU. Kernels before 5.12 don't
/// tell.
pub(super) fn missed(program: impl AsFd) -> u64 {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd()));
    info.ok().and_then(|info| value(&info, "recursion_misses:")).unwrap_or(0)
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

    #[test]
    fn what_is_no_program_is_left_out() {
        let file = tempfile::tempfile().unwrap();
        let programs = Programs::new([("x".to_owned(), file.as_raw_fd()), ("y".to_owned(), -1)]);
        assert_eq!(programs.read(), []);
    }
}
