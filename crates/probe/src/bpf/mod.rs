//! The kernel side: loading, hooks, rings and counters.

pub mod abi;
mod compat;
mod config;
mod counters;
mod error;
mod function_hooks;
mod functions;
mod hooks;
mod load;
mod maps;
mod object;
mod programs;
mod select;

pub use abi::RingKind;
pub use config::{HookPlan, ProbeConfig};
pub use counters::{KernelCounters, OffenderRow};
pub use error::ProbeError;
pub use functions::{SYSCALL_FUNCTION, SyscallFunctions, syscall_functions};
pub use hooks::{Prototype, prototypes};
pub use load::{KernelTypes, Probe};
pub use maps::{Ring, online_cpus};
pub use programs::{ProgramStatistics, Programs, count_runs};
pub use select::{Selection, SyscallSet, Tracepoints};
