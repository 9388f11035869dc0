//! Capture files: reads every version, plain or compressed by gzip, zstd or lz4, and writes the
//! newest.
//!
//! A capture is a snapshot of a machine (threads, open files, users, interfaces) followed by
//! events. [`Reader`] returns both, old events in their current form; [`Writer`] writes such a
//! file. This crate knows nothing of the state engine and of rules.
//!
//! ```
//! use peregrine_scap::{Reader, ScapError};
//!
//! let mut reader = Reader::new(b"this is no capture".as_slice());
//! assert!(matches!(reader.next(), Err(ScapError::NotACapture)));
//! ```

#![warn(clippy::indexing_slicing)]

mod appendix;
mod block;
mod convert;
mod cursor;
mod decompress;
mod encode;
mod error;
mod format;
mod generated;
mod input;
mod reader;
mod snapshot;
mod v1;
mod writer;

pub use appendix::OldestReader;
pub use decompress::Packed;
pub use error::{Damage, ScapError};
pub use peregrine_event::source::Record;
pub use reader::{Counts, Reader, open_file};
pub use writer::{Compression, Writer};
