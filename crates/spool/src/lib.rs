//! An ordered queue of records on the disk, for what must reach a receiver that is away.
//!
//! A [`Spool`] takes records, each an id, a time and bytes, and a [`SpoolReader`] gives them back
//! in the same order until they are settled; what is not settled at the end of the process comes
//! first in the next run. Records are appended to segment files with a checksum each. The newest
//! ones are also kept in memory, so that a receiver that keeps up costs no reading; records that
//! the disk refuses, because it is full or broken, wait there. A spool is bounded in bytes and age.
//! A damaged file is skipped from the damage on; the records that are lost are counted. The crate
//! does not know what records are.
//!
//! ```
//! use std::time::Duration;
//!
//! use peregrine_spool::{Record, Spool, SpoolSettings, TakeLimits, WhenFull};
//!
//! let directory = tempfile::tempdir()?;
//! let settings = SpoolSettings {
//!     directory: directory.path().join("spool"),
//!     max_bytes: 64 << 20,
//!     max_age: Duration::from_secs(3600),
//!     when_full: WhenFull::DropOldest,
//!     sync_interval: Duration::from_millis(100),
//!     memory: 1 << 20,
//! };
//! let (spool, _reader, problem) = Spool::open(settings.clone());
//! assert!(problem.is_none());
//! spool.append([Record { id: 1, time: 2, body: b"first" }, Record { id: 3, time: 4, body: b"second" }]);
//! spool.publish();
//! // The program ends before anything is delivered.
//! drop((spool, _reader));
//!
//! let (spool, mut reader, _) = Spool::open(settings);
//! assert_eq!(spool.status().recovered, 2);
//! reader.take(TakeLimits { records: 100, bytes: 1 << 20 });
//! assert_eq!(reader.records()[0], Record { id: 1, time: 2, body: b"first" });
//! reader.settle(2);
//! assert_eq!(spool.status().records, 0);
//! # Ok::<(), std::io::Error>(())
//! ```

#![warn(clippy::indexing_slicing)]

mod directory;
mod disk;
mod error;
mod format;
mod position;
mod reader;
mod settings;
mod shared;
mod spool;
mod state;
mod writer;

pub use directory::check;
pub use error::{DamageReason, SpoolError};
pub use format::parse_segment;
pub use reader::{Missing, SpoolReader, TakeLimits};
pub use settings::{Record, SpoolSettings, SpoolStatus, WhenFull};
pub use spool::Spool;
pub use writer::Appended;

#[cfg(test)]
mod tests;
