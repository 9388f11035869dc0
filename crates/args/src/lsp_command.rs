//! The command `lsp`.

use std::path::PathBuf;

use clap::Args;

use super::flags::Flag;
use super::groups::ConfigArgs;

/// Words of `lsp`.
#[derive(Clone, Debug, Default, Args)]
pub struct LspCommand {
    /// Where the configuration comes from; without one, rules files stand for themselves.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Work on this rules file, or on those of this directory, instead of those that the
    /// configuration names; may be repeated
    #[arg(short, long, value_name = "rules_file", allow_hyphen_values = true)]
    pub rules: Vec<String>,
    /// Show values of this capture as examples of fields
    #[arg(long, value_name = "capture_file")]
    pub capture: Option<PathBuf>,
    /// Accepted because editors pass it; the server speaks on nothing else
    #[arg(long, hide = true)]
    pub stdio: Flag,
}
