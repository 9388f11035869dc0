//! `peregrine list`: fields, events, plugins and the system calls that are ignored by default.

use anyhow::bail;
use peregrine_authoring::{events, fields};
use peregrine_engine::select;

use peregrine_args::{ListCommand, Listed};
use peregrine_wiring::checks;
use peregrine_wiring::plugins;
use peregrine_wiring::print::{print, print_error};
use peregrine_wiring::rules;
use peregrine_wiring::setup::Setup;
use peregrine_wiring::version;

/// Prints the list. Events and ignored system calls need no configuration.
pub(crate) fn run(args: &ListCommand) -> anyhow::Result<()> {
    Ok(print(match args.what {
        Listed::Fields => list_fields(args)?,
        Listed::Plugins => list_plugins(args)?,
        Listed::Events => events::listing(args.format, version::SCHEMA),
        Listed::Ignored => ignored_syscalls(),
    })?)
}

fn list_fields(args: &ListCommand) -> anyhow::Result<String> {
    let setup = Setup::load(&args.config)?;
    checks::plugins(&setup)?;
    let sources = plugins::event_sources(&setup, rules::vocabulary(&setup));
    let wanted = &args.source;
    let is_wanted = |name: &str| wanted.is_empty() || name == wanted;
    let listed = sources.iter().filter(|source| is_wanted(&source.name));
    let listed: Vec<_> = listed.map(|source| &source.vocabulary).collect();
    if listed.is_empty() {
        let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
        let known = match names.as_slice() {
            [only] => format!("without plugins, `{only}` is the only one"),
            names => format!("there are {}", names.join(", ")),
        };
        print_error(format!("help: there is no source `{wanted}`: {known}\n"));
        bail!("Value for --list must be a valid source type");
    }
    Ok(match args.names_only {
        true => fields::names_of(&listed, args.format),
        false => fields::listing_of(&listed, args.format, args.verbose),
    })
}

fn list_plugins(args: &ListCommand) -> anyhow::Result<String> {
    let setup = Setup::load(&args.config)?;
    plugins::list(&setup)
}

fn ignored_syscalls() -> String {
    let names: String = select::ignored().names().iter().map(|n| format!("- {n}\n")).collect();
    format!("Ignored syscall(s):\n{names}\n")
}
