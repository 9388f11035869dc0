//! The kernel side: loading, hooks, rings and counters.

pub mod abi;
mod compat;
mod hooks;
mod load;
mod select;

pub use abi::{Cause, Counters, Lane, LossClass};
pub use load::{HookPlan, Probe, ProbeConfig, ProbeError, Ring};
pub use select::{Selection, SyscallSet, Tracepoints};
