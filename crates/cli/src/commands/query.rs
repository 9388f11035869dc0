//! `peregrine query`: the events that satisfy a condition.

use std::io::{self, BufWriter, IsTerminal};
use std::process::ExitCode;

use peregrine_authoring::query::{FORMAT, Query};
use peregrine_rules::RuleSet;

use peregrine_args::QueryCommand;
use peregrine_wiring::events::{self, Watch};
use peregrine_wiring::rules;

/// Prints the events, each in a line.
pub(crate) fn run(args: &QueryCommand) -> anyhow::Result<ExitCode> {
    let (setup, texts, loader) = events::prepare(&args.config, &args.events, &args.rules)?;
    let format = args.print.as_deref().unwrap_or(FORMAT);
    let rule = rules::query(&loader, &args.condition, format)?;
    let scope = events::scope(&args.events, &loader)?;
    let set = RuleSet { rules: vec![rule], ..RuleSet::default() };
    let (fields, out) = (rules::vocabulary(&setup), BufWriter::new(io::stdout().lock()));
    let mut query = Query::new(&fields, format, args.format.is_json(), args.count, out)?;
    // Events of this machine come slowly, and a person reads them as they come.
    query.unbuffered = args.events.live || io::stdout().is_terminal();
    Watch::new(&setup, &texts, set, &args.events, scope)?.observe(&mut query)?;
    Ok(if query.finish()? > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
