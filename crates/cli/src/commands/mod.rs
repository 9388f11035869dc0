//! One file for each command.

mod code;
mod convert;
mod demo;
mod describe;
mod diff;
mod explain;
mod fields;
mod fix;
mod fmt;
mod info;
mod lint;
mod list;
mod lsp;
mod query;
mod run;
mod schema;
mod support;
mod test;
mod tune;
mod validate;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use peregrine_args::{Command, help_page};
use peregrine_wiring::print::print;

/// Does what the command line asks for.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => return run::run(args),
        Command::Validate(args) => return validate::run(&args),
        Command::Describe(args) => return describe::run(&args),
        Command::Fix(args) => return fix::run(&args),
        Command::Fmt(args) => return fmt::run(&args),
        Command::Diff(args) => return diff::run(&args),
        Command::Query(args) => return query::run(&args),
        Command::Explain(args) => return explain::run(&args),
        Command::TestRules(args) => return test::run(&args),
        Command::Lint(args) => return lint::run(&args),
        Command::Lsp(args) => return Ok(lsp::run(args)),
        Command::Demo(words) => return demo::run(&words),
        Command::Help => print(help_page(io::stdout().is_terminal()))?,
        Command::Page(page) => print(page)?,
        Command::ConfigSchema(format) => print(schema::config(format))?,
        Command::RuleSchema => print(schema::rules())?,
        Command::Version(config) => info::version(&config)?,
        Command::PageSize(config) => info::page_size(&config)?,
        Command::PluginInfo(config, plugin) => info::plugin(&config, &plugin)?,
        Command::List(args) => list::run(&args)?,
        Command::Events(words) => fields::events(&words)?,
        Command::Fields(args) => fields::run(&args)?,
        Command::Code(code) => code::run(code.as_deref())?,
        Command::Support(args) => support::run(&args)?,
        Command::Tune(args) => tune::run(&args)?,
        Command::Convert(file) => convert::run(&file)?,
    }
    Ok(ExitCode::SUCCESS)
}
