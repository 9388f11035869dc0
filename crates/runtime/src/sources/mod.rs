//! Where events come from: [live](LiveSettings), from a [capture file](open_capture),
//! or from several sources [merged by time](Mux).

mod live;
mod mux;
mod replay;

pub use live::{LiveSettings, open_live, probe_selection};
pub use mux::Mux;
pub use replay::{ReplayError, open_capture};
