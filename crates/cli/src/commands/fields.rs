//! `peregrine fields`: what a field is.

use peregrine_authoring::{Format, fields};

use crate::print::print;
use crate::wiring::rules;
use crate::wiring::setup::Setup;
use peregrine_args::FieldsCommand;

/// Prints the page of a field, or the list of all.
pub(crate) fn run(args: &FieldsCommand) -> anyhow::Result<()> {
    let setup = Setup::load(&args.config)?;
    let vocabulary = rules::vocabulary(&setup);
    Ok(print(match &args.name {
        Some(name) => fields::page(&vocabulary, name)?,
        None => fields::listing(&vocabulary, Format::Text, true),
    })?)
}
