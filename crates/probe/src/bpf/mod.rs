//! The kernel side: loading, hooks, rings and counters.

pub mod abi;
mod compat;
mod counters;
mod function_hooks;
mod functions;
mod hooks;
mod load;
mod programs;
mod select;

pub use abi::Lane;
pub use counters::{KernelCounters, Loser};
pub use functions::{SYSCALL_FUNCTION, SyscallFunctions, syscall_functions};
pub use hooks::{Prototype, prototypes};
pub use load::{HookPlan, Probe, ProbeConfig, ProbeError, Ring, online_cpus};
pub use programs::{ProgramStatistics, Programs, count_runs};
pub use select::{Selection, SyscallSet, Tracepoints};
