//! Falco's options, by their Falco names.
//!
//! The parser is clap's; what differs between clap and the parser Falco users know (error texts,
//! values that begin with a dash, flags given twice, stray words) is evened out here.

use std::ffi::OsString;
use std::fs::File;

use clap::{Command as Clap, CommandFactory, FromArgMatches, Parser};
use peregrine_authoring::Format;
use peregrine_diagnostics::closest;

use super::command::Command;
use super::flags::{Flag, with_flags};
use super::groups::{ConfigArgs, RulesArgs, RunArgs};
use super::subcommands::{
    DescribeCommand, Described, ListCommand, Listed, RunCommand, SupportCommand, ValidateCommand,
};
use super::usage::UsageError;

/// Heading of questions about rules and fields.
pub(super) const RULES: &str = "Rules and fields";
/// Heading of questions about the program.
pub(super) const GENERAL: &str = "About";

/// What the command line says.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "peregrine",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true
)]
pub(super) struct Options {
    /// Show this help
    #[arg(short, long, help_heading = GENERAL)]
    help: Flag,

    #[command(flatten)]
    config: ConfigArgs,

    #[command(flatten)]
    rules: RulesArgs,

    #[command(flatten)]
    run: RunArgs,

    /// Check this rules file, or the rules files of a directory, and print what is wrong; may be
    /// repeated
    #[arg(short = 'V', long, value_name = "rules_file", allow_hyphen_values = true, help_heading = RULES)]
    validate: Vec<String>,

    /// Describe all rules; with json_output their macros and lists too
    #[arg(short = 'L', help_heading = RULES)]
    describe_all: Flag,

    /// Describe this rule
    #[arg(short = 'l', value_name = "rule", allow_hyphen_values = true, help_heading = RULES)]
    describe: Option<String>,

    /// List the fields that conditions and outputs can use, all or those of one event source
    #[arg(long, value_name = "source", num_args = 0..=1, require_equals = true, default_missing_value = "", help_heading = RULES)]
    list: Option<String>,

    /// List the events with their parameters
    #[arg(long, help_heading = RULES)]
    list_events: Flag,

    /// How to print a list: text, markdown or json
    #[arg(long, value_name = "format", allow_hyphen_values = true, help_heading = RULES)]
    format: Option<String>,

    /// Deprecated: use --format markdown
    #[arg(long, help_heading = RULES)]
    markdown: Flag,

    /// With --list, print only names
    #[arg(short = 'N', help_heading = RULES)]
    names_only: Flag,

    /// List the system calls that are not monitored unless a rule needs them
    #[arg(short = 'i', help_heading = RULES)]
    ignored_events: Flag,

    /// Print the JSON schema of the configuration
    #[arg(long, help_heading = GENERAL)]
    config_schema: Flag,

    /// Print the JSON schema of rules files
    #[arg(long, help_heading = GENERAL)]
    rule_schema: Flag,

    /// List the plugins that the configuration loads
    #[arg(long, help_heading = GENERAL)]
    list_plugins: Flag,

    /// Describe one plugin, by its name or library path
    #[arg(long, value_name = "plugin_name", allow_hyphen_values = true, help_heading = GENERAL)]
    plugin_info: Option<String>,

    /// Print versions, system, configuration and rules as one JSON object, for a bug report
    #[arg(long, help_heading = GENERAL)]
    support: Flag,

    /// Print versions
    #[arg(long, help_heading = GENERAL)]
    version: Flag,

    /// Print the size of a memory page, the unit of ring buffers
    #[arg(long, help_heading = GENERAL)]
    page_size: Flag,

    /// Words that are no options. Falco accepts and ignores them.
    #[arg(hide = true, allow_hyphen_values = false)]
    words: Vec<String>,
}

impl Options {
    /// Reads a command line, the program's name first.
    pub(super) fn read(arguments: &[OsString]) -> Result<Self, UsageError> {
        let matches = declaration().try_get_matches_from(arguments);
        let options = matches.and_then(|matches| Self::from_arg_matches(&matches));
        options.map_err(|error| match UsageError::from(&error) {
            UsageError::NoValue(_) => UsageError::NoValue(last_option(arguments)),
            other => other,
        })
    }

    /// Words beside the options.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// The values of `-o`.
    pub(super) fn overrides(&self) -> &[String] {
        &self.config.overrides
    }

    /// Takes those words that an option can use: further files for `-V`, and a source for `--list`.
    /// Falco ignores them. A command keeps its place.
    pub(super) fn take_words(&mut self, is_command: impl Fn(&str) -> bool) {
        if self.words.iter().any(|word| is_command(word)) {
            return;
        }
        if !self.validate.is_empty() {
            self.validate.append(&mut self.words);
        } else if self.words.len() == 1 && self.list.as_deref() == Some("") {
            self.list = self.words.pop();
        }
    }

