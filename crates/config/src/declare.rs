//! How keys are declared: once, in a [`section!`], which makes the struct, its decoding, its JSON
//! schema and its rows of the reference page.

use std::collections::BTreeMap;
use std::fmt::Display;

use peregrine_diagnostics::{Secret, Span};
use peregrine_yaml::{Node, Value};
use serde_json::{Value as Json, json};

use crate::issue::{ConfigCode, ConfigIssue};

/// Named parts of the JSON schema.
pub(crate) type Definitions = serde_json::Map<String, Json>;

/// A value that a key can have.
pub(crate) trait Setting: Sized {
    /// JSON schema of the values. Sections put themselves into `definitions` and answer with a
    /// reference.
    fn schema(definitions: &mut Definitions) -> Json;

    /// Reads the value of `key`. `None` if it has another type: then the default applies, and the
    /// schema validation logs a warning.
    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue>;

    /// Finds the values at and below `key` that [`read`](Self::read) ignores.
    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        if !node.is_null() && matches!(Self::read(node, key), Ok(None)) {
            found.push(IgnoredValue::new(node, key));
        }
    }

    /// Rows of the reference page for this key.
    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>);
}

/// A value that has no effect, because its key does not take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IgnoredValue {
    /// The key, sections before it.
    pub(crate) key: String,
    /// The value.
    pub(crate) span: Span,
}

impl IgnoredValue {
    pub(crate) fn new(node: &Node, key: &str) -> Self {
        Self { key: key.to_owned(), span: node.span() }
    }
}

/// One key on the reference page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name, sections before it.
    pub key: String,
    /// Value when the key is not set.
    pub default: String,
    /// What it is for.
    pub about: String,
}

