//! `peregrine code`: what an error or warning code of a rules file or of the configuration means,
//! and what to do about it.

use peregrine_authoring::codes::{self, Code};
use peregrine_config::ConfigCode;

use crate::print::print;

/// Prints the page of a code, or the list of all.
pub(crate) fn run(name: Option<&str>) -> anyhow::Result<()> {
    let codes: Vec<_> = codes::of_rules().chain(ConfigCode::ALL.map(of_config)).collect();
    Ok(print(match name {
        Some(name) => codes::page(&codes, name)?,
        None => codes::listing(&codes),
    })?)
}

fn of_config(code: ConfigCode) -> Code {
    Code {
        name: code.name(),
        severity: code.severity().name(),
        title: code.title(),
        meaning: code.meaning(),
        remedy: code.remedy(),
    }
}