    /// What the options ask for. Of several questions the one that Falco answers first wins.
    pub(super) fn into_command(self, warnings: &mut Vec<String>) -> Result<Command, UsageError> {
        let format = self.format()?;
        if let Some(path) = &self.config.config {
            File::open(path).map_err(|_| UsageError::NoConfig(path.display().to_string()))?;
        }
        if self.markdown {
            warnings.push("--markdown is deprecated, use --format markdown instead.".to_owned());
        }
        let described = self.described();
        let Self { config, rules, run, .. } = self;
        let list = |config, what, source| ListCommand {
            config,
            what,
            source,
            format,
            names_only: self.names_only,
            verbose: run.verbose,
        };
        let no_source = String::new();
        Ok(if self.help {
            Command::Help
        } else if self.config_schema {
            Command::ConfigSchema(format)
        } else if self.rule_schema {
            Command::RuleSchema
        } else if self.ignored_events {
            Command::List(list(config, Listed::Ignored, no_source))
        } else if self.list_events {
            Command::List(list(config, Listed::Events, no_source))
        } else if self.version {
            Command::Version(config)
        } else if self.page_size {
            Command::PageSize(config)
        } else if let Some(plugin) = self.plugin_info.filter(|name| !name.is_empty()) {
            Command::PluginInfo(config, plugin)
        } else if self.list_plugins {
            Command::List(list(config, Listed::Plugins, no_source))
        } else if let Some(source) = self.list {
            Command::List(list(config, Listed::Fields, source))
        } else if !self.validate.is_empty() {
            let (load, files) = (rules.load, self.validate);
            let (format, describe) = (None, described);
            Command::Validate(ValidateCommand { config, load, format, files, describe })
        } else if let Some(described) = described {
            let rule = described.name().map(str::to_owned);
            Command::Describe(DescribeCommand { config, rules, rule })
        } else if self.support {
            Command::Support(SupportCommand { config, rules })
        } else {
            Command::Run(RunCommand { config, rules, run })
        })
    }

    fn format(&self) -> Result<Format, UsageError> {
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

    fn described(&self) -> Option<Described> {
        match &self.describe {
            Some(rule) if !rule.is_empty() => Some(Described::Rule(rule.clone())),
            _ => self.describe_all.then_some(Described::All),
        }
    }
}

/// The option with the most similar long name.
pub(super) fn nearest(word: &str) -> Option<String> {
    let options = declaration();
    let names = options.get_arguments().filter_map(clap::Arg::get_long);
    closest(word, names.filter(|_| word.chars().count() > 2)).map(str::to_owned)
}

/// The options as clap knows them.
pub(super) fn declaration() -> Clap {
    with_flags(Options::command())
}

/// Name of the option that the line ends with. Only the last option can lack its value; the error
/// calls it what the user called it, not by its longest name.
fn last_option(arguments: &[OsString]) -> String {
    let last = arguments.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    match last.strip_prefix("--") {
        Some(long) => long.to_owned(),
        None => last.chars().next_back().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Options, UsageError> {
        let words = std::iter::once("falco").chain(line.iter().copied()).map(Into::into);
        Options::read(&words.collect::<Vec<_>>())
    }

    #[test]
    fn clap_accepts_the_declaration() {
        declaration().debug_assert();
    }

    #[test]
    fn repeated_options_collect_and_commas_do_not_split() {
        let options =
            read(&["-o", "a=1,b=2", "-oc=3", "--option", "d=4", "-r", "x.yaml", "-ry.yaml"])
                .unwrap();
        assert_eq!(options.config.overrides, ["a=1,b=2", "c=3", "d=4"]);
        assert_eq!(options.rules.rules, ["x.yaml", "y.yaml"]);
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
        assert!(options.run.verbose && options.run.unbuffered);
        assert!(options.run.dry_run && !options.support);
    }

    #[test]
    fn list_takes_its_source_after_an_equals_sign_only() {
        assert_eq!(read(&["--list"]).unwrap().list.as_deref(), Some(""));
        assert_eq!(read(&["--list=syscall"]).unwrap().list.as_deref(), Some("syscall"));
        assert_eq!(read(&["--list", "syscall"]).unwrap().list.as_deref(), Some(""));
    }

    #[test]
    fn words_belong_to_validate_and_list() {
        let taken = |line: &[&str]| {
            let mut options = read(line).unwrap();
            options.take_words(|word| word == "tune");
            (options.validate, options.list, options.words)
        };
        let texts = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let both = (texts(&["a.yaml", "b.yaml"]), None, vec![]);
        assert_eq!(taken(&["-V", "a.yaml", "b.yaml"]), both);
        assert_eq!(taken(&["--list", "syscall"]), (vec![], Some("syscall".to_owned()), vec![]));
        assert_eq!(taken(&["--list=a", "b"]), (vec![], Some("a".to_owned()), texts(&["b"])));
        assert_eq!(taken(&["-V", "a", "tune"]).2, ["tune"]);
    }

    #[test]
    fn a_value_may_look_like_an_option_and_stray_words_are_ignored() {
        assert_eq!(read(&["-l", "-v"]).unwrap().describe.as_deref(), Some("-v"));
        assert!(read(&["--dry-run", "stray", "--", "-x"]).unwrap().run.dry_run);
    }

    #[test]
    fn formats() {
        assert_eq!(read(&["--format", "JSON"]).unwrap().format(), Ok(Format::Json));
        assert_eq!(read(&["--markdown"]).unwrap().format(), Ok(Format::Markdown));
        assert_eq!(
            read(&["--markdown", "--format", "text"]).unwrap().format(),
            Err(UsageError::TwoFormats)
        );
        assert!(read(&["--format", "xml"]).unwrap().format().is_err());
    }
}
