//! The command line: Falco's options at the top level, and commands beside them.
//!
//! One clap tree for all of it, worded as Falco words it; [`read`] turns words into a [`Command`].
//! The crate knows no configuration and runs nothing.
//!
//! ```
//! use peregrine_args::{Command, read};
//!
//! let line = read(&["peregrine".into(), "--dry-run".into(), "stray".into()]).unwrap();
//! assert!(matches!(line.command, Command::Run(run) if run.run.dry_run));
//! assert!(line.warnings[0].starts_with("ignoring `stray`"));
//! ```

mod command;
mod diff_command;
mod events_commands;
mod flags;
mod groups;
mod help;
mod lint_command;
mod lsp_command;
mod options;
mod planned;
mod removed;
mod rules_command;
mod subcommands;
mod usage;

use std::ffi::OsString;

pub use command::Command;
pub use diff_command::DiffCommand;
pub use events_commands::{EventFormat, EventsArgs, ExplainCommand, QueryCommand};
pub use groups::{ConfigArgs, LoadArgs, RulesArgs, RunArgs};
pub use help::page as help_page;
pub use lint_command::{LintCommand, LintFormat};
pub use lsp_command::LspCommand;
pub use rules_command::{FixCommand, FmtCommand, TestCommand, TestFormat};
pub use subcommands::{
    DescribeCommand, Described, FieldsCommand, ListCommand, Listed, ResultFormat, RunCommand,
    SupportCommand, TuneCommand, ValidateCommand,
};
pub use usage::UsageError;

use options::Options;
use subcommands::{Subcommands, tree};

/// A command line that is valid.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// What it asks for.
    pub command: Command,
    /// What of it has no effect or will not be accepted later, for the user to see.
    pub warnings: Vec<String>,
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// When an option or a command does not exist, or a value has the wrong form.
pub fn read(arguments: &[OsString]) -> Result<CommandLine, UsageError> {
    let words: Vec<_> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match words.first() {
        Some(first) if !first.starts_with('-') => {
            let command = command(first, &words, arguments)?;
            Ok(CommandLine { command, warnings: Vec::new() })
        }
        _ => {
            let mut options = Options::read(arguments)?;
            options.take_words(is_command);
            let mut warnings = ignored_words(&options)?;
            let command = options.into_command(&mut warnings)?;
            Ok(CommandLine { command, warnings })
        }
    }
}

/// The command that the first word names.
fn command(first: &str, words: &[String], arguments: &[OsString]) -> Result<Command, UsageError> {
    planned::check(words)?;
    if words == ["help"] {
        return Ok(Command::Help);
    }
    if !is_command(first) && is_capture(first) {
        return Err(UsageError::Capture(first.to_owned()));
    }
    if !is_command(first) {
        return Err(UsageError::UnknownCommand { word: first.to_owned(), nearest: nearest(first) });
    }
    match Subcommands::read(arguments) {
        Ok(command) => Ok(command.into()),
        Err(page) if !page.use_stderr() => Ok(Command::Page(page.to_string())),
        Err(error) => Err(UsageError::in_words_of_clap(&error)),
    }
}

/// Warnings about words beside options. Falco ignores them, so they are no error, unless they name
/// a command.
fn ignored_words(options: &Options) -> Result<Vec<String>, UsageError> {
    let warning = |word: &String| {
        if is_command(word) {
            return Err(UsageError::CommandNotFirst(word.clone()));
        }
        if is_capture(word) {
            return Err(UsageError::Capture(word.clone()));
        }
        let hint = meant(word, options).map(|hint| format!("; {hint}")).unwrap_or_default();
        Ok(format!("ignoring `{word}`: it is neither a command nor the value of an option{hint}"))
    };
    options.words().iter().map(warning).collect()
}

/// What to write in place of a word that belongs to no option.
fn meant(word: &str, options: &Options) -> Option<String> {
    let half = options.overrides().iter().find(|option| !option.contains('='));
    if let Some(key) = half {
        return Some(format!("did you mean `-o {key}={word}`?"));
    }
    if word.ends_with(".yaml") || word.ends_with(".yml") {
        return Some(format!("each rules file takes an option of its own: `-r {word}`"));
    }
    if word.contains('=') {
        return Some(format!("did you mean `-o {word}`?"));
    }
    let option = || options::nearest(word).map(|option| format!("--{option}"));
    nearest(word).or_else(option).map(|name| format!("did you mean `{name}`?"))
}

