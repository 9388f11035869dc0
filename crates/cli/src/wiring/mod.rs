//! From configuration and command line to the settings of what runs.

pub(crate) mod agent;
mod brokers;
pub(crate) mod checks;
pub(crate) mod delivery;
pub(crate) mod host;
pub(crate) mod live;
pub(crate) mod metrics;
mod network;
mod otlp;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod privileges;
pub(crate) mod reload;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod setup;
mod spool;
mod streams;
pub(crate) mod syscalls;
pub(crate) mod throttling;
