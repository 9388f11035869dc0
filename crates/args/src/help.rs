//! The help page: Falco's options by topic, commands and examples.

use clap::Arg;
use clap::builder::styling::Style;
use peregrine_authoring::two_columns;

use super::flags::is_flag;
use super::groups::RUN;
use super::options::{GENERAL, RULES, declaration};
use super::subcommands::tree;

const EXAMPLES: &str = "\
Examples:
  peregrine                                              monitor this machine with /etc/falco/falco.yaml
  peregrine -r my_rules.yaml --dry-run                   would it start?
  peregrine validate my_rules.yaml                       what is wrong with my rules?
  peregrine -r my_rules.yaml -o engine.kind=replay \\
            -o engine.replay.capture_file=trace.scap     what would have been seen?
  peregrine -o json_output=true -L                       all rules as JSON
  peregrine --list=syscall --format markdown             fields as markdown
  peregrine -w trace.scap                                record all events (--write; gzip when named .gz)
  peregrine -r my_rules.yaml --profile                   what does each rule cost?
  peregrine tune                                         which settings suit this machine?
  peregrine demo                                         what does an alert look like?
";

/// The page.
pub fn page(color: bool) -> String {
    let bold = if color { Style::new().bold() } else { Style::new() };
    let tree = tree();
    let mut page = String::new();
    if let Some(about) = tree.get_about() {
        page += &format!("{about}\n\n");
    }
    page += &format!(
        "{bold}Usage:{bold:#} peregrine [options]\n       peregrine <command> [options]\n"
    );
    let options = declaration();
    for heading in [RUN, RULES, GENERAL] {
        page += &format!("\n{bold}{heading}:{bold:#}\n");
        let group = options.get_arguments().filter(|arg| arg.get_help_heading() == Some(heading));
        group.for_each(|arg| page += &option(arg));
    }
    page += &format!("\n{bold}Commands{bold:#} (`peregrine <command> --help` explains each):\n");
    for command in tree.get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        page += &two_columns(&format!("  {}", command.get_name()), &about, HELP_COLUMN);
    }
    page.push('\n');
    page + EXAMPLES
}

/// Column where explanations begin.
const HELP_COLUMN: usize = 34;

fn option(arg: &Arg) -> String {
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
    two_columns(&line, &about, HELP_COLUMN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_page() {
        insta::assert_snapshot!(page(false));
    }
}
