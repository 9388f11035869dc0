//! Exceptions of rules: parsing, default operators, and the condition they add.

use peregrine_filter::{Operator, Quantifier};
use peregrine_yaml::{Node, Value};

use crate::decode::{Decoded, Reading, failed};
use crate::define::{Appended, Sources, place_in};
use crate::literal::{literal, members};
use crate::{Cause, Finding, ItemKind, Place};

/// A named exception of a rule: combinations of field values for which the rule does not match.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub(crate) name: String,
    pub(crate) fields: Entry,
    pub(crate) comps: Entry,
    pub(crate) values: Vec<Entry>,
    pub(crate) place: Place,
    /// Index of the first value that each append brought, and where it stands.
    pub(crate) appended: Appended,
}

/// A text, or a list of entries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    Item(String),
    List(Vec<Entry>),
}

impl Entry {
    pub(crate) const NONE: Self = Self::Item(String::new());

    /// Whether any value is present.
    pub(crate) fn is_given(&self) -> bool {
        match self {
            Self::Item(item) => !item.is_empty(),
            Self::List(items) => !items.is_empty(),
        }
    }

    /// The texts at the top level: the value itself, or the items of its list.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Item(item) => vec![item],
            Self::List(items) => items.iter().map(Self::text).collect(),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Item(item) => item,
            Self::List(_) => "",
        }
    }

    fn read(node: &Node, key: &str, parent: &Place) -> Decoded<Self> {
        let place = parent.inside(ItemKind::ValueFor, key, node);
        match &node.value {
            Value::Scalar { text, .. } if text.is_empty() => {
                Err(failed(Cause::EmptyValue, "Value must be non-empty", &place))
            }
            Value::Scalar { text, .. } => Ok(Self::Item(text.clone())),
            Value::Seq(items) => {
                let entry = |item: &Node| {
                    Self::read(item, "", &place.inside(ItemKind::Exception, "", item))
                };
                items.iter().map(entry).collect::<Result<_, _>>().map(Self::List)
            }
            Value::Null | Value::Map(_) => Ok(Self::NONE),
        }
    }
}

/// The exceptions of an item; `None` without the key.
///
/// With `append`, fields may be omitted: the exception of the same name supplies them.
pub(crate) fn read(
    item: &Reading<'_>,
    append: bool,
    findings: &mut Vec<Finding>,
) -> Decoded<Vec<Exception>> {
    let mut exceptions: Vec<Exception> = Vec::new();
    let Some(node) = item.get("exceptions").filter(|node| !node.is_null()) else {
        return Ok(exceptions);
    };
    let all = item.place.inside(ItemKind::Exceptions, "", node);
    let Some(nodes) = node.as_seq() else {
        let error = "Rule exceptions must be a sequence";
        return Err(wrong_form(error, &all, "write a list: `exceptions: [{name: …, fields: …}]`"));
    };
    for node in nodes {
        let unnamed = Reading::new(node, all.inside(ItemKind::Exception, "", node));
        if node.as_map().is_none() {
            let help = "write the keys `name`, `fields`, `comps` and `values` for each exception";
            return Err(wrong_form("Rule exception must be a mapping", &unnamed.place, help));
        }
        let name: String = unnamed.required("name")?;
        let place = item.place.inside(ItemKind::Exception, &name, node);
        if exceptions.iter().any(|earlier| earlier.name == name) {
            let message = format!("Multiple definitions of exception '{name}' in the same rule");
            findings.push(Finding::new(Cause::ExceptionTwice, message, place.clone()));
        }
        exceptions.push(read_one(Reading::new(node, place), name, append, findings)?);
    }
    Ok(exceptions)
}

fn wrong_form(message: &str, place: &Place, help: &str) -> Box<Finding> {
    let error = *failed(Cause::ExceptionsNotMappings, message, place);
    Box::new(error.help(Some(help.to_owned())))
}

