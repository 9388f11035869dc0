//! `-L` and `-l`: what rules, macros and lists are made of.

use std::collections::BTreeSet;

use peregrine_fields::Field;
use peregrine_rules::{NotLoaded, RuleSet};
use serde_json::Value as Json;

use crate::app::{RuntimeError, Session};

/// Everything, or one rule, for programs.
pub(crate) fn as_json(
    session: &Session,
    rules: &RuleSet<Field>,
    only: Option<&str>,
) -> Result<Json, RuntimeError> {
    let containers = session.containers();
    let plugins = |_: &str, fields: &BTreeSet<String>| {
        let used = containers && fields.iter().any(|field| is_of_containers(field));
        used.then(|| "container".to_owned()).into_iter().collect()
    };
    match only {
        Some(name) => Ok(rules.describe_rule(name, &plugins)?),
        None => Ok(rules.describe(&plugins)),
    }
}

/// Names and descriptions in two columns, for people.
pub(crate) fn as_text(rules: &RuleSet<Field>, only: Option<&str>) -> Result<String, RuntimeError> {
    Ok(rules.describe_as_text(only)?)
}

fn is_of_containers(field: &str) -> bool {
    field.starts_with("container.") || field.starts_with("k8s.")
}

impl From<NotLoaded> for RuntimeError {
    fn from(error: NotLoaded) -> Self {
        Self(error.to_string())
    }
}
