//! Every limit on what others decide about: bytes, entries and times of kernel texts, files,
//! requests and rules.
//!
//! A [`Limit`] is a constant: its value, what it bounds and what happens when it is reached, the
//! configuration key if there is one, and a counter. Code that reaches a limit calls
//! [`Limit::reach`], and goes on with less. The metrics show each counter, the log names at most
//! once a minute the limits that were reached ([`Watch`]), and `docs/limits.md` is the same table.
//! The crate knows nothing of the code that its limits bound.
//!
//! ```
//! use peregrine_limits::{Watch, ACCOUNT_FILE_BYTES};
//!
//! let mut watch = Watch::new();
//! let file = vec![0; 8 << 20];
//! if file.len() > ACCOUNT_FILE_BYTES.get() {
//!     ACCOUNT_FILE_BYTES.reach();
//! }
//! let reached = watch.reached();
//! assert_eq!(reached[0].limit.name(), "account_file_bytes");
//! assert_eq!(reached[0].limit.to_string(), "4 MiB");
//! ```

mod limit;
mod table;
mod watch;

pub use limit::{Limit, Unit};
pub use table::*;
pub use watch::{Reached, Watch};
