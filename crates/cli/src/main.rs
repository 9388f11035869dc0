//! `peregrine`: the program. `peregrine_args` reads the command line, `peregrine_wiring` turns
//! configuration into the settings of what runs, and [`commands`] has one file for each command.
//!
//! It may know every other crate and no crate knows it. Started under the name `falco`, it does
//! just the same.
//!
//! ```sh
//! peregrine -r rules.yaml -o engine.kind=replay -o engine.replay.capture_file=trace.scap
//! ```

mod commands;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use peregrine_args::UsageError;
use peregrine_config::ConfigError;
use peregrine_wiring::plugins::RuntimeError;
use peregrine_wiring::{print, reader};

/// Exit code 0 is success, 1 nearly any failure.
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = reader::run(&arguments) {
        return code;
    }
    let result = peregrine_args::read(&arguments).map_err(Into::into).and_then(|line| {
        for warning in &line.warnings {
            print::print_error(format!("WARNING: {warning}\n"));
        }
        commands::run(line.command)
    });
    result.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        let problems = error.downcast_ref::<ConfigError>().map(|error| {
            let problems: Vec<_> = error.problems().into_iter().map(ToString::to_string).collect();
            problems.join("\n")
        });
        let hint = error.downcast_ref::<UsageError>().and_then(UsageError::hint);
        let hint = hint.map(|hint| format!("help: {hint}\n"));
        // On a terminal the problems say it all.
        let alone = problems.is_some() && io::stderr().is_terminal();
        print::print_problems(&problems.or(hint).unwrap_or_default());
        if error.is::<RuntimeError>() {
            print::print_error(format!("Runtime error: {error:#}. Exiting.\n"));
        } else if !alone {
            print::print_error(format!("Error: {error:#}\n"));
        }
        ExitCode::FAILURE
    })
}

/// Whether the reader of our output has closed it (`peregrine --list | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
