//! Commands that work on rules files: `peregrine rules …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::diff_command::DiffCommand;
use super::flags::Flag;
use super::groups::{ConfigArgs, LoadArgs, RulesArgs};
use super::lint_command::LintCommand;

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
    /// Run the tests in rules files and in files of tests
    #[command(after_help = "\
Examples:
  peregrine rules test my_rules.yaml              its tests, and those of my_rules.test.yaml
  peregrine rules test tests.yaml -r base.yaml -r my_rules.yaml
  peregrine rules test --coverage --min-coverage 80 --junit results.xml my_rules.yaml
  peregrine rules test --record trace.scap --event 1234 --rule 'My rule' -r my_rules.yaml
Exit code: 0 if all tests pass; 1 if one fails or can't be run, or the coverage is too small; 2 if
the rules or the configuration can't be loaded.")]
    Test(Box<TestCommand>),
    /// Find rules that load, but do not do what they seem to
    #[command(after_help = "\
Examples:
  peregrine rules lint                            the rules that the configuration loads
  peregrine rules lint base.yaml my_rules.yaml    these, in this order
  peregrine rules lint --deny all --format github rules/*.yaml
  peregrine rules lint --write-baseline known.json && peregrine rules lint --baseline known.json
  peregrine rules lint --costs --capture trace.scap
  peregrine code L0401                            what a lint finds, with an example
In a file, a comment silences findings of an item or a line: # lint: allow(L0401) the reason
Exit code: 0 if there is no error (warnings do not count unless --deny makes them errors), 1 if there
is one, 2 if the rules could not be checked.")]
    Lint(Box<LintCommand>),
    /// Show what changes between two sets of rules: in meaning, and in the alerts on captures
    #[command(after_help = "\
Examples:
  peregrine rules diff old_rules.yaml my_rules.yaml
  peregrine rules diff base.yaml base.yaml,my_rules.yaml          what my_rules.yaml adds
  peregrine rules diff old.d new.d --capture trace.scap --format markdown

Conditions that differ in writing only are the same: macros and lists are expanded, and the order
of tests and items does not count.

Exit code: 0 if nothing differs, 1 if something does, 2 if a set or a capture cannot be read.")]
    Diff(DiffCommand),
    /// Apply the fixes of what is wrong with rules files
    #[command(after_help = "\
Examples:
  peregrine rules fix --diff my_rules.yaml        prints what would change
  peregrine rules fix my_rules.yaml               writes the file
Only fixes that keep what is meant are applied; --unsafe applies guesses too, such as the nearest name.
Exit code: 0 if the files are fixed now, or have nothing to fix; with --diff 1 if they have; 2 if one
cannot be read or written.")]
    Fix(FixCommand),
}

/// Words of `rules fix`.
#[derive(Clone, Debug, Default, Args)]
pub struct FixCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How rules are loaded.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Write nothing, and print what would change
    #[arg(long)]
    pub diff: Flag,
    /// Apply fixes that may not be meant, too
    #[arg(long = "unsafe")]
    pub all: Flag,
    /// The rules files, in the order of loading
    #[arg(required = true, value_name = "rules_file")]
    pub files: Vec<String>,
}

/// Forms of the results of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "help would show the comments")]
pub enum TestFormat {
    #[default]
    Text,
    Json,
    Junit,
}

/// Words of `rules test`.
#[derive(Clone, Debug, Default, Args)]
pub struct TestCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which rules are loaded, and how.
    #[command(flatten)]
    pub rules: RulesArgs,
    /// Run only tests whose name, or the name of their rule, contains this text
    #[arg(long, value_name = "text", default_value = "", hide_default_value = true)]
    pub filter: String,
    /// List the tests and run none
    #[arg(long)]
    pub list: Flag,
    /// Form of the results: text, json or junit
    #[arg(long, value_enum, value_name = "format", default_value_t)]
    pub format: TestFormat,
    /// Also write the results as JUnit XML into this file
    #[arg(long, value_name = "file")]
    pub junit: Option<PathBuf>,
    /// Print a line for each test that passes
    #[arg(short)]
    pub verbose: Flag,
    /// Show which conditions of the rules were never true or never false
    #[arg(long)]
    pub coverage: Flag,
    /// Fail if the conditions had less than this part of their values, in percent
    #[arg(long, value_name = "percent", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub min_coverage: Option<u8>,
    /// Allow tests to read captures of this directory, besides those beside them; may be repeated
    #[arg(long, value_name = "directory")]
    pub captures: Vec<PathBuf>,
    /// Print a test for an event of this capture: of the one that --event or --condition names, or
    /// of the first that a rule matches
    #[arg(long, value_name = "capture_file")]
    pub record: Option<PathBuf>,
    /// The number of the event to record
    #[arg(long, value_name = "number", requires = "record", conflicts_with = "condition")]
    pub event: Option<u64>,
    /// Record the first event for which this condition holds
    #[arg(long, value_name = "condition", requires = "record")]
    pub condition: Option<String>,
    /// The rule that the recorded test is about [default: all that match the event]
    #[arg(long, value_name = "name", requires = "record")]
    pub rule: Option<String>,
    /// Rules files with tests, files of tests, or directories of them; without any, the rules files
    /// of the configuration
    #[arg(value_name = "file")]
    pub files: Vec<String>,
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
