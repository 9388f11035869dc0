//! Explains why the kernel cannot be monitored, with a remedy.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use crate::bpf::ProbeError;
use crate::source::LiveError;

/// The kernel's BTF.
const BTF: &str = "/sys/kernel/btf/vmlinux";

impl LiveError {
    /// The remedy; `None` if the error does not concern the kernel.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Scan(_) | Self::Thread(_) => return None,
            Self::Probe(ProbeError::Functions(_)) => {
                "engine.modern_ebpf.hooks: with sys_exit, or auto, it can be watched all the same"
            }
            _ if !Path::new(BTF).exists() => {
                "this kernel does not describe its types (no /sys/kernel/btf/vmlinux): it takes Linux 5.8 or newer, \
                 built with CONFIG_DEBUG_INFO_BTF"
            }
            _ if !rustix::process::geteuid().is_root() => {
                "it takes root, or the capabilities CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE and CAP_SYS_PTRACE: try sudo"
            }
            _ => {
                "the kernel refuses BPF programs even to root: in a container, run it privileged; elsewhere look for lockdown \
                 mode or a security module"
            }
        })
    }

    /// The error and its causes, without repetitions.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.contains(&more) {
                // Writing into a string does not fail.
                let _ = write!(text, ": {more}");
            }
            cause = error.source();
        }
        text
    }
}
