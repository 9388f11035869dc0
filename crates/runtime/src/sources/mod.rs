//! Where events come from: [live](LiveSettings) or from a [capture file](open_capture).

mod live;
mod replay;

pub use live::{LiveSettings, open_live, probe_selection};
pub use replay::{ReplayError, open_capture};