/// Declares a section of the configuration: `pub Name "Title in the schema" { keys }`.
///
/// `extra` adds keywords to the JSON schema of the section or of a key.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $vis:vis $name:ident $title:literal $(extra $extra:tt)? {
            $( $(#[doc = $key_about:literal])+ $key:ident: $type:ty = $default:expr $(, extra $key_extra:tt)?; )+
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name {
            $( $(#[doc = $key_about])+ $vis $key: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: $default, )+ }
            }
        }

        impl $crate::declare::Setting for $name {
            fn schema(
                definitions: &mut $crate::declare::Definitions,
            ) -> serde_json::Value {
                let mut properties = serde_json::Map::new();
                $(
                    #[allow(unused_mut)]
                    let mut schema = <$type as $crate::declare::Setting>::schema(definitions);
                    $( $crate::declare::extend(&mut schema, serde_json::json!($key_extra)); )?
                    properties.insert(stringify!($key).to_owned(), schema);
                )+
                // `json!` would copy the properties.
                #[allow(unused_mut)]
                let mut schema = serde_json::Value::from_iter([
                    ("type", "object".into()),
                    ("title", $title.into()),
                    ("additionalProperties", false.into()),
                    ("properties", serde_json::Value::Object(properties)),
                ]);
                $( $crate::declare::extend(&mut schema, serde_json::json!($extra)); )?
                definitions.insert($title.to_owned(), schema);
                serde_json::json!({ "$ref": concat!("#/definitions/", $title) })
            }

            fn read(
                node: &peregrine_yaml::Node,
                key: &str,
            ) -> Result<Option<Self>, $crate::issue::ConfigIssue> {
                const FIRST: &str = [$( stringify!($key) ),+][0];
                $crate::declare::refuse_scalar(node, key, FIRST)?;
                Ok(Some(Self {
                    $( $key: match node.get(stringify!($key)) {
                        Some(node) => {
                            let key = $crate::declare::join(key, stringify!($key));
                            $crate::declare::Setting::read(node, &key)?.unwrap_or_else(|| $default)
                        }
                        None => $default,
                    }, )+
                }))
            }

            fn ignored(
                node: &peregrine_yaml::Node,
                key: &str,
                found: &mut Vec<$crate::declare::IgnoredValue>,
            ) {
                if !node.items().is_empty() {
                    found.push($crate::declare::IgnoredValue::new(node, key));
                }
                $( if let Some(node) = node.get(stringify!($key)) {
                    let key = $crate::declare::join(key, stringify!($key));
                    <$type as $crate::declare::Setting>::ignored(node, &key, found);
                } )+
            }

            fn rows(&self, key: &str, _: &str, rows: &mut Vec<$crate::declare::Row>) {
                $( $crate::declare::Setting::rows(
                    &self.$key,
                    &$crate::declare::join(key, stringify!($key)),
                    concat!($($key_about),+).trim(),
                    rows,
                ); )+
            }
        }
    };
}
pub(crate) use section;

/// Reads `Option<$settings>` from the keys of a section; `$parse` turns them into settings, or into
/// `None` where the section is off.
macro_rules! optional {
    ($keys:ty => $settings:ty, $parse:expr) => {
        impl $crate::declare::Setting for Option<$settings> {
            fn schema(definitions: &mut $crate::declare::Definitions) -> serde_json::Value {
                <$keys as $crate::declare::Setting>::schema(definitions)
            }

            fn read(
                node: &peregrine_yaml::Node,
                key: &str,
            ) -> Result<Option<Self>, $crate::issue::ConfigIssue> {
                type Parse = fn(
                    $keys,
                    &peregrine_yaml::Node,
                ) -> Result<Option<$settings>, $crate::issue::ConfigIssue>;
                let parse: Parse = $parse;
                let keys = <$keys as $crate::declare::Setting>::read(node, key)?;
                parse(keys.unwrap_or_default(), node).map(Some)
            }

            fn ignored(
                node: &peregrine_yaml::Node,
                key: &str,
                found: &mut Vec<$crate::declare::IgnoredValue>,
            ) {
                <$keys as $crate::declare::Setting>::ignored(node, key, found);
            }

            fn rows(&self, key: &str, about: &str, rows: &mut Vec<$crate::declare::Row>) {
                $crate::declare::Setting::rows(&<$keys>::default(), key, about, rows);
            }
        }
    };
}
pub(crate) use optional;

/// `section.key`, or `key` at the top.
pub(crate) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// Adds words to a schema.
pub(crate) fn extend(schema: &mut Json, extra: Json) {
    if let (Json::Object(schema), Json::Object(extra)) = (schema, extra) {
        schema.extend(extra);
    }
}

/// A scalar where keys are expected is the one wrong type that stops the program: nothing of the
/// section could be meant.
pub(crate) fn refuse_scalar(
    node: &Node,
    section: &str,
    first_key: &str,
) -> Result<(), ConfigIssue> {
    match node.value {
        Value::Scalar { .. } => Err(ConfigIssue::new(ConfigCode::Type, format!(
            "Config error at key \"{}\": {}: operator[] call on a scalar (key: \"{first_key}\")",
            join(section, first_key),
            ConfigIssue::place(node.start),
        ))
        .plain(format!("`{section}` has keys, not a value of its own"))
        .at(node)
        .help(format!("`{section}` is a map of keys, such as `{first_key}: …`"))),
        _ => Ok(()),
    }
}

fn row(rows: &mut Vec<Row>, key: &str, default: impl Display, about: &str) {
    rows.push(Row { key: key.to_owned(), default: default.to_string(), about: about.to_owned() });
}

impl Setting for bool {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "boolean" })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        Ok(node.as_bool())
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        row(rows, key, self, about);
    }
}

impl Setting for f64 {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "number" })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        Ok(node.as_f64())
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        row(rows, key, self, about);
    }
}

macro_rules! integers {
    ($($type:ty),+) => { $(
        impl Setting for $type {
            fn schema(_: &mut Definitions) -> Json {
                json!({ "type": "integer" })
            }

            fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
                let number = node.as_i64().map(i128::from).or(node.as_u64().map(i128::from));
                Ok(number.and_then(|number| number.try_into().ok()))
            }

            fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
                row(rows, key, self, about);
            }
        }
    )+ };
}
integers!(u8, u16, i16, u32, u64);

impl Setting for String {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string" })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        Ok(node.as_str().map(str::to_owned))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        row(rows, key, format_args!("{self:?}"), about);
    }
}

