//! `-o key=value`: the path grammar, and setting a value in the tree.

use std::fmt::Display;

use peregrine_diagnostics::SourceMap;
use peregrine_yaml::{Map, Node, Value};
use thiserror::Error;

use crate::issue::{ConfigCode, ConfigIssue};
use crate::secrets::redact_option;
use crate::sources;

/// One step of a path into the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Append,
}

/// Applies one `-o` argument.
pub(crate) fn apply(
    root: &mut Node,
    option: &str,
    sources: &mut SourceMap,
) -> Result<(), ConfigIssue> {
    let Some((key, value)) = option.split_once('=') else {
        let shown = redact_option(option);
        let issue = ConfigIssue::new(
            ConfigCode::Override,
            format!(
                "Error parsing config option \"{shown}\". Must be of the form key=val or key.subkey=val"
            ),
        );
        let issue = issue.plain(format!("`-o {shown}` has no value")).help("write -o key=value");
        return Err(issue.at_span(sources::part(sources, option, 0..option.len())));
    };
    let value = if value.len() >= 2 && value.starts_with('{') && value.ends_with('}') {
        sources::option(sources, option, key.len() + 1)?
    } else {
        sources::scalar(sources, option, key.len() + 1)
    };
    let applied = parse_path(key)
        .and_then(|steps| set(root, &steps, value).map_err(|reason| wrong_key(key, reason)));
    applied.map_err(|issue| issue.at_span(sources::part(sources, option, 0..key.len())))
}

/// The value that a path leads to. A single value stands for a list of one.
pub(crate) fn find<'n>(root: &'n Node, path: &str) -> Option<&'n Node> {
    parse_path(path).ok()?.iter().try_fold(root, |node, step| match (step, &node.value) {
        (Step::Key(name), _) => node.get(name),
        (Step::Index(0), Value::Scalar { .. }) => Some(node),
        (Step::Index(index), _) => node.items().get(*index),
        (Step::Append, _) => None,
    })
}

fn wrong_key(key: &str, reason: impl Display) -> ConfigIssue {
    let message = format!("Config error at key \"{key}\": {reason}");
    let reason = reason.to_string();
    let plain = reason.strip_prefix("Parsing error: ").unwrap_or(&reason);
    ConfigIssue::new(ConfigCode::Override, message).plain(plain)
}

/// Reads a path such as `engine.kind`, `append_output[0].match.rule`, `rules_files[]` or
/// `static_fields.a\.b`.
fn parse_path(path: &str) -> Result<Vec<Step>, ConfigIssue> {
    let wrong = |reason: String| wrong_key(path, format_args!("Parsing error: {reason}"));
    let mut steps = Vec::new();
    let mut name = String::new();
    // Whether a name must follow: at the start and after a dot.
    let mut expect_name = true;
    let mut rest = path.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some((_, escaped @ ('.' | '[' | ']' | '\\'))) => name.push(escaped),
                Some((_, other)) => {
                    return Err(wrong(format!("invalid escape sequence '\\{other}' at pos {at}"))
                        .help("a backslash stands before a dot, a bracket or a backslash only"));
                }
                None => return Err(wrong(format!("trailing backslash at pos {at}"))),
            },
            '.' | '[' => {
                if !name.is_empty() {
                    steps.push(Step::Key(std::mem::take(&mut name)));
                } else if expect_name || steps.is_empty() {
                    return Err(wrong(format!("unexpected character at pos {at}")));
                }
                expect_name = c == '.';
                if c == '[' {
                    steps.push(parse_index(path, at, &mut rest, wrong)?);
                }
            }
            _ => {
                if name.is_empty() && !expect_name {
                    let before = at.saturating_sub(1);
                    return Err(wrong(format!("expected '.' character at pos {before}")));
                }
                name.push(c);
            }
        }
    }
    if !name.is_empty() {
        steps.push(Step::Key(name));
    }
    if steps.is_empty() {
        return Err(wrong("the key is empty".to_owned()).help("write -o key=value"));
    }
    Ok(steps)
}

/// Reads an index up to its closing bracket.
fn parse_index(
    path: &str,
    open: usize,
    rest: &mut std::str::CharIndices<'_>,
    wrong: impl Fn(String) -> ConfigIssue,
) -> Result<Step, ConfigIssue> {
    let inside = path.get(open + 1..).unwrap_or_default();
    let Some((index, _)) = inside.split_once(']') else {
        return Err(wrong(format!("'[' at pos {open} is never closed")));
    };
    rest.by_ref().take(index.chars().count() + 1).for_each(drop);
    if index.is_empty() {
        return Ok(Step::Append);
    }
    let number = index.trim().parse().map(Step::Index);
    number.map_err(|_| wrong(format!("expected a numeric index, found '{index}'")))
}

