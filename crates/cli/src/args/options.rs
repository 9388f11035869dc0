//! The command line: Falco's options, by their Falco names.
//!
//! The parser is clap's; what differs between clap and the parser Falco users are used to (error texts, values that begin
//! with a dash, flags given twice, words that nobody asked for) is evened out here.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are help texts, where brackets are brackets"
)]

use std::path::PathBuf;

use clap::builder::styling::Style;
use clap::builder::{BoolishValueParser, ValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser};
use peregrine_authoring::Format;
use thiserror::Error;

/// What the command line says.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "peregrine",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true
)]
pub(crate) struct Options {
    /// Show this help
    #[arg(short, long, help_heading = GENERAL)]
    pub(crate) help: Flag,

    /// Read the configuration from this file [default: /etc/falco/falco.yaml]
    #[arg(short, value_name = "path", allow_hyphen_values = true, help_heading = RUN)]
    pub(crate) config: Option<PathBuf>,

    /// Set one key of the configuration; stronger than any file, may be given again. Keys of maps are joined by dots,
    /// items of lists are [0], [1], … and [] adds one; a backslash takes the meaning from a dot, a bracket or a backslash;
    /// {…} as value is a map
    #[arg(short = 'o', long = "option", value_name = "opt>=<val", allow_hyphen_values = true, help_heading = RUN)]
    pub(crate) overrides: Vec<String>,

    /// Load rules from this .yaml or .yml file, or from all such files of this directory, instead of those the
    /// configuration names; may be given again
    #[arg(short, value_name = "rules_file", allow_hyphen_values = true, help_heading = RUN)]
    pub(crate) rules: Vec<String>,

    /// Take events from this source only; may be given again. A replay takes them from its file whatever this says
    #[arg(long, value_name = "event_source", allow_hyphen_values = true, help_heading = RUN)]
    pub(crate) enable_source: Vec<String>,

    /// Take no events from this source; may be given again, but one source must be left
    #[arg(long, value_name = "event_source", allow_hyphen_values = true, help_heading = RUN)]
    pub(crate) disable_source: Vec<String>,

    /// Check the configuration and the rules, then stop before the first event
    #[arg(long, help_heading = RUN)]
    pub(crate) dry_run: Flag,

    /// Stop after this many seconds (by the time of the events)
    #[arg(short = 'M', value_name = "num_seconds", allow_hyphen_values = true, default_value_t = 0, hide_default_value = true, help_heading = RUN)]
    pub(crate) seconds: i32,

    /// Record all events into this capture file, compressed when its name ends in .gz. Falco has no such option
    #[arg(short = 'w', long, value_name = "capture_file", allow_hyphen_values = true, help_heading = OWN)]
    pub(crate) write: Option<PathBuf>,

    /// Measure what each rule costs and print it at the end. Falco has no such option
    #[arg(long, help_heading = OWN)]
    pub(crate) profile: Flag,

    /// Measure what each rule costs and write it to this file as stacks for a flame graph
    #[arg(long, value_name = "file", allow_hyphen_values = true, help_heading = OWN)]
    pub(crate) profile_folded: Option<PathBuf>,

    /// Add this to the text of every alert. Outdated: use -o append_output[]=…
    #[arg(short, long, value_name = "output_format", allow_hyphen_values = true, help_heading = RUN)]
    pub(crate) print: Option<String>,

    /// Write the process id into this file
    #[arg(short = 'P', long, value_name = "pid_file", allow_hyphen_values = true, help_heading = RUN)]
    pub(crate) pidfile: Option<PathBuf>,

    /// Write every alert at once, even when the configuration allows to collect some
    #[arg(short = 'U', long, help_heading = RUN)]
    pub(crate) unbuffered: Flag,

    /// Say more: counters at the end of a run, types with --list
    #[arg(short, help_heading = RUN)]
    pub(crate) verbose: Flag,

    /// Check this rules file and print what is wrong with it; may be given again
    #[arg(short = 'V', long, value_name = "rules_file", allow_hyphen_values = true, help_heading = RULES)]
    pub(crate) validate: Vec<String>,

