//! What rules and system calls cost on a machine or in a capture, and which settings follow from
//! that.
//!
//! One run is enough: the count of each system call tells how many events each set of system calls
//! would have brought, and the count of bytes how large a ring must be for the worst moment. The
//! crate knows engine, events and state; it opens no source and prints nothing.
//!
//! ```
//! use peregrine_engine::select::{BaseSyscalls, SyscallSet};
//! use peregrine_tune::candidates;
//!
//! let rules = SyscallSet::named(["openat", "connect"]);
//! let sets = candidates(&rules, &BaseSyscalls::default());
//! assert!(sets.iter().any(|set| set.name == "repair"));
//! ```

mod count;
mod measure;
mod report;
mod sets;

pub use count::Cpus;
pub use measure::{Limits, Measured, measure};
pub use report::Report;
pub use sets::{Candidate, candidates};
