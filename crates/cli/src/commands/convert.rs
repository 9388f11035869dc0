//! `peregrine rules convert`: rules of the first releases as YAML.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::bail;

use peregrine_wiring::print::print;

/// Prints the file as YAML.
pub(crate) fn run(file: &Path) -> anyhow::Result<()> {
    let name = file.display().to_string();
    let Ok(text) = fs::read(file) else { bail!("Could not open file {name} for reading") };
    match peregrine_rules::convert(&name, &text) {
        Ok(yaml) => Ok(print(yaml)?),
        Err(result) => {
            let _ = writeln!(io::stderr(), "{}", result.explanation().trim_end());
            bail!("{name} cannot be converted");
        }
    }
}