    /// Describe all rules; with json_output their macros and lists too
    #[arg(short = 'L', help_heading = RULES)]
    pub(crate) describe_all: Flag,

    /// Describe this rule
    #[arg(short = 'l', value_name = "rule", allow_hyphen_values = true, help_heading = RULES)]
    pub(crate) describe: Option<String>,

    /// List the fields that conditions and outputs can use, all or those of one event source
    #[arg(long, value_name = "source", num_args = 0..=1, require_equals = true, default_missing_value = "", help_heading = RULES)]
    pub(crate) list: Option<String>,

    /// List the events with their parameters
    #[arg(long, help_heading = RULES)]
    pub(crate) list_events: Flag,

    /// How to print a list: text, markdown or json
    #[arg(long, value_name = "format", allow_hyphen_values = true, help_heading = RULES)]
    format: Option<String>,

    /// Outdated: use --format markdown
    #[arg(long, help_heading = RULES)]
    markdown: Flag,

    /// With --list, print names and nothing else
    #[arg(short = 'N', help_heading = RULES)]
    pub(crate) names_only: Flag,

    /// Name the system calls that are left out unless a rule asks for them
    #[arg(short = 'i', help_heading = RULES)]
    pub(crate) ignored_events: Flag,

    /// Print the JSON schema of the configuration
    #[arg(long, help_heading = GENERAL)]
    pub(crate) config_schema: Flag,

    /// Print the JSON schema of rules files
    #[arg(long, help_heading = GENERAL)]
    pub(crate) rule_schema: Flag,

    /// List the plugins that the configuration loads
    #[arg(long, help_heading = GENERAL)]
    pub(crate) list_plugins: Flag,

    /// Describe one plugin, by its name or library path
    #[arg(long, value_name = "plugin_name", allow_hyphen_values = true, help_heading = GENERAL)]
    pub(crate) plugin_info: Option<String>,

    /// Print versions, system, configuration and rules as one JSON object, for a report
    #[arg(long, help_heading = GENERAL)]
    pub(crate) support: Flag,

    /// Print versions
    #[arg(long, help_heading = GENERAL)]
    pub(crate) version: Flag,

    /// Print the size of a memory page, the unit of ring buffers
    #[arg(long, help_heading = GENERAL)]
    pub(crate) page_size: Flag,

    /// Words that are no options: accepted and not looked at, as ever.
    #[arg(hide = true, allow_hyphen_values = false)]
    _rest: Vec<String>,
}

const RUN: &str = "Running";
const RULES: &str = "Rules and fields";
const GENERAL: &str = "About";
// Tools compare the options in the help page with Falco's; ours are told among the examples.
const OWN: &str = "Peregrine's own";

const EXAMPLES: &str = "\
Examples:
  peregrine                                              watch this machine with /etc/falco/falco.yaml
  peregrine -r my_rules.yaml --dry-run                   would it start?
  peregrine -V my_rules.yaml                             what is wrong with my rules?
  peregrine -r my_rules.yaml -o engine.kind=replay \\
            -o engine.replay.capture_file=trace.scap     what would have been seen?
  peregrine -o json_output=true -L                       all rules, for another program to read
  peregrine --list=syscall --format markdown             fields, for a page
  peregrine -w trace.scap                                record all events (--write; gzip when named .gz)
  peregrine -r my_rules.yaml --profile                   which rules cost what, and why?
  peregrine tune                                         which settings suit this machine?
  peregrine rules convert old.conf                       rules of the first releases, as YAML
  peregrine demo                                         what would an alert look like?
";

/// A command line that can't be followed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// No option has this name.
    #[error("Option ‘{0}’ does not exist")]
    Unknown(String),
    /// The option needs a value.
    #[error("Option ‘{0}’ is missing an argument")]
    NoValue(String),
    /// The value means nothing to its option.
    #[error("Argument ‘{0}’ failed to parse")]
    BadValue(String),
    /// Two ways to say one thing.
    #[error("Cannot specify both --markdown and --format options together")]
    TwoFormats,
    /// Not a format.
    #[error("Invalid format '{0}'. Valid values are: text, markdown, json")]
    UnknownFormat(String),
    /// Anything else, in clap's words.
    #[error("{0}")]
    Other(String),
}

