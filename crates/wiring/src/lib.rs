//! From the command line and the configuration to the settings of what runs: which rules are
//! loaded and how, what is checked before the first event, the log, outputs, sources and reload.
//!
//! Configuration and runtime meet here and in `delivery` only. This crate knows every library of
//! the program, but no command; it prints what people wait for, and nothing on standard output
//! unless a command asks for it. Errors are those that the program ends with (`anyhow`).
//!
//! ```no_run
//! use peregrine_args::{ConfigArgs, RulesArgs};
//! use peregrine_wiring::{rules, setup::Setup};
//!
//! let setup = Setup::load(&ConfigArgs::default())?;
//! let rules = rules::load(&setup, &RulesArgs::default())?;
//! println!("{} rules", rules.set.rules.len());
//! # Ok::<(), anyhow::Error>(())
//! ```

pub mod agent;
pub mod checks;
pub mod containers;
pub mod events;
pub mod explain;
pub mod feed;
pub mod host;
pub mod kubernetes;
pub mod live;
pub mod metrics;
pub mod patient;
pub mod plan;
pub mod plugins;
pub mod prepare;
pub mod print;
pub mod privileges;
pub mod reader;
pub mod reload;
pub mod rules;
pub mod run;
pub mod server;
pub mod setup;
pub mod stoppable;
pub mod syscalls;
pub mod version;

/// The rules that go with the built-in configuration.
pub const BUILT_IN_RULES: &str = include_str!("../assets/rules.yaml");
