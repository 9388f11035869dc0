//! `peregrine fields` and `peregrine events`: what a field or an event is.

use peregrine_authoring::{Format, events, fields};

use peregrine_args::FieldsCommand;
use peregrine_wiring::print::print;
use peregrine_wiring::setup::Setup;
use peregrine_wiring::version;
use peregrine_wiring::{checks, rules};

/// Prints the page of a field, those that answer the words, or the list of all.
pub(crate) fn run(args: &FieldsCommand) -> anyhow::Result<()> {
    let setup = Setup::load(&args.config)?;
    checks::plugins(&setup)?;
    let vocabulary = rules::vocabulary(&setup);
    Ok(print(match args.words.is_empty() {
        false => fields::find(&vocabulary, &args.words)?,
        true => fields::listing(&vocabulary, Format::Text, true),
    })?)
}

/// The same for events.
pub(crate) fn events(words: &[String]) -> anyhow::Result<()> {
    Ok(print(match words {
        [] => events::listing(Format::Text, version::SCHEMA),
        words => events::find(words)?,
    })?)
}
