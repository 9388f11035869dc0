//! Commands that Falco does not have, as a tree of clap subcommands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, ValueEnum};
use peregrine_authoring::Format;

use super::events_commands::{ExplainCommand, QueryCommand};
use super::flags::{Flag, format, with_flags};
use super::groups::{ConfigArgs, LoadArgs, RulesArgs, RunArgs};
use super::lsp_command::LspCommand;
use super::rules_command::RulesCommand;

/// Line width of help pages.
const HELP_WIDTH: usize = 100;

/// A command and its words.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "peregrine",
    about = "Peregrine monitors system calls, evaluates every event against rules and raises alerts.",
    args_override_self = true
)]
pub enum Subcommands {
    /// Monitor this machine or replay a capture (what happens without a command)
    #[command(after_help = "\
Examples:
  peregrine run -c falco.yaml -r my_rules.yaml
  peregrine run -r my_rules.yaml -o engine.kind=replay -o engine.replay.capture_file=trace.scap")]
    Run(RunCommand),
    /// Check rules files and print what is wrong with them
    #[command(after_help = "\
Examples:
  peregrine validate my_rules.yaml
  peregrine validate base.yaml my_rules.yaml      later files see what earlier ones define
  peregrine validate rules.d                      the rules files of a directory
  peregrine validate --format sarif my_rules.yaml > problems.sarif")]
    Validate(ValidateCommand),
    /// List fields, events, plugins or the system calls ignored by default
    #[command(after_help = "\
Examples:
  peregrine list                                  fields that rules can use
  peregrine list events --format json
  peregrine list fields --format markdown")]
    List(ListCommand),
    /// Describe all rules, or one
    #[command(after_help = "\
Examples:
  peregrine describe -r my_rules.yaml
  peregrine describe 'Shell in a server'
  peregrine describe -o json_output=true          macros, lists and fields of each rule too")]
    Describe(DescribeCommand),
    /// Print versions, system, configuration and rules as one JSON object, for a bug report
    #[command(after_help = "\
Example:
  peregrine support > support.json")]
    Support(SupportCommand),
    /// Measure what rules and system calls cost here, and recommend settings
    #[command(after_help = "\
Examples:
  peregrine tune --seconds 60 > tuned.yaml
  peregrine tune --capture trace.scap -r my_rules.yaml")]
    Tune(TuneCommand),
    /// Print the events that satisfy a condition
    #[command(after_help = "\
Examples:
  peregrine query 'evt.type = connect and fd.sport = 443' --capture trace.scap
  peregrine query 'spawned_process' --capture trace.scap -r my_rules.yaml -p '%evt.time %proc.cmdline'
  zcat trace.scap.gz | peregrine query 'fd.name = /etc/shadow' --capture - --format json
  sudo peregrine query 'proc.name = curl' --live --cgroup /sys/fs/cgroup/system.slice -n 10

Exit code: 0 if an event satisfied the condition, 1 otherwise.")]
    Query(QueryCommand),
    /// Explain why rules match an event, or why not
    #[command(after_help = "\
Examples:
  peregrine explain --capture trace.scap                          the first event that a rule matches
  peregrine explain --capture trace.scap --event 1234
  peregrine explain --capture trace.scap --condition 'fd.name = /etc/shadow' --rule 'My rule'
  peregrine explain --capture trace.scap --why-not 'My rule' -r my_rules.yaml
  sudo peregrine explain --live --cgroup /sys/fs/cgroup/demo --why-not 'My rule' --seconds 30

Exit code: 0 if an event was explained, or matched the rule of --why-not; 1 otherwise.")]
    Explain(ExplainCommand),
    /// Serve an editor: problems while typing, completion, hover, navigation, fixes, formatting
    #[command(after_help = "\
Editors start this command. It speaks the language server protocol on standard input and output.

Examples:
  peregrine lsp                                   each file with the siblings that it needs
  peregrine lsp -c falco.yaml                     the rules files of a configuration, in its order
  peregrine lsp -r base.yaml -r local.yaml        these files, in this order

Exit code: 0 after `shutdown` and `exit`; 1 if the editor goes without a word.")]
    Lsp(LspCommand),
    /// Show what alerts look like: perform a few harmless suspicious acts and monitor them
    #[command(after_help = "\
Example:
  sudo peregrine demo")]
    Demo {
        #[arg(hide = true)]
        words: Vec<OsString>,
    },
    /// Work on rules files
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Explain an error or warning code
    #[command(after_help = "\
Examples:
  peregrine code E0405                            of rules files
  peregrine code CONFIG_UNKNOWN_KEY               of the configuration
  peregrine code                                  all codes")]
    Code {
        /// The code, such as E0405 or LOAD_UNKNOWN_FILTER; without one, all are listed
        code: Option<String>,
    },
    /// Explain an event that rules can name, or search for one
    #[command(after_help = "\
Examples:
  peregrine events openat
  peregrine events flags path                     events with such parameters
  peregrine events                                all events")]
    Events {
        /// The name of an event, or words that its name or its parameters have; without any, all
        /// are listed
        words: Vec<String>,
    },
    /// Explain a field that rules can use, or search for one
    #[command(after_help = "\
Examples:
  peregrine fields proc.name
  peregrine fields parent name                    fields about the name of a parent
  peregrine fields 'proc.aname[2]'
  peregrine fields                                all fields")]
    Fields(FieldsCommand),
}

