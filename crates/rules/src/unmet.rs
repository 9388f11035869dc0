//! What is said about a configuration that names rules, tags or files that do not exist.

use std::collections::BTreeSet;
use std::path::Path;

use peregrine_diagnostics::closest;

use crate::{FilesAt, Rule, RuleSet, Selected};

/// A condition of the configuration that no rule meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Which, as a sentence without its point.
    pub message: String,
    /// What was probably meant.
    pub help: Option<String>,
}

impl<F> RuleSet<F> {
    /// The message about a selection that no rule meets; `None` if a rule meets it.
    #[must_use]
    pub fn unmet(&self, selected: &Selected) -> Option<Unmet> {
        if self.rules.iter().any(|rule| selected.contains(rule)) {
            return None;
        }
        let (message, nearest) = match selected {
            Selected::Named(pattern) if pattern.contains('*') => {
                (format!("no rule matches '{pattern}'"), None)
            }
            Selected::Named(name) => {
                let names = self.rules.iter().map(|rule| rule.name.as_str());
                (format!("no rule is named '{name}'"), closest(name, names))
            }
            Selected::Tagged(tag) => {
                let tags = self.rules.iter().flat_map(|rule| &rule.tags).map(String::as_str);
                (format!("no rule has the tag '{tag}'"), closest(tag, tags))
            }
        };
        Some(Unmet { message, help: nearest.map(|nearest| format!("did you mean `{nearest}`?")) })
    }

    /// The message about an addition to outputs that applies to no rule, and the condition that no
    /// rule meets: `rule`, `tags` or, if only all of them together are not met, nothing. Empty
    /// texts are no conditions.
    #[must_use]
    pub fn unmet_addition(
        &self,
        source: &str,
        rule: &str,
        tags: &BTreeSet<String>,
    ) -> Option<(&'static str, Unmet)> {
        let applies = |known: &Rule<F>| {
            (source.is_empty() || source == known.source)
                && (rule.is_empty() || rule == known.name)
                && tags.is_subset(&known.tags)
        };
        let is_for_all = source.is_empty() && rule.is_empty() && tags.is_empty();
        if is_for_all || self.rules.iter().any(applies) {
            return None;
        }
        let named = (!rule.is_empty() && self.rule(rule).is_none())
            .then(|| Selected::Named(rule.to_owned()));
        // A name is not a pattern here.
        let named = named.and_then(|named| self.unmet(&named));
        let tagged = || tags.iter().find_map(|tag| self.unmet(&Selected::Tagged(tag.clone())));
        let together =
            || Unmet { message: "no rule meets all of its conditions".to_owned(), help: None };
        Some(match named {
            Some(unmet) => ("rule", unmet),
            None => tagged().map_or_else(|| ("", together()), |unmet| ("tags", unmet)),
        })
    }
}

impl FilesAt {
    /// What to say about the files that are not read: entries of a directory, or all.
    #[must_use]
    pub fn unread(&self, path: &str) -> Vec<String> {
        let irregular = self.irregular.iter();
        let mut unread: Vec<_> =
            irregular.map(|file| format!("{file} is not read: it is no regular file")).collect();
        if self.files.is_empty() {
            let why = if Path::new(path).is_dir() {
                "the directory has no .yaml or .yml file"
            } else if Path::new(path).exists() {
                "the name does not end in .yaml or .yml"
            } else {
                "it does not exist"
            };
            unread.push(format!("no rules are read from {path}: {why}"));
        }
        unread
    }
}
