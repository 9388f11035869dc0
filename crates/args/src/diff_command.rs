//! The words of `rules diff`.

use std::path::PathBuf;

use clap::Args;
use peregrine_authoring::Format;

use super::flags::format;
use super::groups::ConfigArgs;

/// Words of `rules diff`.
#[derive(Clone, Debug, Default, Args)]
pub struct DiffCommand {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The old rules: a file or directory, or several separated by commas, in the order of loading
    pub old: String,
    /// The new rules
    pub new: String,
    /// Also compare the alerts on this capture; may be repeated
    #[arg(long = "capture", value_name = "capture_file")]
    pub captures: Vec<PathBuf>,
    /// Form of the output: text, markdown or json
    #[arg(long, value_name = "format", default_value = "text", hide_default_value = true, value_parser = format)]
    pub format: Format,
}
