//! Converts the old format to YAML.

use std::sync::Arc;

use super::{Kind, OldFile, is_legacy, read};
use peregrine_diagnostics::{Position, Source};

use crate::{Cause, Finding, ItemKind, LoadResult, Place};

/// A file of the format of 2016 as YAML. It raises the same alerts.
///
/// ```
/// let old = b"opened: evt.type = open
/// ## Somebody looks at passwords
/// opened and fd.name = /etc/shadow | WARNING Passwords read (%proc.name)
/// ";
/// let new = peregrine_rules::convert("old.conf", old).unwrap();
/// assert_eq!(new, "- macro: opened
///   condition: evt.type = open
///
/// - rule: Passwords read
///   desc: Somebody looks at passwords
///   condition: opened and fd.name = /etc/shadow
///   output: Passwords read (%proc.name)
///   priority: WARNING
/// ");
/// ```
///
/// # Errors
/// Where it is not in this format, or wrong; all that is wrong. Conditions are not looked into.
pub fn convert(name: &str, content: &[u8]) -> Result<String, Box<LoadResult>> {
    let text = peregrine_yaml::decode(content).into_owned();
    let file = Place::file(Arc::new(Source::new(name, text)));
    let mut findings = Vec::new();
    if is_legacy(name, &file.source().text) {
        if let Some(old) = read(&file, &mut findings) {
            return Ok(yaml(&old));
        }
    } else {
        let place = file.spot(ItemKind::RulesContent, Position::default());
        let message = "This file is not in the rules format of 2016";
        findings.push(Finding::new(Cause::InvalidLegacyFile, message, place));
    }
    Err(Box::new(LoadResult { name: name.to_owned(), findings, schema_warnings: None }))
}

fn yaml(old: &OldFile) -> String {
    let mut text = String::new();
    for statement in &old.statements {
        // A comment that became a description is not repeated.
        let described = match statement.kind {
            Kind::Macro { .. } => 0,
            Kind::Rule { .. } => statement.described().len(),
        };
        let kept = statement.comments.len() - described;
        paragraph(&mut text, statement.comments.get(..kept).unwrap_or_default());
        for (at, (key, value)) in statement.item().entries().iter().enumerate() {
            let dash = if at == 0 { "- " } else { "  " };
            let key = key.as_str().unwrap_or_default();
            let value = scalar(value.as_str().unwrap_or_default());
            text.push_str(&format!("{dash}{key}: {value}\n"));
        }
    }
    if old.rest.iter().any(|line| !line.is_empty()) {
        paragraph(&mut text, &old.rest);
    }
    text
}

/// Comment lines after an empty one.
fn paragraph(text: &mut String, lines: &[String]) {
    if !text.is_empty() {
        text.push('\n');
    }
    for line in lines.iter().skip_while(|line| line.is_empty()) {
        // A lone carriage return would end the comment.
        text.push_str(&line.replace(is_unprintable, " "));
        text.push('\n');
    }
}

/// Whether YAML treats the character as a line break or rejects it.
fn is_unprintable(c: char) -> bool {
    c != '\t' && (c.is_control() || "\u{2028}\u{2029}\u{feff}".contains(c))
}

/// A text as a YAML scalar: plain if that is safe, quoted otherwise.
fn scalar(text: &str) -> String {
    let meant_otherwise = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || "(/".contains(c))
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !meant_otherwise.contains(&text.to_ascii_lowercase().as_str());
    let printable = !text.contains(|c| c == '\t' || is_unprintable(c));
    match (printable, plain) {
        (true, true) => text.to_owned(),
        (true, false) => format!("'{}'", text.replace('\'', "''")),
        (false, _) => serde_json::Value::from(text).to_string(),
    }
}
