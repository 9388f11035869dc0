//! Every key of every item, declared once: parsing, overrides and the schema are derived from it.

use peregrine_yaml::Node;

/// The kinds of items in a rules file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    EngineVersion,
    PluginVersions,
    List,
    Macro,
    Rule,
}

impl Item {
    /// Precedence of kinds: the first key that an item has decides its kind.
    pub(crate) const ALL: [Self; 5] =
        [Self::EngineVersion, Self::PluginVersions, Self::List, Self::Macro, Self::Rule];

    /// The kind of an item.
    pub(crate) fn of(node: &Node) -> Option<Self> {
        Self::ALL.into_iter().find(|item| node.get(item.key()).is_some())
    }

    /// The key that decides the kind.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::EngineVersion => "required_engine_version",
            Self::PluginVersions => "required_plugin_versions",
            Self::List => "list",
            Self::Macro => "macro",
            Self::Rule => "rule",
        }
    }

    /// A word for it.
    pub(crate) fn singular(self) -> &'static str {
        match self {
            Self::EngineVersion | Self::PluginVersions => "requirement",
            Self::List => "list",
            Self::Macro => "macro",
            Self::Rule => "rule",
        }
    }

    /// The same for several.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::EngineVersion | Self::PluginVersions => "requirements",
            Self::List => "lists",
            Self::Macro => "macros",
            Self::Rule => "rules",
        }
    }

    /// All keys that the item may have.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| key.of.contains(&self))
    }

    /// One of its keys.
    pub(crate) fn find(self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// Type of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    Text,
    Boolean,
    Integer,
    Anything,
    IntegerOrText,
    Priority,
    Texts,
    Items,
    Exceptions,
    Plugins,
    Alternatives,
    Override,
    Operation,
}

/// A key of an item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    of: &'static [Item],
    /// Whether `override` may append to it.
    pub(crate) append: bool,
    /// Whether `override` may replace it.
    pub(crate) replace: bool,
}

const fn key(name: &'static str, ty: Type, of: &'static [Item]) -> Key {
    Key { name, ty, of, append: false, replace: false }
}

impl Key {
    const fn replaceable(mut self) -> Self {
        self.replace = true;
        self
    }

    const fn appendable(mut self) -> Self {
        self.append = true;
        self.replaceable()
    }
}

/// Every key of every item.
pub(crate) const KEYS: &[Key] = &[
    key("required_engine_version", Type::Text, &[Item::EngineVersion]),
    key("required_plugin_versions", Type::Plugins, &[Item::PluginVersions]),
    key("list", Type::Text, &[Item::List]),
    key("items", Type::Items, &[Item::List]).appendable(),
    key("macro", Type::Text, &[Item::Macro]),
    key("rule", Type::Text, &[Item::Rule]),
    key("condition", Type::Text, &[Item::Macro, Item::Rule]).appendable(),
    key("exceptions", Type::Exceptions, &[Item::Rule]).appendable(),
    key("output", Type::Text, &[Item::Rule]).appendable(),
    key("desc", Type::Text, &[Item::Rule]).appendable(),
    key("tags", Type::Texts, &[Item::Rule]).appendable(),
    key("priority", Type::Priority, &[Item::Rule]).replaceable(),
    key("capture", Type::Boolean, &[Item::Rule]).replaceable(),
    key("capture_duration", Type::Integer, &[Item::Rule]).replaceable(),
    key("enabled", Type::Boolean, &[Item::Rule]).replaceable(),
    key("warn_evttypes", Type::Boolean, &[Item::Rule]).replaceable(),
    key("skip-if-unknown-filter", Type::Boolean, &[Item::Rule]).replaceable(),
    key("source", Type::Text, &[Item::Rule]),
    key("override", Type::Override, &[Item::List, Item::Macro, Item::Rule]),
    key("append", Type::Boolean, &[Item::List, Item::Macro, Item::Rule]),
];

/// Whether conditions can refer to a macro of this name.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A blank, in the sense of C.
pub(crate) fn is_ascii_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_belong_to_their_items() {
        assert!(Item::Macro.find("condition").is_some_and(|key| key.append && key.replace));
        assert!(Item::Macro.find("items").is_none());
        assert!(Item::Rule.find("priority").is_some_and(|key| !key.append && key.replace));
        assert!(Item::Rule.find("source").is_some_and(|key| !key.append && !key.replace));
    }
}
