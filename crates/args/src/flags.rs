//! Values of options: switches that take one, as Falco's do (`--dry-run=false`), and formats.

use clap::builder::{BoolishValueParser, ValueParser};
use clap::{Arg, Command};
use peregrine_authoring::Format;

/// A switch. An alias, because clap gives a field of type `bool` no value.
pub(crate) type Flag = bool;

/// Whether this is a switch.
pub(super) fn is_flag(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == ValueParser::bool().type_id()
}

/// Lets the switches of a command, and of those below it, stand alone or be followed by `=` and a
/// value.
pub(super) fn with_flags(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        if !is_flag(&arg) {
            return arg;
        }
        let arg = arg.required(false).num_args(0..=1).require_equals(true);
        arg.value_parser(BoolishValueParser::new())
            .value_name("bool")
            .hide_default_value(true)
            .hide_possible_values(true)
            .default_value("false")
            .default_missing_value("true")
    });
    command.mut_subcommands(with_flags)
}

/// The format of a listing by its name.
pub(super) fn format(name: &str) -> Result<Format, &'static str> {
    name.parse().map_err(|_| "valid values are: text, markdown, json")
}