impl Options {
    /// Reads a command line, the program's name first.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Self, UsageError> {
        let arguments: Vec<_> = arguments.into_iter().collect();
        // Only the last word can lack its value. It is called what the user called it, not by its longest name.
        let last =
            arguments.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let matches = command().try_get_matches_from(arguments);
        let options = matches.and_then(|matches| Self::from_arg_matches(&matches));
        options.map_err(|error| match UsageError::from(&error) {
            UsageError::NoValue(_) => UsageError::NoValue(match last.strip_prefix("--") {
                Some(long) => long.to_owned(),
                None => last.chars().next_back().into_iter().collect(),
            }),
            other => other,
        })
    }

    /// How to print a listing.
    pub(crate) fn list_format(&self) -> Result<Format, UsageError> {
        match (&self.format, self.markdown) {
            (Some(_), true) => Err(UsageError::TwoFormats),
            (Some(name), false) if name.is_empty() => Ok(Format::default()),
            (Some(name), false) => {
                name.parse().map_err(|_| UsageError::UnknownFormat(name.clone()))
            }
            (None, true) => Ok(Format::Markdown),
            (None, false) => Ok(Format::default()),
        }
    }

    /// Whether the outdated way to ask for markdown was used.
    pub(crate) fn outdated_markdown(&self) -> bool {
        self.markdown
    }

    /// Whether rules are to be described, and which (`None`: all).
    pub(crate) fn to_describe(&self) -> Option<Option<&str>> {
        match &self.describe {
            Some(rule) if !rule.is_empty() => Some(Some(rule)),
            _ => self.describe_all.then_some(None),
        }
    }
}

/// The help page.
pub(crate) fn help(color: bool) -> String {
    let bold = if color { Style::new().bold() } else { Style::new() };
    let mut page = String::from(
        "Peregrine watches what programs ask of the kernel and raises alerts by rules.\n\n",
    );
    page += &format!("{bold}Usage:{bold:#} peregrine [options]\n");
    let command = command();
    for heading in [RUN, RULES, GENERAL] {
        page += &format!("\n{bold}{heading}:{bold:#}\n");
        let group = command.get_arguments().filter(|arg| arg.get_help_heading() == Some(heading));
        group.for_each(|arg| page += &help_of(arg));
    }
    page.push('\n');
    page + EXAMPLES
}

/// Column where the explanation of an option begins, and where its lines end.
const HELP_COLUMN: usize = 34;
const HELP_WIDTH: usize = 100;

fn help_of(arg: &Arg) -> String {
    let mut line = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("  -{short}, --{long}"),
        (Some(short), None) => format!("  -{short}"),
        (None, long) => format!("      --{}", long.unwrap_or_default()),
    };
    if let (true, Some([value])) =
        (arg.get_action().takes_values() && !is_flag(arg), arg.get_value_names())
    {
        let optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
        line += &if optional { format!(" [=<{value}>(=)]") } else { format!(" <{value}>") };
    }
    let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut column = line.chars().count();
    if column + 2 > HELP_COLUMN {
        line.push('\n');
        column = 0;
    }
    for word in about.split_whitespace() {
        if column + 1 + word.chars().count() > HELP_WIDTH {
            line.push('\n');
            column = 0;
        }
        let gap = if column < HELP_COLUMN { HELP_COLUMN - column } else { 1 };
        line += &" ".repeat(gap);
        line += word;
        column += gap + word.chars().count();
    }
    line + "\n"
}

/// A switch. Not spelled `bool`, which clap would take for a switch without a value: Falco's take one (`--dry-run=false`).
type Flag = bool;

fn is_flag(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == ValueParser::bool().type_id()
}

fn command() -> Command {
    Options::command().mut_args(|arg| {
        if !is_flag(&arg) {
            return arg;
        }
        let arg = arg.required(false).num_args(0..=1).require_equals(true);
        arg.value_parser(BoolishValueParser::new())
            .default_value("false")
            .default_missing_value("true")
    })
}