fn read_one(
    item: Reading<'_>,
    name: String,
    append: bool,
    findings: &mut Vec<Finding>,
) -> Decoded<Exception> {
    let entry = |key| match item.get(key) {
        Some(node) => Entry::read(node, key, &item.place),
        None => Ok(Entry::NONE),
    };
    if !append && !item.has("fields") {
        return Err(item.error(Cause::MissingKey, "Item has no mapping for key 'fields'"));
    }
    let (fields, comps) = (entry("fields")?, entry("comps")?);
    let mut values = Vec::new();
    if let Some(node) = item.get("values") {
        let place = item.place.inside(ItemKind::ExceptionValues, "", node);
        let Some(nodes) = node.as_seq() else {
            let help = match fields {
                Entry::Item(_) => "write a list: `values: [VALUE, …]`",
                Entry::List(_) => {
                    "write a list with one list for each combination: `values: [[VALUE, …]]`"
                }
            };
            return Err(wrong_form("Rule exception values must be a sequence", &place, help));
        };
        for node in nodes {
            let place = place.inside(ItemKind::ExceptionValue, "", node);
            values.push(Entry::read(node, "", &place)?);
        }
    } else if append {
        let message = "Overriding/appending exception with no values";
        let place = item.place.clone();
        findings.push(Finding::new(Cause::ExceptionWithoutValues, message, place));
    }
    Ok(Exception { name, fields, comps, values, place: item.place, appended: Appended::new() })
}

impl Exception {
    /// The definition or append that a value came with.
    pub(crate) fn place_of(&self, value: usize) -> &Place {
        place_in(&self.appended, value).unwrap_or(&self.place)
    }

    /// Adds default operators, and checks fields and operators. Fields are not checked if the
    /// source of the rule is unknown.
    pub(crate) fn complete(&mut self, source: Option<&str>, sources: &dyn Sources) -> Decoded<()> {
        let wrong = |message: String| Err(failed(Cause::InvalidException, message, &self.place));
        match &self.fields {
            Entry::List(fields) => {
                if !self.comps.is_given() {
                    let equal = || Entry::Item("=".to_owned());
                    self.comps = Entry::List(fields.iter().map(|_| equal()).collect());
                }
                let comps = match &mut self.comps {
                    Entry::List(comps) if comps.len() == fields.len() => comps,
                    _ => return wrong("Fields and comps lists must have equal length".into()),
                };
                for comp in comps {
                    let word = comp.text().trim_matches([' ', '\t', '\r', '\n']).to_owned();
                    if !is_operator(&word) && !is_quantified(&word) {
                        return wrong(format!("'{word}' is not a supported comparison operator"));
                    }
                    *comp = Entry::Item(word);
                }
            }
            Entry::Item(_) => {
                if !self.comps.is_given() {
                    self.comps = Entry::Item("in".to_owned());
                }
                let Entry::Item(comp) = &mut self.comps else {
                    return wrong("Fields and comps must both be strings".into());
                };
                *comp = comp.trim_matches([' ', '\t', '\r', '\n']).to_owned();
                if !matches!(comp.as_str(), "in" | "pmatch" | "intersects") && !is_quantified(comp)
                {
                    return wrong(
                        "When fields is a single value, comps must be one of (in, pmatch, \
                         intersects) or a modifier operator (e.g. startswith oneof)"
                            .into(),
                    );
                }
            }
        }
        let Some(source) = source else { return Ok(()) };
        match self.fields.texts().iter().find(|field| !sources.has_field(source, field)) {
            Some(field) => wrong(format!("'{field}' is not a supported filter field")),
            None => Ok(()),
        }
    }

    /// Its condition, without `not`; `None` without values.
    fn condition(&self) -> Decoded<Option<String>> {
        if self.values.is_empty() {
            return Ok(None);
        }
        match &self.fields {
            Entry::Item(field) => self.any_value(field).map(Some),
            Entry::List(fields) => {
                let tuples: Vec<String> = self
                    .values
                    .iter()
                    .map(|value| self.tuple(fields, value))
                    .collect::<Result<_, _>>()?;
                Ok(Some(format!("({})", tuples.join(" or "))))
            }
        }
    }

