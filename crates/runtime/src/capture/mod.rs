//! Capture files that a run writes.

mod matches;
mod writer;

pub use peregrine_scap::OldestReader;

pub use matches::{MatchCaptureSettings, SizeReached};
pub use writer::{Backpressure, CaptureError, CaptureFile, CaptureWriter, FileSettings};

pub(crate) use matches::MatchCaptures;
