//! Commands that look at events: `explain` and `query`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::flags::Flag;
use super::groups::ConfigArgs;

/// Where events come from.
#[derive(Clone, Debug, Default, Args)]
pub struct EventsArgs {
    /// Take events from this capture; - is standard input
    #[arg(
        long,
        value_name = "capture_file",
        required_unless_present = "live",
        conflicts_with = "live"
    )]
    pub capture: Option<PathBuf>,
    /// Take events from this machine as they happen (needs root)
    #[arg(long)]
    pub live: Flag,
    /// With --live: only events of this control group and those below it
    #[arg(long, value_name = "directory", requires = "live")]
    pub cgroup: Option<PathBuf>,
    /// With --live: stop after this many seconds; without it, Ctrl-C stops
    #[arg(long, value_name = "seconds", requires = "live", value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: Option<u32>,
}

impl EventsArgs {
    /// The file to read; `None` for this machine.
    pub fn file(&self) -> Option<&Path> {
        let capture = self.capture.as_deref()?;
        Some(if capture == Path::new("-") { Path::new("/dev/stdin") } else { capture })
    }
}

/// Forms of what is said about events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "help would show the comments")]
pub enum EventFormat {
    #[default]
    Text,
    Json,
}

/// Words of `explain`.
#[derive(Clone, Debug, Default, Args)]
pub struct ExplainCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Load rules from this file or directory instead of those the configuration names; may be
    /// repeated
    #[arg(short, long, value_name = "rules_file")]
    pub rules: Vec<String>,
    /// Where events come from.
    #[command(flatten)]
    pub events: EventsArgs,
    /// Explain the event with this number
    #[arg(long, value_name = "number", conflicts_with = "condition")]
    pub event: Option<u64>,
    /// Explain the first event that satisfies this condition; macros and lists of the rules may be
    /// used
    #[arg(long, value_name = "condition")]
    pub condition: Option<String>,
    /// Explain this rule, also if it does not match
    #[arg(long, value_name = "name")]
    pub rule: Option<String>,
    /// Count over all events which part of the condition keeps this rule from matching, and show
    /// the closest events
    #[arg(long, value_name = "name", conflicts_with_all = ["rule", "event"])]
    pub why_not: Option<String>,
    /// Explain so many events, or show so many of the closest [default: 1, with --why-not 3]
    #[arg(long, value_name = "number")]
    pub limit: Option<usize>,
    /// Show so many rules that nearly match
    #[arg(long, value_name = "number", default_value_t = 5)]
    pub misses: usize,
    /// Form of the output
    #[arg(long, value_enum, value_name = "format", default_value_t)]
    pub format: EventFormat,
}
