//! Why a kernel cannot be monitored.

use std::path::PathBuf;

use aya::maps::MapError;
use aya::programs::ProgramError;
use aya::{BtfError, EbpfError};
use thiserror::Error;

/// Why this kernel cannot be monitored.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The kernel has no BTF.
    #[error("the kernel's type information (/sys/kernel/btf/vmlinux) cannot be used: {0}")]
    Btf(#[from] BtfError),
    /// The programs do not fit this kernel, or permission is missing.
    #[error("the kernel does not take the probe: {0}")]
    Object(#[from] EbpfError),
    /// The kernel rejects a program.
    #[error("the kernel refuses program `{name}`: {source}")]
    Program {
        /// Its name.
        name: String,
        /// Why.
        source: ProgramError,
    },
    /// Per-syscall hooks were requested, and are not supported.
    #[error("the kernel lets no functions be hooked: {0}")]
    Functions(String),
    /// The kernel rejects a map.
    #[error("a map of the probe: {0}")]
    Map(#[from] MapError),
    /// The limit of descriptors leaves none for a ring.
    #[error("a ring buffer: {0}")]
    Ring(std::io::Error),
    /// The object lacks a program or map.
    #[error("this build's object has no `{0}`")]
    Missing(String),
    /// The cgroup to monitor cannot be opened.
    #[error("cgroup {}: {source}", .path.display())]
    Scope {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The number of CPUs cannot be determined.
    #[error("{0}: {1}")]
    Cpus(&'static str, std::io::Error),
}

impl ProbeError {
    pub(super) fn is_unknown_tracepoint(&self) -> bool {
        let Self::Program { source: ProgramError::Btf(error), .. } = self else { return false };
        matches!(error, BtfError::UnknownBtfTypeName { .. })
    }
}
