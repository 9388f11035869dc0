//! Commands that work on rules files: `peregrine rules …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::flags::Flag;

/// What can be done with rules files.
#[derive(Clone, Debug, Subcommand)]
pub enum RulesCommand {
    /// Print a rules file of the first releases as YAML
    #[command(after_help = "\
Example:
  peregrine rules convert old.conf > rules.yaml")]
    Convert {
        /// The file, in lines of `condition | PRIORITY output` and `macro: condition`
        file: PathBuf,
    },
    /// Format rules files: one layout, comments kept, nothing changed in meaning
    #[command(after_help = "\
Examples:
  peregrine rules fmt my_rules.yaml               writes the file
  peregrine rules fmt --check /etc/falco/rules.d  for CI: names files that are not formatted
  peregrine rules fmt - < my_rules.yaml           for editors: prints the formatted text
Exit code: 0 if the files are formatted now; with --check or --diff 1 if they are not; 2 if one
cannot be formatted.")]
    Fmt(FmtCommand),
}

/// Words of `rules fmt`.
#[derive(Clone, Debug, Default, Args)]
pub struct FmtCommand {
    /// Write nothing, and name the files that are not formatted
    #[arg(long)]
    pub check: Flag,
    /// Write nothing, and print what would change
    #[arg(long)]
    pub diff: Flag,
    /// The rules files, or directories of them; `-` formats standard input to standard output
    #[arg(required = true, value_name = "rules_file")]
    pub files: Vec<String>,
}
