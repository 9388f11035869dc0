//! Options that several commands share.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are help texts, where brackets are brackets"
)]

use std::path::PathBuf;

use clap::Args;

use super::flags::Flag;

/// Heading of options that concern a run.
pub(super) const RUN: &str = "Running";
/// Heading of options Falco does not have. Tools compare the options of the help page with Falco's,
/// so the page names these in its examples only.
pub(super) const OWN: &str = "Peregrine's own";

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Read the configuration from this file [default: /etc/falco/falco.yaml]
    #[arg(short, alias = "config", value_name = "path", allow_hyphen_values = true, help_heading = RUN)]
    pub config: Option<PathBuf>,

    /// Set one key of the configuration; overrides every file and may be repeated. Keys of maps are
    /// joined by dots, items of lists are [0], [1], … and [] appends one; a backslash makes a dot,
    /// bracket or backslash literal; {…} as value is a map
    #[arg(short = 'o', long = "option", value_name = "opt>=<val", allow_hyphen_values = true, help_heading = RUN)]
    pub overrides: Vec<String>,
}

/// Which rules are loaded, and how.
#[derive(Clone, Debug, Default, Args)]
pub struct RulesArgs {
    /// Load rules from this .yaml or .yml file, or from all such files of this directory, instead
    /// of those the configuration names; may be repeated
    #[arg(short, alias = "rules", value_name = "rules_file", allow_hyphen_values = true, help_heading = RUN)]
    pub rules: Vec<String>,

    /// How rules are loaded.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// How rules are loaded.
#[derive(Clone, Debug, Default, Args)]
pub struct LoadArgs {
    /// Take events from this source only; may be repeated. A replay takes them from its file
    /// regardless
    #[arg(long, value_name = "event_source", allow_hyphen_values = true, help_heading = RUN)]
    pub enable_source: Vec<String>,

    /// Take no events from this source; may be repeated, but one source must remain
    #[arg(long, value_name = "event_source", allow_hyphen_values = true, help_heading = RUN)]
    pub disable_source: Vec<String>,

    /// Append this to the text of every alert. Deprecated: use -o append_output[]=…
    #[arg(short, long, value_name = "output_format", allow_hyphen_values = true, help_heading = RUN)]
    pub print: Option<String>,
}

/// What a run does.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Check the configuration and the rules, then stop before the first event
    #[arg(long, help_heading = RUN)]
    pub dry_run: Flag,

    /// Stop after this many seconds of event time
    #[arg(short = 'M', value_name = "num_seconds", allow_hyphen_values = true, default_value_t = 0, hide_default_value = true, help_heading = RUN)]
    pub seconds: i32,

    /// Record all events into this capture file, compressed if its name ends in .gz. Not an option
    /// of Falco
    #[arg(short = 'w', long, value_name = "capture_file", allow_hyphen_values = true, help_heading = OWN)]
    pub write: Option<PathBuf>,

    /// Measure what each rule costs and print it at the end. Not an option of Falco
    #[arg(long, help_heading = OWN)]
    pub profile: Flag,

    /// Measure what each rule costs and write it to this file as stacks for a flame graph. Not an
    /// option of Falco
    #[arg(long, value_name = "file", allow_hyphen_values = true, help_heading = OWN)]
    pub profile_folded: Option<PathBuf>,

    /// Write the process id into this file
    #[arg(short = 'P', long, value_name = "pid_file", allow_hyphen_values = true, help_heading = RUN)]
    pub pidfile: Option<PathBuf>,

    /// Write every alert at once, even if the configuration allows buffering
    #[arg(short = 'U', long, help_heading = RUN)]
    pub unbuffered: Flag,

    /// Print more: counters at the end of a run, types in lists of fields
    #[arg(short, help_heading = RUN)]
    pub verbose: Flag,
}