    /// `(field op (a, b, c))`
    fn any_value(&self, field: &str) -> Decoded<String> {
        let mut values = Vec::new();
        for value in &self.values {
            match value {
                Entry::Item(value) => values.push(literal(value).into_owned()),
                Entry::List(_) => {
                    let message = "Expected values array to contain a list of strings";
                    return Err(failed(Cause::InvalidException, message, &self.place));
                }
            }
        }
        Ok(format!("({field} {} ({}))", self.comps.text(), values.join(", ")))
    }

    /// `( field1 op1 a and  field2 op2 b)`: blanks are placed as the reference engine places them,
    /// so that positions within the condition agree.
    fn tuple(&self, fields: &[Entry], values: &Entry) -> Decoded<String> {
        let values = match values {
            Entry::List(values) if values.len() == fields.len() => values,
            _ => {
                let message = "Fields and values lists must have equal length";
                let names: Vec<_> = fields.iter().map(Entry::text).collect();
                let help = format!(
                    "each entry of `values` is a list with a value for each field: `[{}]`",
                    names.join(", ")
                );
                let error = *failed(Cause::InvalidException, message, &self.place);
                return Err(Box::new(error.help(Some(help))));
            }
        };
        let comps = self.comps.texts();
        let tests: Vec<String> = fields
            .iter()
            .zip(comps)
            .zip(values)
            .map(|((field, comp), value)| {
                let value = match value {
                    Entry::List(values) => {
                        let values: Vec<_> =
                            values.iter().map(|value| literal(value.text())).collect();
                        format!("({})", values.join(", "))
                    }
                    Entry::Item(value) if takes_list(comp) => members(value).into_owned(),
                    Entry::Item(value) => literal(value).into_owned(),
                };
                format!(" {} {comp} {value}", field.text())
            })
            .collect();
        Ok(format!("({})", tests.join(" and ")))
    }
}

/// A condition combined with its exceptions.
pub(crate) fn with_exceptions(condition: &str, exceptions: &[Exception]) -> Decoded<String> {
    if exceptions.is_empty() {
        return Ok(condition.to_owned());
    }
    let mut all = format!("({condition})");
    for exception in exceptions {
        if let Some(condition) = exception.condition()? {
            all.push_str(" and not ");
            all.push_str(&condition);
        }
    }
    Ok(all)
}

/// The exception that a byte of a condition combined with its exceptions belongs to.
pub(crate) fn at<'e>(
    condition: &str,
    exceptions: &'e [Exception],
    offset: usize,
) -> Option<&'e Exception> {
    let mut end = condition.len() + "()".len();
    exceptions.iter().find(|exception| {
        let condition = exception.condition().ok().flatten();
        end += condition.map_or(0, |condition| " and not ".len() + condition.len());
        offset < end
    })
}

fn is_operator(word: &str) -> bool {
    word == "exists" || operator(word).is_some()
}

fn operator(word: &str) -> Option<Operator> {
    Operator::ALL.iter().copied().find(|op| op.as_str() == word)
}

/// `startswith anyof` and the like.
fn is_quantified(words: &str) -> bool {
    let mut parts = words.split_ascii_whitespace();
    let (Some(op), Some(quantifier), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let text_only = operator(op).is_some_and(|op| {
        !matches!(
            op,
            Operator::Le
                | Operator::Lt
                | Operator::Ge
                | Operator::Gt
                | Operator::In
                | Operator::Intersects
                | Operator::PMatch
        )
    });
    text_only && Quantifier::ALL.iter().any(|known| known.as_str() == quantifier)
}

fn takes_list(comp: &str) -> bool {
    matches!(operator(comp), Some(Operator::In | Operator::Intersects | Operator::PMatch))
        || is_quantified(comp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_with_quantifiers() {
        assert!(is_quantified("startswith anyof"));
        assert!(is_quantified("=  oneof"));
        assert!(!is_quantified("in anyof"));
        assert!(!is_quantified("<= oneof"));
        assert!(!is_quantified("startswith"));
        assert!(takes_list("contains allof") && takes_list("pmatch") && !takes_list("="));
    }
}
