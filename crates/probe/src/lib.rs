//! The live source: system calls and other kernel events of this machine.
//!
//! [`Live`] is that source: [`bpf::Probe`] loads the kernel side (`bpf/` in this repository),
//! attaches it and provides its rings and counters; [`scan`] describes the machine before the first
//! event; each [`Ring`] is read in place, and [`Merge`] puts their events in order. It knows the
//! kernel and the event format, but no rules.
//!
//! ```
//! use peregrine_probe::bpf::{Selection, SyscallSet, Tracepoints};
//!
//! let openat = peregrine_event::syscall_names().find(|(_, name)| *name == "openat");
//! let syscalls: SyscallSet = openat.into_iter().map(|(sc, _)| sc).collect();
//! assert_eq!(syscalls.len(), 1);
//! let selection = Selection { syscalls, tracepoints: Tracepoints::PROCESS_EXIT };
//! assert!(!selection.tracepoints.contains(Tracepoints::SWITCH));
//! ```

mod accounts_worker;
pub mod bpf;
mod clock;
mod counters;
mod event_readers;
mod hint;
mod losses;
#[warn(clippy::indexing_slicing)]
mod merge;
mod offenders;
#[warn(clippy::indexing_slicing)]
pub mod reader;
#[warn(clippy::indexing_slicing)]
mod record;
mod repair;
mod resolver;
#[warn(clippy::indexing_slicing)]
mod ring;
#[warn(clippy::indexing_slicing)]
pub mod scan;
mod source;
mod waiter;

pub use counters::Statistics;
pub use losses::{LossReading, LossSubscription, LossUpdate, Losses};
pub use merge::{Merge, WINDOW};
pub use offenders::Offender;
pub use record::event_of;
pub use resolver::ProcLookup;
#[doc(hidden)]
pub use ring::HeapRing;
pub use ring::Ring;
pub use source::{Live, LiveError};
