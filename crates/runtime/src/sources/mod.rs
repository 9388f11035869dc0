//! Where events come from.

mod live;

pub use live::{LiveSettings, open, probe_selection};
