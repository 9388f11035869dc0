//! `peregrine`: the program. Reads the command line and the configuration, answers questions about rules and fields,
//! and runs the engine.
//!
//! It may know every other crate and is known by none. Started under the name `falco`, it does just the same.
//!
//! ```sh
//! peregrine -r rules.yaml -o engine.kind=replay -o engine.replay.capture_file=trace.scap
//! ```

mod app;
mod args;
mod commands;
mod drops;
mod live;
mod log;
mod metrics;
mod profile;
mod run;
mod signals;
mod version;
mod watch;

mod wiring;

use std::process::ExitCode;

/// The rules that go with the built-in configuration.
pub(crate) const BUILT_IN_RULES: &str = include_str!("../assets/rules.yaml");

fn main() -> ExitCode {
    app::main(std::env::args_os())
}
