//! `peregrine lsp`: a language server on standard input and output.

use std::io::{self, BufReader};
use std::process::ExitCode;

use peregrine_args::LspCommand;
use peregrine_lsp::{Options, serve};

/// Serves until the editor ends it.
pub(crate) fn run(args: LspCommand) -> ExitCode {
    let options = Options {
        config: args.config.config,
        rules: args.rules,
        overrides: args.config.overrides,
        capture: args.capture,
        ..Options::default()
    };
    match serve(BufReader::new(io::stdin()), io::stdout(), options) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
