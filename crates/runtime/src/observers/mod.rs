//! What follows the events of a run.

mod recorder;

pub use recorder::{Recorder, RecordingSettings};