/// Whether a word names a capture, by its ending. To monitor the machine in place of it would be
/// the opposite of what is meant.
fn is_capture(word: &str) -> bool {
    let packed = [".gz", ".zst", ".lz4", ".zip", ".xz", ".bz2"];
    let name = packed.iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
    [".scap", ".cap"].iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

fn is_command(word: &str) -> bool {
    word == "help" || tree().find_subcommand(word).is_some()
}

/// The command with the most similar name.
fn nearest(word: &str) -> Option<String> {
    let tree = tree();
    let names = tree.get_subcommands().map(clap::Command::get_name);
    let distances = names.map(|name| (strsim::osa_distance(word, name), name));
    let (distance, name) = distances.min()?;
    // Words that share less than half of their letters are not similar.
    (distance * 2 < name.len().max(word.len())).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        let words = std::iter::once("peregrine").chain(line.split(' '));
        read(&words.map(OsString::from).collect::<Vec<_>>()).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_command_is_an_error_that_names_the_nearest() {
        assert_eq!(error("tnue --seconds 3"), "there is no command `tnue`; did you mean `tune`?");
        assert_eq!(
            error("samovar"),
            "there is no command `samovar`; `peregrine --help` lists all commands"
        );
        assert!(error("rules convrt x").contains("convert"));
    }

    #[test]
    fn options_that_falco_had_are_errors_that_name_their_replacement() {
        let hint = |line: &str| {
            let words = std::iter::once("falco").chain(line.split(' ')).map(OsString::from);
            let error = read(&words.collect::<Vec<_>>()).unwrap_err();
            (error.to_string(), error.hint().unwrap_or_default())
        };
        for (line, name) in [
            ("-A", "A"),
            ("-vA", "A"),
            ("-t net", "t"),
            ("-T net", "T"),
            ("-D x", "D"),
            ("-e a.scap", "e"),
            ("-k http://h", "k"),
            ("--cri /s", "cri"),
            ("--modern-bpf", "modern-bpf"),
            ("-s f", "s"),
        ] {
            let (error, hint) = hint(line);
            assert_eq!(error, format!("Option ‘{name}’ does not exist"));
            assert!(hint.contains("in its place: "), "{line}: {hint}");
        }
        assert_eq!(hint("--dryrun").1, "did you mean `--dry-run`?");
        assert_eq!(hint("-x").1, "");
    }

    #[test]
    fn planned_commands_are_reserved() {
        for line in ["top", "top --help", "ctl reload", "rules except x.yaml"] {
            let error = error(line);
            assert!(error.contains(" does not exist yet; "), "{error}");
        }
        let help = help::page(false) + &tree().render_long_help().to_string();
        for line in ["top", "ctl", "migrate", "artifact"] {
            assert!(!help.contains(&format!("\n  {line} ")), "{help}");
        }
    }

    #[test]
    fn a_command_comes_before_the_options() {
        assert_eq!(
            error("-c falco.yaml tune"),
            "the command comes before the options: peregrine tune …"
        );
    }

    #[test]
    fn a_capture_beside_the_options_is_an_error_that_says_what_replays_it() {
        for line in ["a.scap", "-r rules.yaml a.scap", "-U dir/b.scap.gz", "x.cap"] {
            let error = error(line);
            let name = line.split(' ').next_back().unwrap();
            let option = format!("-o engine.kind=replay -o engine.replay.capture_file={name}");
            assert!(error.contains(&option), "{error}");
        }
    }

    #[test]
    fn words_that_belong_to_no_option_are_named_with_what_is_meant() {
        for (line, hint) in [
            ("-r a.yaml b.yaml", "each rules file takes an option of its own: `-r b.yaml`"),
            ("-r a.yaml log_level=debug", "did you mean `-o log_level=debug`?"),
            ("-o json_output true", "did you mean `-o json_output=true`?"),
            ("-r a.yaml dry-run", "did you mean `--dry-run`?"),
            ("--dry-run samovar", "nor the value of an option"),
        ] {
            let words = std::iter::once("peregrine").chain(line.split(' ')).map(OsString::from);
            let warnings = read(&words.collect::<Vec<_>>()).unwrap().warnings;
            assert!(warnings.len() == 1 && warnings[0].contains(hint), "{line}: {warnings:?}");
        }
    }
}