/// Why a path can't be followed in the tree.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
enum SetError {
    #[error("Parsing error: [] adds to a list, and this is {0}")]
    AppendTo(&'static str),
    #[error("Parsing error: [{index}] is for lists, and this is {kind}")]
    IndexOf { index: usize, kind: &'static str },
    #[error("index {index} is past the end of a list of {length}; [] adds an item")]
    PastEnd { index: usize, length: usize },
}

/// Sets the value at the end of the path. A scalar on the way is replaced by a container. New
/// containers have the place of the value.
fn set(node: &mut Node, steps: &[Step], value: Node) -> Result<(), SetError> {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return Ok(());
    };
    let kind = node.kind();
    if let Value::Scalar { .. } | Value::Null = node.value {
        (node.start, node.end) = (value.start, value.end);
    }
    let old = std::mem::replace(&mut node.value, Value::Null);
    let (new, result) = match (step, old) {
        (Step::Key(name), old) => {
            let mut map = if let Value::Map(map) = old { map } else { Map::default() };
            let found = map.0.iter_mut().find(|(key, _)| key.as_str() == Some(name));
            let result = match found {
                Some((_, child)) => set(child, rest, value),
                None => {
                    let mut child = Node { value: Value::Null, ..value.clone() };
                    let result = set(&mut child, rest, value);
                    map.0.push((Node::scalar(name.clone()), child));
                    result
                }
            };
            (Value::Map(map), result)
        }
        (Step::Append, old @ (Value::Scalar { .. } | Value::Map(_))) => {
            (old, Err(SetError::AppendTo(kind)))
        }
        (Step::Index(index), old @ Value::Map(_)) => {
            (old, Err(SetError::IndexOf { index: *index, kind }))
        }
        (step, old) => {
            let mut items = if let Value::Seq(items) = old { items } else { Vec::new() };
            let at = if let Step::Index(index) = step { *index } else { items.len() };
            if at == items.len() {
                items.push(Node { value: Value::Null, ..value.clone() });
            }
            let length = items.len();
            let result = match items.get_mut(at) {
                Some(child) => set(child, rest, value),
                None => Err(SetError::PastEnd { index: at, length }),
            };
            (Value::Seq(items), result)
        }
    };
    node.value = new;
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConfigError, dump};

    fn after(yaml: &str, options: &[&str]) -> Result<String, String> {
        let mut sources = SourceMap::default();
        let mut root = sources::read(&mut sources, "test.yaml", yaml.as_bytes()).unwrap();
        for option in options {
            let applied = apply(&mut root, option, &mut sources);
            applied.map_err(|issue| ConfigError::new(issue, "test.yaml", &sources).to_string())?;
        }
        Ok(dump(&root))
    }

    #[test]
    fn nested_keys_are_made_as_needed() {
        assert_eq!(after("", &["a.b=1", "a.c=x=y"]).unwrap(), r#"{"a": {"b": "1", "c": "x=y"}}"#);
        assert_eq!(after("a: 1", &["a.b=2"]).unwrap(), r#"{"a": {"b": "2"}}"#);
        assert_eq!(after("a: {b: 1}", &["a.=x"]).unwrap(), r#"{"a": "x"}"#);
    }

    #[test]
    fn lists_by_index_and_at_their_end() {
        let list = "a: [{x: 1}, {x: 2}]";
        assert_eq!(after(list, &["a[1].x=9"]).unwrap(), r#"{"a": [{"x": "1"}, {"x": "9"}]}"#);
        assert_eq!(after("", &["a[]=1", "a[]=2"]).unwrap(), r#"{"a": ["1", "2"]}"#);
        assert_eq!(after("a: [x]", &["a[1]=y"]).unwrap(), r#"{"a": ["x", "y"]}"#);
        assert_eq!(after("a: [[1, 2]]", &["a[0][1]=3"]).unwrap(), r#"{"a": [["1", "3"]]}"#);
        assert_eq!(after("a: s", &["a[0]=t"]).unwrap(), r#"{"a": ["t"]}"#);
    }

    #[test]
    fn values_in_braces_are_maps_and_nothing_else_is() {
        assert_eq!(after("", &["a={b: c, d: [1]}"]).unwrap(), r#"{"a": {"b": "c", "d": ["1"]}}"#);
        assert_eq!(after("", &["a=[x, y]"]).unwrap(), r#"{"a": "[x, y]"}"#);
        assert_eq!(after("", &["a={b: c"]).unwrap(), r#"{"a": "{b: c"}"#);
    }

    #[test]
    fn escapes() {
        assert_eq!(after("", &[r"a\.b.c\[0\]=x"]).unwrap(), r#"{"a.b": {"c[0]": "x"}}"#);
        assert_eq!(after("", &[r"a\\=x"]).unwrap(), r#"{"a\\": "x"}"#);
    }

    #[test]
    fn what_is_refused() {
        let error = |option| after("list: [1]", &[option]).unwrap_err();
        assert_eq!(
            error(r"s.a\q=x"),
            r#"Config error at key "s.a\q": Parsing error: invalid escape sequence '\q' at pos 3"#
        );
        assert_eq!(
            error("list[one]=x"),
            "Config error at key \"list[one]\": Parsing error: expected a numeric index, found 'one'"
        );
        assert_eq!(
            error(""),
            "Error parsing config option \"\". Must be of the form key=val or key.subkey=val"
        );
        assert!(error("list[0=x").contains("never closed"));
        assert!(error("list[0]x=y").contains("expected '.' character at pos 6"));
        assert!(error("a..b=x").contains("unexpected character at pos 2"));
        assert!(error("[0]=x").contains("unexpected character at pos 0"));
        assert!(error("list[5]=x").contains("past the end"));
        assert!(error("list[-1]=x").contains("expected a numeric index"));
        assert!(error("=x").contains("empty"));
    }

    proptest::proptest! {
        #[test]
        fn any_option_is_applied_or_refused(option in r"[a-c.\[\]\\0-2={}:é ]{0,24}") {
            let _ = after("a: [{b: 1}]\nb: {c: []}\n", &[&option]);
        }
    }
}
