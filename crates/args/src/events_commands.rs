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
    /// Only events of this process and of those that it has started
    #[arg(long, value_name = "pid", value_parser = clap::value_parser!(i64).range(1..))]
    pub pid: Option<i64>,
    /// Only events of the container with this id or name
    #[arg(long, value_name = "container")]
    pub container: Option<String>,
    /// With --live: stop after this many seconds; without it, Ctrl-C stops
    #[arg(long, value_name = "seconds", requires = "live", value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: Option<u32>,
}

impl EventsArgs {
    /// The configuration with keys for these events. Every rule is evaluated, also behind another
    /// that matches, and nothing but errors is logged.
    pub fn config(&self, config: &ConfigArgs) -> ConfigArgs {
        let mut keys = vec!["log_level=error".to_owned()];
        keys.extend(config.overrides.clone());
        keys.push("rule_matching=all".to_owned());
        match self.capture.as_deref() {
            Some(file) => {
                let file = if file == Path::new("-") { Path::new("/dev/stdin") } else { file };
                keys.push("engine.kind=replay".to_owned());
                keys.push(format!("engine.replay.capture_file={}", file.display()));
            }
            None => keys.push("engine.kind=modern_ebpf".to_owned()),
        }
        if let Some(cgroup) = &self.cgroup {
            keys.push(format!("engine.modern_ebpf.scope.cgroup={}", cgroup.display()));
        }
        ConfigArgs { config: config.config.clone(), overrides: keys }
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

impl EventFormat {
    /// Whether it is JSON.
    pub fn is_json(self) -> bool {
        self == Self::Json
    }
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

/// Words of `query`.
#[derive(Clone, Debug, Default, Args)]
pub struct QueryCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Use the lists and macros of this rules file or directory instead of those of the
    /// configuration; may be repeated
    #[arg(short, long, value_name = "rules_file")]
    pub rules: Vec<String>,
    /// Where events come from.
    #[command(flatten)]
    pub events: EventsArgs,
    /// Print each event in this format, such as '%evt.time %proc.name %fd.name'
    #[arg(short, long, value_name = "output_format")]
    pub print: Option<String>,
    /// Stop after so many events
    #[arg(short = 'n', long, value_name = "number")]
    pub count: Option<u64>,
    /// Form of the lines; JSON has the fields of the format
    #[arg(long, value_enum, value_name = "format", default_value_t)]
    pub format: EventFormat,
    /// The condition; macros and lists of the rules may be used
    pub condition: String,
}