impl Setting for Secret {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string" })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        Ok(node.as_str().map(|text| text.to_owned().into()))
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        row(rows, key, "\"\"", about);
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn schema(definitions: &mut Definitions) -> Json {
        json!({ "type": "array", "items": T::schema(definitions) })
    }

    /// A single value stands for a list of one.
    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        let items = match &node.value {
            Value::Seq(items) => items.as_slice(),
            Value::Scalar { .. } => std::slice::from_ref(node),
            Value::Null | Value::Map(_) => &[],
        };
        let item = |node| T::read(node, key)?.ok_or_else(|| ConfigIssue::bad_conversion(node));
        items.iter().map(item).collect::<Result<_, _>>().map(Some)
    }

    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        if !node.entries().is_empty() {
            found.push(IgnoredValue::new(node, key));
        }
        for (index, item) in node.items().iter().enumerate() {
            T::ignored(item, &format!("{key}[{index}]"), found);
        }
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        row(rows, &format!("{key}[]"), if self.is_empty() { "empty" } else { "" }, about);
    }
}

/// A key whose absence means something else than any value of it.
impl<T: Setting + Default> Setting for Option<T> {
    fn schema(definitions: &mut Definitions) -> Json {
        T::schema(definitions)
    }

    fn read(node: &Node, key: &str) -> Result<Option<Self>, ConfigIssue> {
        Ok(Some(Some(T::read(node, key)?.unwrap_or_default())))
    }

    fn ignored(node: &Node, key: &str, found: &mut Vec<IgnoredValue>) {
        T::ignored(node, key, found);
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        row(rows, key, "absent", about);
    }
}

impl Setting for BTreeMap<String, String> {
    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "object" })
    }

    fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
        let Some(map) = node.as_map() else { return Ok(None) };
        let text = |node: &Node| match node.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(ConfigIssue::bad_conversion(node).help("a text")),
        };
        let entry = |(key, value): &(Node, Node)| Ok((text(key)?, text(value)?));
        map.0.iter().map(entry).collect::<Result<_, _>>().map(Some)
    }

    fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
        row(rows, &format!("{key}{{}}"), "empty", about);
    }
}

/// One enumeration: its words, and what to say to another one.
macro_rules! words {
    ($type:ty, $schema:tt, $default:literal, { $($word:literal => $value:expr),+ }, $fold:expr, $fault:expr) => {
        impl Setting for $type {
            fn schema(_: &mut Definitions) -> Json {
                json!($schema)
            }

            fn read(node: &Node, _: &str) -> Result<Option<Self>, ConfigIssue> {
                let Some(text) = node.as_str() else { return Ok(None) };
                let fold: fn(&str) -> String = $fold;
                match fold(text).as_str() {
                    $( $word => Ok(Some($value)), )+
                    _ => {
                        let fault: fn(&str) -> ConfigIssue = $fault;
                        Err(fault(text).at(node).help(format!("one of {}", [$($word),+].join(", "))))
                    }
                }
            }

            fn rows(&self, key: &str, about: &str, rows: &mut Vec<Row>) {
                let mut words = [$( ($word, $value) ),+].into_iter();
                let default = words.find(|(_, value)| value == self).map_or($default, |(word, _)| word);
                rows.push(Row { key: key.into(), default: default.into(), about: about.into() });
            }
        }
    };
}
pub(crate) use words;

/// Entries of lists have no row of their own on the reference page: their list describes them.
macro_rules! no_rows {
    () => {
        fn rows(&self, _: &str, _: &str, _: &mut Vec<Row>) {}
    };
}
pub(crate) use no_rows;

/// Text of a key of a list entry; absent is none.
pub(crate) fn text(node: &Node, key: &str) -> Result<Option<String>, ConfigIssue> {
    match node.get(key) {
        None => Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(ConfigIssue::bad_conversion(value).help(format!("`{key}` is a text"))),
        },
    }
}

pub(crate) fn at_key(fault: ConfigIssue, node: &Node, key: &str) -> ConfigIssue {
    fault.at(node.get(key).unwrap_or(node))
}
