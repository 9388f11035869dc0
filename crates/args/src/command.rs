//! What a command line asks for.

use std::ffi::OsString;
use std::path::PathBuf;

use peregrine_authoring::Format;

use super::diff_command::DiffCommand;
use super::events_commands::{ExplainCommand, QueryCommand};
use super::groups::ConfigArgs;
use super::lint_command::LintCommand;
use super::lsp_command::LspCommand;
use super::rules_command::{FixCommand, FmtCommand, RulesCommand, TestCommand};
use super::subcommands::{
    DescribeCommand, FieldsCommand, ListCommand, RunCommand, Subcommands, SupportCommand,
    TuneCommand, ValidateCommand,
};

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Print the help page.
    Help,
    /// Print this page about a command.
    Page(String),
    /// Print the JSON schema of the configuration, or the page about its keys.
    ConfigSchema(Format),
    /// Print the JSON schema of rules files.
    RuleSchema,
    /// Print versions.
    Version(ConfigArgs),
    /// Print the size of a page of memory.
    PageSize(ConfigArgs),
    /// Describe the plugin of this name or library path.
    PluginInfo(ConfigArgs, String),
    /// Print a list.
    List(ListCommand),
    /// Explain an event.
    Events(Vec<String>),
    /// Explain a field.
    Fields(FieldsCommand),
    /// Explain an error or warning code.
    Code(Option<String>),
    /// Check rules files.
    Validate(ValidateCommand),
    /// Describe rules.
    Describe(DescribeCommand),
    /// Print what a bug report needs.
    Support(SupportCommand),
    /// Process events.
    Run(RunCommand),
    /// Measure and recommend settings.
    Tune(TuneCommand),
    /// Compare rules.
    Diff(DiffCommand),
    /// Print events.
    Query(QueryCommand),
    /// Explain events.
    Explain(ExplainCommand),
    /// Serve an editor.
    Lsp(LspCommand),
    /// Show alerts.
    Demo(Vec<OsString>),
    /// Convert rules of the first releases.
    Convert(PathBuf),
    /// Format rules files.
    Fmt(FmtCommand),
    /// Apply the fixes of what is wrong with rules files.
    Fix(FixCommand),
    /// Test rules.
    TestRules(Box<TestCommand>),
    /// Find rules that do not do what they seem to.
    Lint(Box<LintCommand>),
}

impl From<Subcommands> for Command {
    fn from(command: Subcommands) -> Self {
        match command {
            Subcommands::Run(words) => Self::Run(words),
            Subcommands::Validate(words) => Self::Validate(words),
            Subcommands::List(words) => Self::List(words),
            Subcommands::Describe(words) => Self::Describe(words),
            Subcommands::Support(words) => Self::Support(words),
            Subcommands::Tune(words) => Self::Tune(words),
            Subcommands::Query(words) => Self::Query(words),
            Subcommands::Explain(words) => Self::Explain(words),
            Subcommands::Lsp(words) => Self::Lsp(words),
            Subcommands::Demo { words } => Self::Demo(words),
            Subcommands::Rules(RulesCommand::Convert { file }) => Self::Convert(file),
            Subcommands::Rules(RulesCommand::Fmt(words)) => Self::Fmt(words),
            Subcommands::Rules(RulesCommand::Fix(words)) => Self::Fix(words),
            Subcommands::Rules(RulesCommand::Test(words)) => Self::TestRules(words),
            Subcommands::Rules(RulesCommand::Lint(words)) => Self::Lint(words),
            Subcommands::Rules(RulesCommand::Diff(words)) => Self::Diff(words),
            Subcommands::Code { code } => Self::Code(code),
            Subcommands::Events { words } => Self::Events(words),
            Subcommands::Fields(words) => Self::Fields(words),
        }
    }
}
