//! Warnings about entries of the configuration that meet no rules file and no rule.

use std::path::Path;

use peregrine_config::AppendOutput;
use peregrine_diagnostics::{Problem, closest};
use peregrine_fields::Field;
use peregrine_rules::{FilesAt, Rule, RuleSet, Selected, Selection};

use super::setup::Setup;

/// A path of rules from which nothing is read, and entries of a directory that are not read. `key`
/// is where the path comes from: a key of the configuration, or an option.
pub(super) fn warn_of_files(setup: &Setup, key: &str, path: &str, found: &FilesAt) {
    for file in &found.irregular {
        warn(setup, key, format!("{file} is not read: it is no regular file"), None);
    }
    if !found.files.is_empty() {
        return;
    }
    let message = if Path::new(path).is_dir() {
        format!("no rules are read from {path}: the directory has no .yaml or .yml file")
    } else if Path::new(path).exists() {
        format!("no rules are read from {path}: the name does not end in .yaml or .yml")
    } else {
        format!("no rules are read from {path}: it does not exist")
    };
    warn(setup, key, message, None);
}

/// Selections that select nothing, each with the key it comes from.
pub(super) fn warn_of_selections(
    setup: &Setup,
    selections: &[(String, Selection)],
    set: &RuleSet<Field>,
) {
    for (key, selection) in selections.iter().filter(|(_, selection)| !set.has(&selection.rules)) {
        let (message, help) = match &selection.rules {
            Selected::Named(name) => no_rule(name, set),
            Selected::Tagged(tag) => no_tag(tag, set),
        };
        warn(setup, key, format!("rules: {message}"), help);
    }
}

/// Entries of `append_output` whose `match` no rule meets.
pub(super) fn warn_of_additions(setup: &Setup, set: &RuleSet<Field>) {
    for (index, entry) in setup.config().append_output.iter().enumerate() {
        if set.rules.iter().any(|rule| applies(entry, rule)) {
            continue;
        }
        let tag = entry.tags.iter().find(|tag| !set.has(&Selected::Tagged((*tag).clone())));
        let (key, (message, help)) = if !entry.rule.is_empty() && set.rule(&entry.rule).is_none() {
            ("match.rule", no_rule(&entry.rule, set))
        } else if let Some(tag) = tag {
            ("match.tags", no_tag(tag, set))
        } else if !entry.source.is_empty() || !entry.rule.is_empty() || !entry.tags.is_empty() {
            ("match", ("no rule meets all of its conditions".to_owned(), None))
        } else {
            // It is for all rules, of which there are none.
            continue;
        };
        let key = format!("append_output[{index}].{key}");
        warn(setup, &key, format!("append_output: {message}"), help);
    }
}

fn applies(entry: &AppendOutput, rule: &Rule<Field>) -> bool {
    (entry.source.is_empty() || entry.source == rule.source)
        && (entry.rule.is_empty() || entry.rule == rule.name)
        && entry.tags.is_subset(&rule.tags)
}

fn no_rule(name: &str, set: &RuleSet<Field>) -> (String, Option<String>) {
    let names = set.rules.iter().map(|rule| rule.name.as_str());
    let wildcard = name.contains('*');
    let nearest = closest(name, names).filter(|_| !wildcard);
    let verb = if wildcard { "matches" } else { "is named" };
    (format!("no rule {verb} '{name}'"), nearest.map(did_you_mean))
}

fn no_tag(tag: &str, set: &RuleSet<Field>) -> (String, Option<String>) {
    let tags = set.rules.iter().flat_map(|rule| &rule.tags).map(String::as_str);
    (format!("no rule has the tag '{tag}'"), closest(tag, tags).map(did_you_mean))
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

fn warn(setup: &Setup, key: &str, message: String, help: Option<String>) {
    let warning = setup.loaded.no_effect(key, message);
    setup.warn(&Problem { help, ..warning });
}
