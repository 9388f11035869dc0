//! Gives up what a run does not need: capabilities, new privileges of programs, system calls.
//!
//! Capabilities belong to threads, so this happens before the first thread is started. What is
//! given up here is given up for the whole run, reloads included.
//!
//! ```
//! use peregrine_runtime::privileges::Needs;
//!
//! let needs = Needs { monitors: true, programs: true, ..Needs::default() };
//! assert!(needs.to_string().starts_with("cap_bpf, "));
//! ```

mod calls;

use std::{fmt, fs, io};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use thiserror::Error;

/// What a run does that takes privileges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// It monitors the kernel.
    pub monitors: bool,
    /// The kernel counts runs of programs for it.
    pub counts_runs: bool,
    /// The kernel opens tracepoints for administrators only.
    pub restricted_perf: bool,
    /// It writes files, maybe into directories of other users.
    pub files: bool,
    /// It asks runtimes of other users through their sockets.
    pub user_sockets: bool,
    /// It listens on a port below 1024.
    pub low_port: bool,
    /// It starts programs of the user, which may need any privilege.
    pub programs: bool,
}

/// Why nothing was given up.
#[derive(Debug, Error)]
pub enum PrivilegeError {
    /// Threads that run already would keep what this one gives up.
    #[error("other threads run already")]
    Threads,
    /// The kernel refuses.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The filter of system calls can't be set.
    #[error("the filter of system calls cannot be set: {0}")]
    Filter(#[from] calls::FilterError),
}

/// Whether the kernel opens tracepoints for administrators only, as those of Debian and Ubuntu do
/// unless they are configured otherwise.
#[must_use]
pub fn is_perf_restricted() -> bool {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
    level.is_ok_and(|level| level.trim_ascii().parse().is_ok_and(|level: i32| level > 2))
}

/// A capability, its name, and which runs need it.
type Row = (CapabilitySet, &'static str, fn(&Needs) -> bool);

/// The capabilities that a run may keep; docs/service.md gives the reasons.
const CAPABILITIES: &[Row] = &[
    (CapabilitySet::BPF, "cap_bpf", |needs| needs.monitors),
    (CapabilitySet::PERFMON, "cap_perfmon", |needs| needs.monitors),
    (CapabilitySet::SYS_PTRACE, "cap_sys_ptrace", |needs| needs.monitors),
    (CapabilitySet::DAC_READ_SEARCH, "cap_dac_read_search", |needs| needs.monitors),
    (CapabilitySet::SYS_ADMIN, "cap_sys_admin", |needs| {
        needs.counts_runs || needs.monitors && needs.restricted_perf
    }),
    (CapabilitySet::DAC_OVERRIDE, "cap_dac_override", |needs| needs.files || needs.user_sockets),
    (CapabilitySet::NET_BIND_SERVICE, "cap_net_bind_service", |needs| needs.low_port),
];

/// Gives up everything that these needs do not include. A process that lacks some of it keeps the
/// rest. Programs that the run starts for the user have all of its bounding set, as before; without
/// such programs, that is reduced as well, no program gets new privileges, and system calls that
/// the run never makes fail.
///
/// # Errors
/// When other threads run, or the kernel refuses; some of it may be given up then.
pub fn reduce(needs: &Needs) -> Result<(), PrivilegeError> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(PrivilegeError::Threads);
    }
    // Before 5.11, memory of BPF maps counts as locked, and the right to raise the limit goes.
    let unlimited = Rlimit { current: None, maximum: None };
    let _ = setrlimit(Resource::Memlock, unlimited);
    let kept = needs.capabilities();
    if !needs.programs {
        for capability in CapabilitySet::all().iter().filter(|one| !kept.contains(*one)) {
            // Without CAP_SETPCAP, the bounding set stays; what is permitted is reduced below.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    // Kernels before 4.3 have none.
    let _ = clear_ambient_capability_set();
    let now = capabilities(None).map_err(io::Error::from)?;
    let (effective, permitted) = (now.effective & kept, now.permitted & kept);
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
        .map_err(io::Error::from)?;
    if !needs.programs {
        calls::deny()?;
    }
    Ok(())
}

impl Needs {
    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let needs = *self;
        CAPABILITIES.iter().filter(move |(_, _, needed)| needed(&needs))
    }

    fn capabilities(&self) -> CapabilitySet {
        self.rows().map(|(capability, _, _)| *capability).collect()
    }
}

/// The capabilities: `cap_bpf, cap_perfmon`.
impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.rows().map(|(_, name, _)| *name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_adds_its_capabilities() {
        assert_eq!(Needs::default().to_string(), "none");
        let needs = Needs { monitors: true, ..Needs::default() };
        assert_eq!(needs.to_string(), "cap_bpf, cap_perfmon, cap_sys_ptrace, cap_dac_read_search");
        assert!(!needs.capabilities().contains(CapabilitySet::SYS_ADMIN));
        let restricted = Needs { restricted_perf: true, ..needs };
        assert!(restricted.capabilities().contains(CapabilitySet::SYS_ADMIN));
        let needs = Needs { counts_runs: true, files: true, low_port: true, ..needs };
        assert_eq!(needs.rows().count(), CAPABILITIES.len());
        assert!(needs.capabilities().contains(CapabilitySet::SYS_ADMIN));
    }

    #[test]
    fn other_threads_prevent_it() {
        // Tests run on threads of their own.
        assert!(matches!(reduce(&Needs::default()), Err(PrivilegeError::Threads)));
    }
}
