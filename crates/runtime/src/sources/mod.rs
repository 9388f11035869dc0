//! Where events come from: [live](LiveSettings), from a [capture file](open_capture),
//! or from several sources [merged by time](Mux).

mod live;
mod other;
mod replay;

pub use live::{LiveSettings, open_live, probe_selection};
pub(crate) use other::{AnySource, open_all};
pub use other::{OpenSource, OtherSource, SourceError};
pub use peregrine_event::mux::Mux;
pub use peregrine_event::plugins::PluginSources;
pub use replay::{ReplayError, open_capture};
