//! Where events come from: [live](LiveSettings), from a [capture file](open_capture),
//! [nowhere](NoEvents), or from several sources [merged by time](Mux).

mod live;
mod mux;
mod no_events;
mod replay;

pub use live::{LiveSettings, open_live, probe_selection};
pub use mux::Mux;
pub use no_events::NoEvents;
pub use replay::{ReplayError, open_capture};
