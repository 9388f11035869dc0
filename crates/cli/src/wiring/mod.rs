//! From configuration and command line to the settings of what runs.

pub(crate) mod agent;
pub(crate) mod checks;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod host;
pub(crate) mod live;
pub(crate) mod metrics;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod privileges;
pub(crate) mod reload;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod setup;
pub(crate) mod stoppable;
pub(crate) mod syscalls;
