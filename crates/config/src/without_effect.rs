//! Values that are written and change nothing.

use std::path::Path;

use peregrine_yaml::Node;

use crate::config::Config;
use crate::declare::Setting;
use crate::issue::{ConfigCode, ConfigIssue};
use crate::{AlertFormat, FieldChanges, Presentation, overrides, reference};

/// Values that their keys do not take, and keys that nothing reads.
pub(crate) fn find(root: &Node, config: &Config) -> Vec<ConfigIssue> {
    let mut ignored = Vec::new();
    Config::ignored(root, "", &mut ignored);
    let rows = if ignored.is_empty() { Vec::new() } else { reference() };
    let wrong = ignored.into_iter().map(|value| {
        let key = &value.key;
        let row = rows.iter().find(|row| row.key.trim_end_matches(['[', ']', '{', '}']) == key);
        let default = match row.map(|row| row.default.as_str()) {
            None | Some("") => "the default applies".to_owned(),
            Some(default) => format!("the default applies, {default}"),
        };
        let message = format!("'{key}' does not take this value: it is ignored, and {default}");
        issue(message).at_span(value.span)
    });
    let compresses = overrides::find(root, "http_output.compress_uploads").and_then(Node::as_bool);
    let compresses = compresses == Some(true) && config.http_output.is_some();
    let compression = (
        "http_output.compress_uploads",
        "bodies are sent as they are; `peregrine.encoding` compresses them",
    );
    let unread = unread_keys(config).chain(compresses.then_some(compression));
    let unread = unread.filter_map(|(key, why)| {
        let node = overrides::find(root, key)?;
        Some(issue(format!("'{key}' has no effect: {why}")).at(node))
    });
    wrong.chain(unread).chain(changes_of_text(root, config)).collect()
}

/// Changes to fields for outputs that write text, where fields are not shown.
fn changes_of_text(root: &Node, config: &Config) -> Vec<ConfigIssue> {
    let is_text = |section: &str, format| match format {
        AlertFormat::Text => true,
        // Records of OTLP have fields.
        AlertFormat::Auto => !config.json_output && section != "otlp_output",
        AlertFormat::Json | AlertFormat::Ocsf | AlertFormat::Cef => false,
    };
    let ineffective = |(section, presentation): (&str, Presentation)| {
        let changes = presentation.fields != FieldChanges::default();
        let key = format!("{section}.fields");
        let node = overrides::find(root, &key)?;
        (changes && is_text(section, presentation.format)).then(|| {
            issue(format!("'{key}' has no effect: text does not list the fields of rules")).at(node)
        })
    };
    config.presentations().into_iter().filter_map(ineffective).collect()
}

/// A path that does not exist.
pub(crate) fn absent(key: &str, path: &Path) -> ConfigIssue {
    let issue =
        issue(format!("{key}: {} does not exist, so nothing is read there", path.display()));
    match std::env::current_dir() {
        Ok(directory) if path.is_relative() => {
            issue.help(format!("the path is relative to {}", directory.display()))
        }
        _ => issue,
    }
}

fn issue(message: String) -> ConfigIssue {
    ConfigIssue::new(ConfigCode::NoEffect, message)
}

/// Keys that are set to something that would matter if it were read, and why it is not.
fn unread_keys(config: &Config) -> impl Iterator<Item = (&'static str, &'static str)> {
    let (default, libs) = (Config::default(), &config.falco_libs);
    let scrapes = config.webserver.prometheus_metrics_enabled;
    [
        (!config.rule_files.is_empty(), "rule_files", "the key is `rules_files`"),
        (
            !config.plugins_hostinfo,
            "plugins_hostinfo",
            "sources of plugins have no state of their own",
        ),
        (
            libs.thread_table_auto_purging_interval_s
                != default.falco_libs.thread_table_auto_purging_interval_s,
            "falco_libs.thread_table_auto_purging_interval_s",
            "a thread is removed when it ends",
        ),
        (
            libs.thread_table_auto_purging_thread_timeout_s
                != default.falco_libs.thread_table_auto_purging_thread_timeout_s,
            "falco_libs.thread_table_auto_purging_thread_timeout_s",
            "a thread is removed when it ends",
        ),
        (
            scrapes && !config.metrics.enabled,
            "webserver.prometheus_metrics_enabled",
            "`metrics.enabled` is off",
        ),
        (
            scrapes && !config.webserver.enabled,
            "webserver.prometheus_metrics_enabled",
            "`webserver.enabled` is off",
        ),
    ]
    .into_iter()
    .filter_map(|(unread, key, why)| unread.then_some((key, why)))
}
