//! Problems in the format that code scanners exchange: SARIF 2.1.0.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{Edit, Fix, Label, Problem, Related};

/// The program that found the problems.
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
}

/// A SARIF 2.1.0 log of one run. The texts that were looked at need not have a problem.
#[must_use]
pub fn sarif<'p>(tool: Tool<'_>, problems: impl IntoIterator<Item = &'p Problem>) -> Value {
    let mut codes: Vec<&str> = Vec::new();
    let mut results = Vec::new();
    for problem in problems {
        let index = codes.iter().position(|code| *code == problem.code).unwrap_or_else(|| {
            codes.push(problem.code);
            codes.len() - 1
        });
        results.push(result(problem, index));
    }
    let rules: Value = codes.iter().map(|code| json!({ "id": code })).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": tool.name, "version": tool.version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(problem: &Problem, rule_index: usize) -> Value {
    let message = match &problem.help {
        Some(help) => format!("{}\nhelp: {help}", problem.message),
        None => problem.message.clone(),
    };
    let locations: Value = problem.labels.iter().map(location).collect();
    let mut result = json!({
        "ruleId": problem.code,
        "ruleIndex": rule_index,
        "level": problem.severity.name(),
        "message": { "text": message },
        "locations": locations,
    });
    let mut add = |key: &str, value: Value| {
        if let Some(members) = result.as_object_mut() {
            members.insert(key.to_owned(), value);
        }
    };
    if let Some(wider) = problem.wider {
        add("properties", json!({ "wider": wider }));
    }
    if !problem.related.is_empty() {
        add("relatedLocations", problem.related.iter().map(related).collect());
    }
    if let Some(fix) = &problem.fix {
        add("fixes", json!([self::fix(fix)]));
    }
    result
}

fn location(label: &Label) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&label.source.name) },
            "region": region(label),
        },
    })
}

fn related(related: &Related) -> Value {
    let mut location = location(&related.label);
    if let Some(members) = location.as_object_mut() {
        members.insert("message".to_owned(), json!({ "text": related.note }));
    }
    location
}

/// One change for each edit: a viewer applies those of one file together.
fn fix(fix: &Fix) -> Value {
    let change = |edit: &Edit| {
        json!({
            "artifactLocation": { "uri": uri(&edit.label.source.name) },
            "replacements": [{
                "deletedRegion": region(&edit.label),
                "insertedContent": { "text": edit.text },
            }],
        })
    };
    let changes: Value = fix.edits.iter().map(change).collect();
    json!({ "description": { "text": fix.title }, "artifactChanges": changes })
}

fn region(label: &Label) -> Value {
    let (start, end) = label.range();
    let (start_line, start_column) = label.source.line_and_column(start);
    let (end_line, end_column) = label.source.line_and_column(end);
    json!({
        "startLine": start_line,
        "startColumn": start_column,
        "endLine": end_line,
        "endColumn": end_column,
    })
}

/// A path as a URI reference: absolute ones with the scheme `file`, relative ones as they are, with
/// all bytes but those that RFC 3986 calls unreserved written as `%XX`.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            // Writing into a string does not fail.
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Source;

    #[test]
    fn a_log_names_each_code_once() {
        let source = Arc::new(Source::new("/etc/my rules.yaml", "- rul: é x\n"));
        let at = |range| Label::bytes(Arc::clone(&source), range);
        let problems = [
            Problem::warning("KEY", "Unknown key 'rul'").at(at(2..5)).help("did you mean `rule`?"),
            Problem::error("VALUE", "wrong").at(at(10..11)),
            Problem::error("KEY", "no place"),
        ];
        let log = sarif(Tool { name: "peregrine", version: "1" }, &problems);
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"], json!([{ "id": "KEY" }, { "id": "VALUE" }]));
        let result = &run["results"][0];
        assert_eq!(result["level"], "warning");
        assert_eq!(result["message"]["text"], "Unknown key 'rul'\nhelp: did you mean `rule`?");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "file:///etc/my%20rules.yaml");
        assert_eq!(place["region"]["endColumn"], 6);
        let place = &run["results"][1]["locations"][0]["physicalLocation"];
        assert_eq!(place["region"]["startColumn"], 10);
        assert_eq!(run["results"][2]["ruleIndex"], 0);
        assert_eq!(run["results"][2]["locations"], json!([]));
    }

    #[test]
    fn fixes_and_related_places_have_regions() {
        let source = Arc::new(Source::new("r.yaml", "a && b"));
        let at = |range| Label::bytes(Arc::clone(&source), range);
        let mut problem = Problem::error("E0401", "wrong")
            .at(at(2..4))
            .related(at(0..1), "here")
            .fix(Fix::safe("replace && by and", vec![Edit::new(at(2..4), "and")]));
        problem.wider = Some("LOAD_ERR");
        let log = sarif(Tool { name: "peregrine", version: "1" }, [&problem]);
        let result = &log["runs"][0]["results"][0];
        assert_eq!(result["properties"]["wider"], "LOAD_ERR");
        assert_eq!(result["relatedLocations"][0]["message"]["text"], "here");
        let replacement = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
        assert_eq!(replacement["insertedContent"]["text"], "and");
        assert_eq!(replacement["deletedRegion"]["endColumn"], 5);
    }

    #[test]
    fn relative_paths_stay_relative() {
        assert_eq!(uri("rules/a b#.yaml"), "rules/a%20b%23.yaml");
    }
}
