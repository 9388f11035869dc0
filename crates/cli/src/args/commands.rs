//! Commands beside Falco's options: `peregrine demo`, `peregrine tune`, `peregrine rules convert FILE`.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::{Parser, Subcommand};

use crate::app::print;
use crate::commands::demo;
use crate::commands::tune::{self, Tune};

/// A command and its words.
#[derive(Debug, Parser)]
#[command(name = "peregrine", disable_help_subcommand = true)]
pub(crate) enum Command {
    /// Show what alerts look like: do a few harmless suspicious things and watch them
    Demo {
        #[arg(hide = true)]
        words: Vec<OsString>,
    },
    /// Measure what rules and system calls cost here, and recommend settings
    Tune(Tune),
    /// Work on rules files
    #[command(subcommand)]
    Rules(Rules),
}

/// What can be done with rules files.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Print a rules file of the first releases as YAML
    Convert {
        /// The file, in lines of `condition | PRIORITY output` and `macro: condition`
        file: PathBuf,
    },
}

/// Runs the command, where the first word is the name of one. Falco passes over words that are no options.
pub(crate) fn run(arguments: &[OsString]) -> Option<anyhow::Result<()>> {
    arguments.get(1).filter(|word| ["rules", "demo", "tune"].iter().any(|name| *word == name))?;
    Some(match Command::try_parse_from(arguments) {
        Ok(Command::Demo { words }) => demo::run(&words),
        Ok(Command::Tune(words)) => tune::run(&words),
        Ok(Command::Rules(Rules::Convert { file })) => convert(&file),
        Err(page) if !page.use_stderr() => print(page.to_string()).map_err(Into::into),
        Err(error) => {
            Err(anyhow!("{}", error.to_string().trim_start_matches("error: ").trim_end()))
        }
    })
}

fn convert(file: &Path) -> anyhow::Result<()> {
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
