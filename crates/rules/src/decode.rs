//! From YAML values to what items need, with the messages for those that are not.

use std::collections::BTreeSet;

use peregrine_diagnostics::{Edit, Fix};
use peregrine_yaml::Node;

use crate::result::Explained;
use crate::{Cause, Finding, ItemKind, Place};

pub(crate) type Decoded<T> = Result<T, Box<Finding>>;

/// What a scalar can be read as.
pub(crate) trait FromScalar: Sized {
    fn from_scalar(node: &Node) -> Option<Self>;

    /// What it must look like, for help.
    const WANTED: &str;
}

impl FromScalar for String {
    const WANTED: &str = "text";

    fn from_scalar(node: &Node) -> Option<Self> {
        node.as_str().map(str::to_owned)
    }
}

impl FromScalar for bool {
    const WANTED: &str = "`true` or `false`";

    fn from_scalar(node: &Node) -> Option<Self> {
        node.as_bool()
    }
}

impl FromScalar for u32 {
    const WANTED: &str = "a number from 0 to 4294967295";

    fn from_scalar(node: &Node) -> Option<Self> {
        node.as_u64()?.try_into().ok()
    }
}

/// An item, or another map, being read.
#[derive(Clone)]
pub(crate) struct Reading<'n> {
    pub(crate) node: &'n Node,
    pub(crate) place: Place,
}

impl<'n> Reading<'n> {
    pub(crate) fn new(node: &'n Node, place: Place) -> Self {
        Self { node, place }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.node.get(key)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// An error of this item.
    pub(crate) fn error(&self, cause: Cause, message: impl Into<String>) -> Box<Finding> {
        failed(cause, message, &self.place)
    }

    /// A scalar that must be there.
    pub(crate) fn required<T: FromScalar>(&self, key: &str) -> Decoded<T> {
        self.optional(key)?.ok_or_else(|| {
            let mut error =
                self.error(Cause::MissingKey, format!("Item has no mapping for key '{key}'"));
            error.help = Some(format!("add `{key}: …` to this item"));
            error
        })
    }

    /// A scalar that may be left out, but not be empty.
    pub(crate) fn optional<T: FromScalar>(&self, key: &str) -> Decoded<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        if value.is_null() {
            let message = format!("Mapping for key '{key}' is empty");
            let name = self.node.entries().iter().find(|(name, _)| name.as_str() == Some(key));
            let labels = name.map(|(name, _)| self.place.part(name.start.offset..name.end.offset));
            let explained = Explained {
                message: format!("`{key}` has no value"),
                labels: labels.into_iter().collect(),
                ..Explained::default()
            };
            let error = *self.error(Cause::EmptyValue, message);
            let help = Some(format!("write {} behind `{key}:`", T::WANTED));
            return Err(Box::new(error.help(help).explained(explained)));
        }
        let place = || self.place.inside(ItemKind::ValueFor, key, value);
        let wrong = |cause, message: &str| failed(cause, message, &place());
        let text = value.as_str().ok_or_else(|| {
            let message = format!("`{key}` takes {}, and this is {}", T::WANTED, value.kind());
            let error = wrong(Cause::WrongType, "Value is not a scalar value");
            let explained = Explained { message, ..Explained::default() };
            Box::new(error.help(Some(format!("write `{key}: …`"))).explained(explained))
        })?;
        if text.is_empty() {
            return Err(wrong(Cause::EmptyValue, "Value must be non-empty"));
        }
        let decoded = T::from_scalar(value).ok_or_else(|| {
            let message = format!("`{text}` is not what `{key}` takes");
            let error = wrong(Cause::WrongType, "Can't decode YAML scalar value");
            let explained = Explained { message, ..Explained::default() };
            Box::new(error.help(Some(format!("write {}", T::WANTED))).explained(explained))
        })?;
        Ok(Some(decoded))
    }

    /// A sequence of scalars.
    pub(crate) fn texts(&self, key: &str) -> Decoded<Option<Vec<String>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let place = || self.place.inside(ItemKind::ValueFor, key, value);
        let Some(items) = value.as_seq() else {
            let error = failed(Cause::WrongType, "Value is not a sequence", &place());
            let (help, explained) = self.list_wanted(key, value);
            return Err(Box::new(error.help(Some(help)).explained(explained)));
        };
        let text = |item: &Node| {
            item.as_str().map(str::to_owned).ok_or_else(|| {
                let place = place().inside(ItemKind::ListItem, "", item);
                let mut error = failed(Cause::WrongType, "sequence value is not scalar", &place);
                error.help = match () {
                    () if item.is_null() => Some("quote the word to have it as text".to_owned()),
                    () if key == "items" && item.as_seq().is_some() => Some(
                        "a list contains words: give the inner one a name, and write this name"
                            .to_owned(),
                    ),
                    () => None,
                };
                error
            })
        };
        items.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// What to say about a value that must be a list.
    fn list_wanted(&self, key: &str, value: &Node) -> (String, Explained) {
        let label = self.place.part(value.start.offset..value.end.offset);
        let mut explained = Explained {
            message: format!("`{key}` is a list, and this is {}", value.kind()),
            labels: vec![label.clone()],
            ..Explained::default()
        };
        let written = value.as_str().map(str::trim).filter(|text| !text.is_empty());
        let Some(written) = written.filter(|text| !text.contains(['[', ']', '{', '}', '#', '\n']))
        else {
            return (format!("write `{key}: [a, b, c]`"), explained);
        };
        // Lines without a dash, or without a blank after it, are one text to YAML.
        let lines = self.place.part(value.start.offset..value.end.offset);
        let lines = lines.source.text.get(value.start.offset..value.end.offset).unwrap_or_default();
        let item = |line: &str| line.trim().trim_start_matches('-').trim_start().to_owned();
        let list = match lines.lines().count() {
            0 | 1 => format!("[{written}]"),
            _ => format!("[{}]", lines.lines().map(item).collect::<Vec<_>>().join(", ")),
        };
        let edits = vec![Edit { label, text: list.clone() }];
        explained.fix = Some(Fix::safe("write a list", edits));
        (format!("write `{key}: {list}`"), explained)
    }

    /// A sequence of scalars, sorted, each once.
    pub(crate) fn text_set(&self, key: &str) -> Decoded<BTreeSet<String>> {
        Ok(self.texts(key)?.unwrap_or_default().into_iter().collect())
    }
}

/// A finding that refuses an item.
pub(crate) fn failed(cause: Cause, message: impl Into<String>, place: &Place) -> Box<Finding> {
    Box::new(Finding::new(cause, message, place.clone()))
}

/// The text of a key, or of another required scalar.
pub(crate) fn key_name<'n>(node: &'n Node, place: &Place) -> Decoded<&'n str> {
    match node.as_str() {
        Some(name) => Ok(name),
        None if node.is_null() => Ok("null"),
        None => Err(failed(Cause::NotAWord, "bad conversion: a word must stand here", place)),
    }
}
