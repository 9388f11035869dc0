//! `peregrine code`: what an error or warning code of a rules file means, and what to do about it.

use peregrine_authoring::codes;

use crate::print::print;

/// Prints the page of a code, or the list of all.
pub(crate) fn run(code: Option<&str>) -> anyhow::Result<()> {
    Ok(print(match code {
        Some(code) => codes::page(code)?,
        None => codes::listing(),
    })?)
}
