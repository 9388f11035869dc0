//! `peregrine describe`, `-L` and `-l`: what rules, macros and lists are made of.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use peregrine_fields::Field;
use peregrine_rules::{NotLoaded, RuleSet};
use serde_json::Value as Json;

use peregrine_args::DescribeCommand;
use peregrine_wiring::plugins;
use peregrine_wiring::print::print;
use peregrine_wiring::rules;
use peregrine_wiring::setup::Setup;

/// Describes the rules of a run, or one of them.
pub(crate) fn run(args: &DescribeCommand) -> anyhow::Result<ExitCode> {
    let setup = Setup::load(&args.config)?;
    let rules = rules::load(&setup, &args.rules)?;
    let only = args.rule.as_deref();
    let description = match setup.config().json_output {
        true => as_json(&setup, &rules.set, only).map(|json| format!("{json}\n")),
        false => rules.set.describe_as_text(only),
    };
    match description {
        Ok(description) => print(description)?,
        Err(error) => return Ok(not_loaded(&setup, &error)),
    }
    Ok(ExitCode::SUCCESS)
}

/// All rules with their macros and lists, or one rule, as JSON.
pub(super) fn as_json(
    setup: &Setup,
    rules: &RuleSet<Field>,
    only: Option<&str>,
) -> Result<Json, NotLoaded> {
    let plugins = |source: &str, fields: &BTreeSet<String>| {
        let used = plugins::in_force(setup).filter(|plugin| plugin.is_used(source, fields));
        used.map(|plugin| plugin.name().to_owned()).collect()
    };
    match only {
        Some(name) => rules.describe_rule(name, &plugins),
        None => Ok(rules.describe(&plugins)),
    }
}

/// Falco words this as a runtime error, in the log; on stderr even if the log does not go there.
pub(super) fn not_loaded(setup: &Setup, error: &NotLoaded) -> ExitCode {
    let line = format!("Runtime error: {error}. Exiting.");
    if !setup.config().log_stderr {
        let _ = writeln!(io::stderr(), "{line}");
    }
    setup.log.error(line);
    ExitCode::FAILURE
}
