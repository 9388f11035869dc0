//! `peregrine list`: fields, events, plugins and the system calls that are ignored by default.

use anyhow::bail;
use peregrine_authoring::{events, fields};
use peregrine_engine::select;

use super::info;
use peregrine_args::{ListCommand, Listed};
use peregrine_wiring::checks::{self, SYSCALL};
use peregrine_wiring::print::{print, print_error};
use peregrine_wiring::rules;
use peregrine_wiring::setup::Setup;
use peregrine_wiring::version;

/// Prints the list. Events and ignored system calls need no configuration.
pub(crate) fn run(args: &ListCommand) -> anyhow::Result<()> {
    Ok(print(match args.what {
        Listed::Fields => list_fields(args)?,
        Listed::Plugins => plugins(args)?,
        Listed::Events => events::listing(args.format, version::SCHEMA),
        Listed::Ignored => ignored_syscalls(),
    })?)
}

fn list_fields(args: &ListCommand) -> anyhow::Result<String> {
    let setup = Setup::load(&args.config)?;
    checks::plugins(&setup)?;
    if !args.source.is_empty() && args.source != SYSCALL {
        let source = &args.source;
        print_error(format!(
            "help: there is no source `{source}`: without plugins, `{SYSCALL}` is the only one\n"
        ));
        bail!("Value for --list must be a valid source type");
    }
    let vocabulary = rules::vocabulary(&setup);
    Ok(match args.names_only {
        true => fields::names(&vocabulary, args.format),
        false => fields::listing(&vocabulary, args.format, args.verbose),
    })
}

fn plugins(args: &ListCommand) -> anyhow::Result<String> {
    let setup = Setup::load(&args.config)?;
    checks::plugins(&setup)?;
    let plugins = &setup.loaded.plugins;
    let infos: String =
        plugins.iter().filter_map(|plugin| info::built_in_plugin(&plugin.name)).collect();
    Ok(format!("{} Plugins Loaded:\n\n{infos}\n", plugins.len()))
}

fn ignored_syscalls() -> String {
    let names: String = select::ignored().names().iter().map(|n| format!("- {n}\n")).collect();
    format!("Ignored syscall(s):\n{names}\n")
}
