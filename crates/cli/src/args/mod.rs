//! The command line: Falco's options at the top level, and commands beside them.

mod command;
mod flags;
mod groups;
mod help;
mod options;
mod planned;
mod subcommands;
mod usage;

use std::ffi::OsString;
use std::io::{self, Write};

pub(crate) use command::Command;
pub(crate) use groups::{ConfigArgs, LoadArgs, RulesArgs, RunArgs};
pub(crate) use help::page as help_page;
pub(crate) use subcommands::{
    DescribeCommand, Described, FieldsCommand, ListCommand, Listed, ResultFormat, RunCommand,
    SupportCommand, TuneCommand, ValidateCommand,
};
pub(crate) use usage::UsageError;

use options::Options;
use subcommands::{Subcommands, tree};

/// Reads the command line, the program's name first.
pub(crate) fn read(arguments: &[OsString]) -> Result<Command, UsageError> {
    let words: Vec<_> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match words.first() {
        Some(first) if !first.starts_with('-') => command(first, &words, arguments),
        _ => {
            let options = Options::read(arguments)?;
            check_words(options.words())?;
            options.into_command()
        }
    }
}

/// The command that the first word names.
fn command(first: &str, words: &[String], arguments: &[OsString]) -> Result<Command, UsageError> {
    planned::check(words)?;
    if words == ["help"] {
        return Ok(Command::Help);
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

/// Words beside options. Falco ignores them, so they are no error, unless a command was meant.
fn check_words(words: &[String]) -> Result<(), UsageError> {
    for word in words {
        if is_command(word) {
            return Err(UsageError::CommandNotFirst(word.clone()));
        }
        let _ = writeln!(
            io::stderr(),
            "WARNING: ignoring `{word}`: it is neither a command nor the value of an option."
        );
    }
    Ok(())
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
    fn planned_commands_are_reserved() {
        for line in ["top", "top --help", "ctl reload", "rules lint x.yaml", "explain", "lsp"] {
            let error = error(line);
            assert!(error.contains(" does not exist yet; "), "{error}");
        }
        let help = help::page(false) + &tree().render_long_help().to_string();
        for line in ["top", "ctl", "explain", "lsp", "query", "migrate", "artifact"] {
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
}