impl From<&clap::Error> for UsageError {
    fn from(error: &clap::Error) -> Self {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            Some(ContextValue::Strings(texts)) => texts.join(" "),
            _ => String::new(),
        };
        // clap names an argument as help shows it ("-c <path>", "--option <opt>=<val>"); users know it by its name.
        let named = || {
            let argument = context(ContextKind::InvalidArg);
            let name = argument.split([' ', '=', '[']).next().unwrap_or_default();
            name.trim_start_matches('-').to_owned()
        };
        match error.kind() {
            ErrorKind::UnknownArgument => Self::Unknown(named()),
            ErrorKind::InvalidValue | ErrorKind::NoEquals | ErrorKind::WrongNumberOfValues
                if context(ContextKind::InvalidValue).is_empty() =>
            {
                Self::NoValue(named())
            }
            ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::TooManyValues => {
                Self::BadValue(context(ContextKind::InvalidValue))
            }
            _ => Self::Other(error.to_string().trim_start_matches("error: ").trim_end().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Options, UsageError> {
        Options::read(std::iter::once("falco").chain(line.iter().copied()).map(Into::into))
    }

    #[test]
    fn clap_finds_nothing_wrong_with_the_declaration() {
        command().debug_assert();
    }

    #[test]
    fn repeated_options_collect_and_commas_do_not_split() {
        let options =
            read(&["-o", "a=1,b=2", "-oc=3", "--option", "d=4", "-r", "x.yaml", "-ry.yaml"])
                .unwrap();
        assert_eq!(options.overrides, ["a=1,b=2", "c=3", "d=4"]);
        assert_eq!(options.rules, ["x.yaml", "y.yaml"]);
    }

    #[test]
    fn errors_are_worded_as_users_of_falco_know_them() {
        let error = |line: &[&str]| read(line).unwrap_err().to_string();
        assert_eq!(error(&["-x"]), "Option ‘x’ does not exist");
        assert_eq!(error(&["--nope-not", "-h"]), "Option ‘nope-not’ does not exist");
        assert_eq!(error(&["-c"]), "Option ‘c’ is missing an argument");
        assert_eq!(error(&["-o"]), "Option ‘o’ is missing an argument");
        assert_eq!(error(&["--disable-source"]), "Option ‘disable-source’ is missing an argument");
        assert_eq!(error(&["--dry-run=7"]), "Argument ‘7’ failed to parse");
        assert_eq!(error(&["-M", "soon"]), "Argument ‘soon’ failed to parse");
    }

    #[test]
    fn flags_cluster_repeat_and_take_a_boolean() {
        let options = read(&["-vU", "-v", "--dry-run=true", "--support=false"]).unwrap();
        assert!(options.verbose && options.unbuffered && options.dry_run && !options.support);
    }

    #[test]
    fn list_takes_its_source_after_an_equals_sign_only() {
        assert_eq!(read(&["--list"]).unwrap().list.as_deref(), Some(""));
        assert_eq!(read(&["--list=syscall"]).unwrap().list.as_deref(), Some("syscall"));
        assert_eq!(read(&["--list", "syscall"]).unwrap().list.as_deref(), Some(""));
    }

    #[test]
    fn a_value_may_look_like_an_option_and_stray_words_are_ignored() {
        assert_eq!(read(&["-l", "-v"]).unwrap().describe.as_deref(), Some("-v"));
        assert!(read(&["--dry-run", "stray", "--", "-x"]).unwrap().dry_run);
    }

    #[test]
    fn formats() {
        assert_eq!(read(&["--format", "JSON"]).unwrap().list_format(), Ok(Format::Json));
        assert_eq!(read(&["--markdown"]).unwrap().list_format(), Ok(Format::Markdown));
        assert_eq!(
            read(&["--markdown", "--format", "text"]).unwrap().list_format(),
            Err(UsageError::TwoFormats)
        );
        assert!(read(&["--format", "xml"]).unwrap().list_format().is_err());
    }

    #[test]
    fn help_page() {
        insta::assert_snapshot!(help(false));
    }
}
