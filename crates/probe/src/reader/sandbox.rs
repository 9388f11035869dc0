//! What a reader process gives up before it reads anything.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, RawFd};

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit, setsid,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use thiserror::Error;

/// Reads other users' processes and files, and nothing else.
const KEPT: CapabilitySet = CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH);
/// Memory that a reader may have. Tables of sockets are the largest that it holds.
const MAX_MEMORY: u64 = 1 << 30;

/// Why the filter can't be set.
#[derive(Debug, Error)]
pub(super) enum SandboxError {
    #[error(transparent)]
    Filter(#[from] BackendError),
    #[error(transparent)]
    Set(#[from] seccompiler::Error),
    #[error("no filter of system calls for this architecture")]
    Architecture,
}

/// Leaves the session of the agent and its descriptors, and ends with it.
pub(super) fn detach() {
    // Failures leave what the system does not let go; the agent reads on.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = setsid();
    let _ = rustix::thread::set_name(c"peregrine-read");
    close_above_stderr();
}

/// Gives up all rights but those to read, and to write to this socket.
///
/// # Errors
/// When the filter of system calls can't be set, without which a reader does not read.
pub(super) fn enter(socket: &impl AsRawFd) -> Result<(), SandboxError> {
    // An agent without privileges has none to give up, so failures do not count.
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    let _ = setrlimit(Resource::Fsize, limit(0));
    let _ = setrlimit(Resource::Core, limit(0));
    let _ = setrlimit(Resource::Nproc, limit(0));
    let _ = setrlimit(Resource::As, limit(MAX_MEMORY));
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let kept =
        CapabilitySets { effective: KEPT, permitted: KEPT, inheritable: CapabilitySet::empty() };
    if set_capabilities(None, kept).is_err() {
        // Some of these are missing: keep what there is of them.
        if let Ok(now) = rustix::thread::capabilities(None) {
            let kept = now.permitted & KEPT;
            let inheritable = CapabilitySet::empty();
            let _ = set_capabilities(
                None,
                CapabilitySets { effective: kept, permitted: kept, inheritable },
            );
        }
    }
    // Sets `no_new_privs` too.
    seccompiler::apply_filter(&filter(socket.as_raw_fd())?)?;
    Ok(())
}

/// Everything that is not for reading, or for memory and time, ends the process.
fn filter(socket: RawFd) -> Result<BpfProgram, SandboxError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        CALLS.iter().map(|&call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_openat, vec![read_only(2)?]);
    for call in [libc::SYS_write, libc::SYS_sendto] {
        rules.insert(call, vec![first_is(socket)?]);
    }
    let arch =
        TargetArch::try_from(std::env::consts::ARCH).map_err(|_| SandboxError::Architecture)?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?;
    Ok(filter.try_into()?)
}

/// Flags that open for reading.
fn read_only(argument: u8) -> Result<SeccompRule, BackendError> {
    let others = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
    let equal = SeccompCmpOp::MaskedEq(u64::from(others.unsigned_abs()));
    let reads = libc::O_RDONLY.unsigned_abs().into();
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, equal, reads)?;
    SeccompRule::new(vec![condition])
}

/// The first argument is this descriptor.
fn first_is(descriptor: RawFd) -> Result<SeccompRule, BackendError> {
    let condition = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        descriptor.unsigned_abs().into(),
    )?;
    SeccompRule::new(vec![condition])
}

/// Calls that read, and those that memory, time and the end of a process need.
const CALLS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_futex,
    libc::SYS_getdents64,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_recvfrom,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
];

/// The agent opens its descriptors so that they end here; those of a library may not.
fn close_above_stderr() {
    const FIRST: c_int = libc::STDERR_FILENO + 1;
    // SAFETY: this program has just been started and has opened nothing yet, so no object owns a
    // descriptor from here on. An old kernel without the call closes nothing.
    unsafe { libc::syscall(libc::SYS_close_range, FIRST, c_int::MAX, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_filter_for_this_architecture() {
        let filter = filter(0).unwrap();
        assert!(filter.len() > CALLS.len());
    }
}