/// Words of `run`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which rules are loaded, and how.
    #[command(flatten)]
    pub rules: RulesArgs,
    /// What the run does.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Words of `validate`.
#[derive(Clone, Debug, Default, Args)]
pub struct ValidateCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How rules are loaded.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Form of the results; JSON is Falco's, SARIF that of code scanners [default: as json_output
    /// of the configuration]
    #[arg(long, value_enum, value_name = "format")]
    pub format: Option<ResultFormat>,
    /// The rules files
    #[arg(required = true, value_name = "rules_file")]
    pub files: Vec<String>,
    /// Falco's `-L` or `-l` beside `-V`: also describe all rules, or this one.
    #[arg(skip)]
    pub describe: Option<Described>,
}

/// Forms of what is said about rules files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "help would show the comments")]
pub enum ResultFormat {
    Text,
    Json,
    Sarif,
}

/// Which rules to describe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Described {
    /// All of them.
    #[default]
    All,
    /// The one of this name.
    Rule(String),
}

/// Words of `list`.
#[derive(Clone, Debug, Args)]
pub struct ListCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What to list
    #[arg(value_enum, default_value_t)]
    pub what: Listed,
    /// Only fields of this event source
    #[arg(long, value_name = "source", default_value = "", hide_default_value = true)]
    pub source: String,
    /// Form of the list: text, markdown or json
    #[arg(long, value_name = "format", default_value = "text", hide_default_value = true, value_parser = format)]
    pub format: Format,
    /// Print names of fields and nothing else
    #[arg(short = 'N')]
    pub names_only: Flag,
    /// Print types of fields too
    #[arg(short)]
    pub verbose: Flag,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    /// Fields that conditions and outputs can use
    #[default]
    Fields,
    /// Events with their parameters
    Events,
    /// System calls that are not monitored unless a rule needs them
    Ignored,
    /// Plugins that the configuration loads
    Plugins,
}

/// Words of `describe`.
#[derive(Clone, Debug, Default, Args)]
pub struct DescribeCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which rules are loaded, and how.
    #[command(flatten)]
    pub rules: RulesArgs,
    /// The rule; without one, all are described
    pub rule: Option<String>,
}

/// Words of `support`.
#[derive(Clone, Debug, Default, Args)]
pub struct SupportCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which rules are loaded, and how.
    #[command(flatten)]
    pub rules: RulesArgs,
}

/// Words of `tune`.
#[derive(Clone, Debug, Args)]
pub struct TuneCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which rules are loaded, and how.
    #[command(flatten)]
    pub rules: RulesArgs,
    /// Measure this capture instead of this machine
    #[arg(long, value_name = "capture_file")]
    pub capture: Option<PathBuf>,
    /// How long to monitor this machine
    #[arg(long, value_name = "seconds", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Print the settings for this set of system calls instead of the recommended one
    #[arg(long, value_name = "name")]
    pub set: Option<String>,
}

/// Words of `fields`.
#[derive(Clone, Debug, Default, Args)]
pub struct FieldsCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The field, with or without its argument, or words that its name or its description has;
    /// without any, all are listed
    #[arg(value_name = "word")]
    pub words: Vec<String>,
}

impl Described {
    /// Name of the rule, unless all are described.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Rule(name) => Some(name),
        }
    }
}

impl Subcommands {
    /// Reads a command line whose first word (after the program's name) is a command.
    pub(super) fn read(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let matches = tree().try_get_matches_from(arguments)?;
        Self::from_arg_matches(&matches)
    }
}

/// The tree, with all it needs to read a command line and to print help.
pub(super) fn tree() -> clap::Command {
    with_flags(Subcommands::command().max_term_width(HELP_WIDTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_accepts_the_declaration() {
        tree().debug_assert();
    }

    #[test]
    fn help_pages() {
        let mut tree = tree();
        tree.build();
        let mut pages = String::new();
        let mut commands: Vec<_> = tree.get_subcommands().cloned().collect();
        while !commands.is_empty() {
            let mut command = commands.remove(0);
            commands.splice(0..0, command.get_subcommands().cloned().collect::<Vec<_>>());
            let name = command.get_bin_name().unwrap().to_owned();
            if !name.contains(" help") {
                pages += &format!("======== {name}\n{}\n", command.render_help());
            }
        }
        insta::assert_snapshot!(pages);
    }
}
