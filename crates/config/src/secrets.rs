//! The configuration as people may see it: values that came from the environment as `${NAME}`, and
//! no passwords, tokens or keys.

use std::collections::BTreeMap;
use std::ops::Range;

use peregrine_diagnostics::{
    REDACTED, Span, is_reference, is_secret_name, mask, mask_ranges, redact,
};
use peregrine_yaml::{Map, Node, Value};

/// A value with variables.
#[derive(Clone, Debug)]
pub(crate) struct Expansion {
    /// As it stands in the file.
    pub(crate) written: String,
    /// What it became.
    pub(crate) value: String,
}

/// Values with variables, by the offset at which they begin. Each text has offsets of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expansions(BTreeMap<usize, Expansion>);

impl Expansions {
    pub(crate) fn record(&mut self, at: usize, expansion: Expansion) {
        self.0.insert(at, expansion);
    }

    /// A message about a place, in which the values of that place stand as in the file.
    pub(crate) fn conceal(&self, message: &str, span: Span) -> String {
        let (start, end) = (span.start.offset, span.end.offset.max(span.start.offset));
        let mut shown = message.to_owned();
        for Expansion { written, value } in self.0.range(start..=end).map(|(_, found)| found) {
            if !value.is_empty() {
                shown = shown.replace(value, written);
            }
        }
        shown
    }
}

/// The tree as it may be shown.
pub(crate) fn printable(node: &Node, expansions: &Expansions) -> Node {
    let value = match &node.value {
        Value::Null => Value::Null,
        Value::Scalar { text, quoted } => {
            let written = expansions.0.get(&node.start.offset);
            let text = written.map_or(text, |expansion| &expansion.written);
            Value::Scalar { text: redact(text), quoted: *quoted }
        }
        Value::Seq(items) => {
            Value::Seq(items.iter().map(|item| printable(item, expansions)).collect())
        }
        Value::Map(map) => {
            let entry = |(key, value): &(Node, Node)| {
                let shown = printable(value, expansions);
                (key.clone(), if is_secret_key(key) { hidden(shown) } else { shown })
            };
            Value::Map(Map(map.0.iter().map(entry).collect()))
        }
    };
    Node { value, ..node.clone() }
}

/// Texts below a secret key are replaced, lists and maps keep their shape.
fn hidden(mut node: Node) -> Node {
    match &mut node.value {
        Value::Null => {}
        Value::Scalar { text, .. } if is_reference(text) => {}
        Value::Scalar { text, .. } => *text = REDACTED.to_owned(),
        Value::Seq(items) => {
            let hide = |item: &mut Node| *item = hidden(std::mem::replace(item, nothing()));
            items.iter_mut().for_each(hide);
        }
        Value::Map(map) => {
            for (_, value) in &mut map.0 {
                *value = hidden(std::mem::replace(value, nothing()));
            }
        }
    }
    node
}

fn nothing() -> Node {
    Node::nowhere(Value::Null)
}

fn is_secret_key(key: &Node) -> bool {
    key.as_str().is_some_and(hides_values)
}

/// Whether values at and below a key of this name are secret. Headers hold tokens under any name.
fn hides_values(name: &str) -> bool {
    is_secret_name(name) || name == "headers"
}

/// An option of the command line, `key=value`, as it may be shown.
#[must_use]
pub fn redact_option(option: &str) -> String {
    let Some((key, value)) = option.split_once('=') else { return redact(option) };
    let secret = key.split(['.', '[', ']']).any(hides_values);
    let value = match secret && !is_reference(value) {
        true => REDACTED.to_owned(),
        false => redact(value),
    };
    format!("{key}={value}")
}

/// A text for snippets, with the same lines and offsets. `root` is what it was parsed to, if it
/// could be.
pub(crate) fn masked(text: &str, root: Option<&Node>) -> String {
    let mut ranges = Vec::new();
    if let Some(root) = root {
        collect(root, false, &mut ranges);
    }
    mask(&mask_ranges(text, ranges))
}

/// Where the texts below secret keys are.
fn collect(node: &Node, secret: bool, ranges: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar { text, .. } if secret && !is_reference(text) => {
            ranges.push(node.start.offset..node.end.offset.max(node.start.offset));
        }
        Value::Scalar { .. } => {}
        Value::Seq(items) => items.iter().for_each(|item| collect(item, secret, ranges)),
        Value::Map(map) => {
            for (key, value) in &map.0 {
                collect(value, secret || is_secret_key(key), ranges);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_show_their_keys_only_where_these_are_secret() {
        for (option, shown) in [
            ("static_fields.api_token=a b c", "static_fields.api_token=[redacted]"),
            ("plugins[0].init_config.secrets.x=y", "plugins[0].init_config.secrets.x=[redacted]"),
            (
                "http_output.peregrine.headers.X-Scope=a",
                "http_output.peregrine.headers.X-Scope=[redacted]",
            ),
            ("http_output.url=https://u:p@h/", "http_output.url=https://[redacted]@h/"),
            (
                "plugins[0].init_config={password: x}",
                "plugins[0].init_config={password: [redacted]}",
            ),
            ("json_output=true", "json_output=true"),
            ("no equals", "no equals"),
        ] {
            assert_eq!(redact_option(option), shown);
        }
    }

    /// Other keys with such a name would never show their value.
    #[test]
    fn declared_keys_with_a_secret_name_are_secret() {
        let secret = [
            "http_output.peregrine.bearer_token",
            "http_output.peregrine.headers{}",
            "kafka_output.sasl.password",
            "nats_output.password",
            "nats_output.token",
            "otlp_output.bearer_token",
            "otlp_output.headers{}",
        ];
        let declared = crate::reference().into_iter().map(|row| row.key);
        let named: Vec<_> =
            declared.filter(|key| key.split(['.', '[', '{']).any(hides_values)).collect();
        let named: std::collections::BTreeSet<_> = named.iter().map(String::as_str).collect();
        assert_eq!(named, secret.into());
    }
}
