//! The words of `peregrine rules lint`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::flags::Flag;
use super::groups::{ConfigArgs, RulesArgs};

/// Words of `rules lint`.
#[derive(Clone, Debug, Default, Args)]
pub struct LintCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which rules are loaded, and how.
    #[command(flatten)]
    pub rules: RulesArgs,
    /// Report these findings as errors: a code (L0401), the beginning of some (L04), or `all`; may
    /// be repeated
    #[arg(long, value_name = "code", value_delimiter = ',')]
    pub deny: Vec<String>,
    /// Do not report these findings
    #[arg(long, value_name = "code", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// Report only these findings, also those that are not reported by default
    #[arg(long, value_name = "code", value_delimiter = ',')]
    pub select: Vec<String>,
    /// Do not report the findings that this file knows
    #[arg(long, value_name = "file")]
    pub baseline: Option<PathBuf>,
    /// Write all findings into this file, as a baseline, and report none
    #[arg(long, value_name = "file", conflicts_with = "baseline")]
    pub write_baseline: Option<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum, value_name = "format", default_value_t, hide_default_value = true)]
    pub format: LintFormat,
    /// Print what each rule is expected to cost instead: comparisons of numbers per event
    #[arg(long)]
    pub costs: Flag,
    /// Weight costs by the events of this capture
    #[arg(long, value_name = "capture_file", requires = "costs")]
    pub capture: Option<PathBuf>,
    /// The rules files, or directories of them; without any, those of the configuration
    #[arg(value_name = "rules_file")]
    pub files: Vec<String>,
}

/// Forms of a report of lints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "help would show the comments")]
pub enum LintFormat {
    #[default]
    Text,
    Json,
    Sarif,
    Github,
}
