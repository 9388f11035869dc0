//! System calls that a run never makes.
//!
//! A list of the calls that it may make would have to name what resolvers, TLS and allocators of
//! any C library do, and a gap would break an output on one distribution; the unit for systemd has
//! such a list, of systemd's. This one names what would change the machine or give the process
//! more rights. The calls fail with `EPERM`; they do not end the process, whose end would be an
//! attacker's gain.

use std::collections::BTreeMap;

use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use thiserror::Error;

/// Why the filter can't be set.
#[derive(Debug, Error)]
pub enum FilterError {
    /// It can't be built.
    #[error(transparent)]
    Build(#[from] BackendError),
    /// The kernel refuses it.
    #[error(transparent)]
    Set(#[from] seccompiler::Error),
}

/// Makes the calls fail from now on, in this thread and in all threads and programs that it starts.
/// Programs get no new privileges either.
pub(super) fn deny() -> Result<(), FilterError> {
    Ok(seccompiler::apply_filter(&filter()?)?)
}

fn filter() -> Result<BpfProgram, BackendError> {
    let rules: BTreeMap<_, _> = DENIED.iter().map(|&call| (call, Vec::new())).collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let fail = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, fail, arch)?.try_into()
}

const DENIED: &[i64] = &[
    // The kernel itself.
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    // Clock, names, swap, accounting.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    // File systems and namespaces.
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    // Other processes.
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    // Other users.
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
    // Keys, and parts of the kernel with a history of errors that nothing here uses.
    libc::SYS_add_key,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_userfaultfd,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::io::Errno;
    use rustix::system::sethostname;

    use super::*;

    #[test]
    fn a_thread_with_the_filter_cannot_make_these_calls() {
        let denied = thread::spawn(|| {
            deny().unwrap();
            // What is not denied works.
            assert!(std::fs::read("/proc/self/status").is_ok());
            assert!(thread::spawn(|| 1).join().is_ok());
            sethostname(b"changed").unwrap_err()
        });
        assert_eq!(denied.join().unwrap(), Errno::PERM);
    }
}
